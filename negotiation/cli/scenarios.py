"""Commands about scenario files: analysis, linter, schema, and the GENIUS format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from negotiation.cli.common.base import Json, Output, ScenarioArgument, one_line, say, scenario_named, write_new
from negotiation.diagnostics.deadlines import judged, micro_deal
from negotiation.errors import ScenarioError
from negotiation.figures.points import points
from negotiation.scenario import genius_export, genius_import
from negotiation.scenario.analysis import Analyser, Analysis, Point
from negotiation.scenario.lint import files_in, lint_file
from negotiation.scenario.model import Scenario
from negotiation.scenario.source import scenario_text, schema_text

T = TypeVar("T")

SOLUTIONS = {
    "nash": "the largest product of both gains",
    "kalai_smorodinsky": "the best deal that gives both the same share of their largest possible gain",
    "egalitarian": "the largest gain for whoever gains less",
    "max_welfare": "the largest sum of points",
}
"""The solutions and what distinguishes each; gains are measured from the points of no deal."""

app = typer.Typer()


@app.command()
def analyze(scenario: ScenarioArgument, json: Json = None) -> int:
    """Print the best possible deals of a scenario.

    Points are those of an immediate deal, before any discount.
    """
    analysed = scenario_named(scenario, "SCENARIO")
    with Output(json) as out:
        analyser = Analyser(analysed)
        found, deadline = analyser.analysis(), _deadline(analyser)
        out.write({**as_data(found), "deadline": deadline}, _lines(analysed, found, deadline))
    return 0


def _deadline(analyser: Analyser) -> dict[str, Any]:
    """Return which strategies the deadline can judge, and the rounds that MiCRO needs to agree with itself."""
    found, micro = judged(analyser.scenario), micro_deal(analyser)
    return {
        "rounds": analyser.scenario.rounds,
        "judges": [name for name, enough in found.items() if enough],
        "cannot_judge": [name for name, enough in found.items() if not enough],
        "micro_rounds": None if micro is None else micro.rounds,
    }


def as_data(found: Analysis) -> dict[str, Any]:
    """Return an analysis as the JSON that `analyze` prints."""
    return {
        "outcomes": found.outcomes,
        "pareto": [_point(point) for point in found.pareto],
        **{name: _point(getattr(found, name)) for name in SOLUTIONS},
        "opposition": found.opposition,
        "zone": found.zone,
    }


def _point(point: Point | None) -> dict[str, Any] | None:
    return None if point is None else asdict(point)


def _lines(scenario: Scenario, found: Analysis, deadline: Mapping[str, Any]) -> list[str]:
    needed = deadline["micro_rounds"]
    sides = " / ".join(role.name for role in scenario.roles.values())
    return [
        f"{scenario.title}: {found.outcomes:,} outcomes, {len(found.pareto):,} of them Pareto-optimal "
        "(none better for one side without being worse for the other)",
        f"{'points':18} {sides}, out of 100",
        *(f"{name:18} {_solution(scenario, getattr(found, name), about)}" for name, about in SOLUTIONS.items()),
        f"{'opposition':18} {found.opposition:.3f} (0: one outcome is ideal for both)",
        f"{'zone of agreement':18} {found.zone:.1%} of the outcomes are at least as good as no deal for both",
        f"{'deadline':18} {scenario.rounds:,} rounds, enough to judge {', '.join(deadline['judges'])}; MiCRO "
        + ("never agrees with itself" if needed is None else f"needs {needed:,} to agree with itself"),
    ]


def _solution(scenario: Scenario, point: Point | None, about: str) -> str:
    if point is None:
        return "none"
    return f"{points(point.utility_a)} / {points(point.utility_b)}  {scenario.show(point.offer)} ({about})"


@app.command()
def lint(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Scenario files, or folders of them.")],
    json: Json = None,
) -> int:
    """Check scenario files.

    Prints a line for each finding. The exit status is 0 without findings, 1 with findings, and 2 if a file cannot be
    read.
    """
    found: list[dict[str, str]] = []
    unreadable = False

    def attempt(look: Callable[[Path], list[T]], path: Path) -> list[T]:
        nonlocal unreadable
        try:
            return look(path)
        except ScenarioError as error:
            unreadable = True
            say(f"error: {one_line(str(error))}")
            return []

    with Output(json) as out:
        for path in [path for given in paths for path in attempt(files_in, given)]:
            found += [{"file": str(path), **asdict(finding)} for finding in attempt(lint_file, path)]
        out.write(found, [f"{one['file']}:{one['key']}: {one_line(one['message'])}" for one in found])
    return 2 if unreadable else int(bool(found))


@app.command()
def schema() -> int:
    """Print the JSON schema of scenario files, for editors."""
    Output(None).write(None, schema_text().splitlines())
    return 0


@app.command("import-genius")
def import_genius(
    domain: Annotated[Path, typer.Argument(metavar="DOMAIN.xml", help="The domain.")],
    a: Annotated[Path, typer.Argument(metavar="A.xml", help="Utility space of side a.")],
    b: Annotated[Path, typer.Argument(metavar="B.xml", help="Utility space of side b.")],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML file to create, instead of writing to standard output.")
    ] = None,
) -> int:
    """Convert a GENIUS domain to a scenario file."""
    notes: list[str] = []
    text = scenario_text(genius_import.import_genius(domain, a, b, on_note=notes.append))
    for note in notes:
        say(f"note: {one_line(note)}")
    if output is None:
        Output(None).write(None, text.rstrip("\n").split("\n"))
    else:
        write_new({output: text.encode()})
    return 0


@app.command("export-genius")
def export_genius(
    scenario: ScenarioArgument,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder for the three files.")],
) -> int:
    """Write a scenario as GENIUS files.

    The files are domain.xml, a.xml and b.xml, none of which may exist yet.
    """
    exported = genius_export.export_genius(scenario_named(scenario, "SCENARIO"))
    files = {folder / name: data for name, data in exported.items()}
    write_new(files)
    say(f"wrote {', '.join(str(path) for path in files)}")
    return 0
