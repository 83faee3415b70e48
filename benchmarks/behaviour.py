"""Validate the measures of behaviour that read messages, on turns labelled by hand (tests/labelled_turns).

    python -m benchmarks.behaviour
    python -m benchmarks.behaviour --errors tuning
    python -m benchmarks.behaviour --write

Prints precision and recall of each reading, with Wilson's intervals, for the turns held out and for those that the
readings were tuned on. `--write` puts the counts into negotiation/behaviour/validation.json, which decides what is
shown, and the table into docs/behaviour.md. `--errors` lists what a part finds wrongly or misses; whoever tunes on the
turns held out must move them to the tuning part, and write new ones.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.support.labelled import NAMES, PARTS, errors, labelled_turns, validate
from negotiation.behaviour import traits
from negotiation.behaviour.traits import LEAST_PRECISION, TRAITS, Validated
from negotiation.figures.statistics import rate_interval

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "behaviour.md"
COUNTS = Path(traits.__file__).with_name("validation.json")
BEGIN, END = "<!-- validation: python -m benchmarks.behaviour --write -->", "<!-- end of validation -->"
TITLES = {trait.reads: trait.title for trait in TRAITS.values() if trait.reads}
TITLES |= {"reveals": "stated preferences (for *heeds the other side*)"}
CALLED = {"held_out": "held out", "tuning": "tuned on"}


def main() -> None:
    options = _parser().parse_args()
    if options.errors:
        for name, kind, turn in errors(options.errors):
            print(f"{name}: {kind}: {turn.name}: {turn.said.message}")
        return
    found = {part: validate(part) for part in PARTS}
    lines = table(found)
    print("\n".join(lines))
    if options.write:
        COUNTS.write_text(_json(found), encoding="utf-8")
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text("\n".join([f"{before}{BEGIN}", *lines, f"{END}{after}"]), encoding="utf-8")


def table(found: dict[str, dict[str, Validated]]) -> list[str]:
    """Return the validation as a Markdown table."""
    rows = [
        "| measure | turns | found | right | precision | missed | recall | false alarms | shown |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in NAMES:
        for part in PARTS:
            counts, turns = found[part][name], labelled_turns(part)
            hits = counts.right + counts.wrong
            without = sum(not turn.outcome(name)[1] for turn in turns)
            shown = ("yes" if counts.precision >= LEAST_PRECISION else "no") if part == "held_out" else ""
            cells = [
                TITLES[name] if part == PARTS[0] else "",
                f"{len(turns)} {CALLED[part]}",
                str(hits),
                str(counts.right),
                _rate(counts.right, hits),
                str(counts.missed),
                _rate(counts.right, counts.right + counts.missed),
                f"{100 * counts.wrong / without:.1f}",
                shown,
            ]
            rows.append(f"| {' | '.join(cells)} |")
    return rows


def _rate(part: int, whole: int) -> str:
    rate = rate_interval(part, whole)
    return "–" if rate is None else f"{rate.mean:.0%} ({rate.low:.0%} to {rate.high:.0%})"


def _json(found: dict[str, dict[str, Validated]]) -> str:
    """Return the counts as a file, one reading on a line."""
    parts: list[str] = []
    for part, readings in found.items():
        rows = [f'      "{name}": {json.dumps(asdict(counts))}' for name, counts in readings.items()]
        parts.append(f'    "{part}": {{\n' + ",\n".join(rows) + "\n    }")
    turns = json.dumps({part: len(labelled_turns(part)) for part in found})
    return f'{{\n  "turns": {turns},\n  "parts": {{\n' + ",\n".join(parts) + "\n  }\n}\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Validate the measures of behaviour that read messages.")
    parser.add_argument("--errors", choices=PARTS, help="list the errors on a part")
    parser.add_argument("--write", action="store_true", help="write the counts and the page")
    return parser


if __name__ == "__main__":
    main()
