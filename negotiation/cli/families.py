"""Commands that list scenario families and draw scenarios from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from manager.errors import ConfigError
from negotiation.app.settings import read_settings
from negotiation.cli.common.base import Json, Output, say, write_new
from negotiation.families.family import Family, family_names, find_family
from negotiation.families.generate import draw_scenario, draw_scenarios
from negotiation.scenario.source import scenario_text

app = typer.Typer()


@app.command()
def families(json: Json = None) -> int:
    """List the families that scenarios can be drawn from."""
    folder = read_settings().config_file("families")
    found = [find_family(name, folder) for name in family_names(folder)]
    with Output(json) as out:
        out.write([_about(family) for family in found], [_line(family) for family in found])
    return 0


@app.command()
def draw(
    family: Annotated[str, typer.Argument(metavar="FAMILY", help="Name of a family.")],
    seed: Annotated[int, typer.Option(metavar="N", help="Seed; another one gives other scenarios.")] = 1,
    index: Annotated[int, typer.Option(metavar="N", help="Number of the scenario, from 1.")] = 1,
    count: Annotated[int | None, typer.Option(metavar="N", help="Draw the scenarios 1 to N into a folder.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="File to create (with --count: folder), instead of standard output."),
    ] = None,
) -> int:
    """Draw a scenario from a family.

    The same family, seed and number give the same scenario on every machine. Commands that take a scenario also take
    FAMILY:SEED and FAMILY:SEED:NUMBER.
    """
    found = find_family(family, read_settings().config_file("families"), "FAMILY")
    if count is None:
        text = scenario_text(draw_scenario(found, seed, index))
        if output is None:
            Output(None).write(None, text.rstrip("\n").split("\n"))
        else:
            write_new({output: text.encode()})
        return 0
    if output is None or index != 1 or count < 1:
        raise ConfigError("--count: give at least 1, a folder with --output, and no --index")
    files = {
        output / f"{scenario.scenario_id}.yaml": scenario_text(scenario).encode()
        for scenario in draw_scenarios(found, seed, count)
    }
    write_new(files)
    say(f"wrote {len(files):,} scenarios to {output}")
    return 0


def _about(family: Family) -> dict[str, Any]:
    return {
        "family": family.name,
        "title": family.title,
        "about": family.about,
        "source": family.source,
        "opposition": list(family.opposition),
        "zone": list(family.zone),
        "rounds": list(family.rounds),
        "settings": len(family.settings),
        "sha256": family.sha256,
    }


def _line(family: Family) -> str:
    opposition, zone, rounds = (_span(*bounds) for bounds in (family.opposition, family.zone, family.rounds))
    return f"{family.name:20} {family.title} (opposition {opposition}, zone {zone}, {rounds} rounds)"


def _span(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"
