"""Commands about scenarios: what is optimal in one, what is wrong with some, the GENIUS form, the schema."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from negotiation.cli.base import Add, Output, one_line, say, scenario_named, write_new
from negotiation.errors import ScenarioError
from negotiation.scenario import genius_export, genius_import
from negotiation.scenario.analysis import Analyser, Analysis, Point, as_json
from negotiation.scenario.lint import files_in, lint_file
from negotiation.scenario.model import Scenario
from negotiation.scenario.source import scenario_text, schema_text

T = TypeVar("T")
SOLUTIONS = ("nash", "kalai_smorodinsky", "egalitarian", "max_welfare")


def register(add: Add) -> None:
    """Add the commands of this module."""
    one = add("analyze", analyze, "say what is optimal in a scenario")
    one.add_argument("scenario", metavar="SCENARIO", help="a scenario's id, or a YAML file")
    checked = add("lint", lint, "look for what is wrong with scenario files")
    checked.add_argument("paths", metavar="PATH", type=Path, nargs="+", help="scenario files, or folders of them")
    add("schema", schema, "print the JSON schema of scenario files, for editors", json=False)
    imported = add("import-genius", import_genius, "turn a GENIUS domain with two profiles into a scenario", json=False)
    for name, about in (("domain", "the domain"), ("a", "the utility space of side a"), ("b", "that of side b")):
        imported.add_argument(name, metavar=f"{name.upper()}.xml", type=Path, help=about)
    imported.add_argument("--output", metavar="FILE", type=Path, help="a new YAML file instead of standard output")
    exported = add("export-genius", export_genius, "write a scenario as domain.xml, a.xml and b.xml", json=False)
    exported.add_argument("scenario", metavar="SCENARIO", help="a scenario's id, or a YAML file")
    exported.add_argument("folder", metavar="FOLDER", type=Path, help="where the three files go")


def analyze(options: argparse.Namespace) -> int:
    """Print the frontier and the solutions of a scenario, in undiscounted utilities."""
    scenario = scenario_named(options.scenario, "SCENARIO")
    with Output(options.json) as out:
        found = Analyser(scenario).analysis()
        out.write(as_data(found), _lines(scenario, found))
    return 0


def as_data(found: Analysis) -> dict[str, Any]:
    """An analysis as the command line prints it."""
    return {
        "outcomes": found.outcomes,
        "pareto": [as_json(point) for point in found.pareto],
        **{name: as_json(getattr(found, name)) for name in SOLUTIONS},
        "opposition": found.opposition,
    }


def _lines(scenario: Scenario, found: Analysis) -> list[str]:
    lines = [f"{scenario.title}: {found.outcomes:,} outcomes, {len(found.pareto):,} of them on the frontier"]
    lines += [f"{name:18} {_told(scenario, getattr(found, name))}" for name in SOLUTIONS]
    return [*lines, f"{'opposition':18} {found.opposition:.3f}"]


def _told(scenario: Scenario, point: Point | None) -> str:
    if point is None:
        return "none"
    return f"{point.utility_a:.3f} / {point.utility_b:.3f}  {scenario.show(point.offer)}"


def import_genius(options: argparse.Namespace) -> int:
    """Print a GENIUS domain and its two utility spaces as a scenario, or write it to a new file."""
    notes: list[str] = []
    text = scenario_text(genius_import.import_genius(options.domain, options.a, options.b, on_note=notes.append))
    for note in notes:
        say(f"note: {one_line(note)}")
    if options.output is None:
        Output(None).write(None, text.rstrip("\n").split("\n"))
    else:
        write_new({options.output: text.encode()})
    return 0


def export_genius(options: argparse.Namespace) -> int:
    """Write a scenario's three GENIUS files, none of which may be there already."""
    scenario = scenario_named(options.scenario, "SCENARIO")
    files = {options.folder / name: data for name, data in genius_export.export_genius(scenario).items()}
    write_new(files)
    say(f"wrote {', '.join(str(path) for path in files)}")
    return 0


def lint(options: argparse.Namespace) -> int:
    """Print a line for each finding; the status is 0 if there is none, 1 if there are some, 2 for unreadable files."""
    found: list[dict[str, str]] = []
    unreadable = False

    def tried(look: Callable[[Path], list[T]], path: Path) -> list[T]:
        nonlocal unreadable
        try:
            return look(path)
        except ScenarioError as error:
            unreadable = True
            say(f"error: {one_line(str(error))}")
            return []

    with Output(options.json) as out:
        for path in [path for given in options.paths for path in tried(files_in, given)]:
            found += [{"file": str(path), **asdict(finding)} for finding in tried(lint_file, path)]
        out.write(found, [f"{one['file']}:{one['key']}: {one_line(one['message'])}" for one in found])
    return 2 if unreadable else int(bool(found))


def schema(options: argparse.Namespace) -> int:
    """Print the JSON schema of scenario files."""
    Output(None).write(None, schema_text().splitlines())
    return 0
