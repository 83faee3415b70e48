"""Find problems in valid scenarios: nothing to agree on, nothing to argue about, options that do not matter.

The texts are checked in `lint_prose`. Each finding names the key it is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from manager.config.strict_yaml import read_yaml
from manager.errors import ConfigError
from negotiation.errors import ScenarioError
from negotiation.scenario.analysis import Analyser, Floats, undominated
from negotiation.scenario.issue import Issue, Value
from negotiation.scenario.lint_prose import text_findings
from negotiation.scenario.model import SEATS, Scenario, Seat, parse_scenario

LEAST_REACHABLE = 0.2
"""A range is too wide if a smaller fraction of its values can be part of an agreement."""


@dataclass(frozen=True)
class LintFinding:
    """A problem to fix: the key it is about, and what is wrong."""

    key: str
    message: str


def lint_file(path: Path) -> list[LintFinding]:
    """Return the problems of a scenario file, those that make it unusable included.

    Raises:
        ScenarioError: The file cannot be read as YAML at all.
    """
    try:
        data = read_yaml(path)
    except ConfigError as error:
        raise ScenarioError(str(error), error.problems) from None
    if not isinstance(data, dict):
        raise ScenarioError(f"{path}: expected keys with values (key: value)")
    try:
        return lint(parse_scenario(path.stem, data, str(path)))
    except ScenarioError as error:
        return findings_of(error)


def findings_of(error: ScenarioError) -> list[LintFinding]:
    """Return what makes a scenario unusable, problem by problem."""
    return [LintFinding(*_placed(key, text)) for key, text in error.problems]


def _placed(key: str, text: str) -> tuple[str, str]:
    """Split the place off a problem of the whole scenario, whose text begins with it."""
    if key:
        return key, text
    place, found, rest = text.partition(": ")
    return (place, rest) if found else ("scenario", text)


def lint(scenario: Scenario) -> list[LintFinding]:
    """Return the problems of a scenario, in the order of its keys."""
    analyser = Analyser(scenario)
    found = [*_agreement(analyser), *_conflict(analyser)]
    for name, issue in scenario.issues.items():
        found += _issue(scenario, name, issue)
    found += _reachable(analyser)
    for seat in SEATS:
        found += _reservation(analyser, seat)
    return found + [LintFinding(key, message) for key, message in text_findings(scenario)]


def _agreement(analyser: Analyser) -> Iterator[LintFinding]:
    if not len(analyser.rational):
        yield LintFinding("roles", "no agreement is possible: no outcome reaches both reservation values")
    elif analyser.nash is None:
        yield LintFinding("roles", "no outcome is better than no deal for both sides, so neither has a reason to agree")


def _conflict(analyser: Analyser) -> Iterator[LintFinding]:
    a, b = analyser.space.utilities("a"), analyser.space.utilities("b")
    best = np.flatnonzero((a == a.max()) & (b == b.max()))
    if len(best):
        offer = analyser.scenario.show(analyser.space.offer(int(best[0])))
        yield LintFinding("roles", f"no conflict: the same outcome is the best one for both ({offer})")


def _issue(scenario: Scenario, name: str, issue: Issue) -> Iterator[LintFinding]:
    """Yield options that neither side should ever propose, whatever the rest of the deal."""
    key = f"issues.{name}"
    if all(scenario.roles[seat].weights[name] == 0 for seat in SEATS):
        yield LintFinding(key, "it matters to neither role: both weights are 0; remove it or give it a weight")
        return
    worth = {seat: _worth(scenario, seat, name, issue) for seat in SEATS}
    agreed = bool(np.any((worth["a"] == worth["a"].max()) & (worth["b"] == worth["b"].max())))
    if issue.compatible:
        if not agreed:
            yield LintFinding(f"{key}.compatible", "the roles do not want the same option here; remove this key")
        return
    dominated = np.setdiff1d(np.arange(issue.size), undominated(worth["a"], worth["b"]))
    if len(dominated):
        better = _better(worth["a"], worth["b"], int(dominated[0]))
        hint = " (if both want the same on purpose, set compatible: true)" if agreed else ""
        yield LintFinding(
            key,
            f"{_named(issue, dominated.tolist())} dominated: {_shown(issue, dominated[0])} is worse for one side and "
            f"no better for the other than {_shown(issue, better)}{hint}",
        )


def _worth(scenario: Scenario, seat: Seat, name: str, issue: Issue) -> Floats:
    """Return what each option of an issue adds to a role's utility, shape [options]."""
    return scenario.roles[seat].weights[name] * np.array([scenario.value(seat, name, it) for it in issue.choices])


def _better(a: Floats, b: Floats, place: int) -> int:
    return int(np.flatnonzero((a >= a[place]) & (b >= b[place]) & ((a > a[place]) | (b > b[place])))[0])


def _reachable(analyser: Analyser) -> Iterator[LintFinding]:
    """Yield options that are part of no outcome that both sides would accept."""
    if not len(analyser.rational):
        return
    issues = analyser.scenario.issues
    taken = np.zeros(analyser.scenario.outcomes, dtype=bool)
    taken[analyser.rational] = True
    taken = taken.reshape([issue.size for issue in issues.values()])
    for axis, (name, issue) in enumerate(issues.items()):
        dead = np.flatnonzero(~taken.any(axis=tuple(place for place in range(len(issues)) if place != axis)))
        alive = issue.size - len(dead)
        if issue.options is not None and len(dead):
            yield LintFinding(
                f"issues.{name}",
                f"{_named(issue, dead.tolist())} unreachable: part of no outcome that both sides would accept",
            )
        elif alive < LEAST_REACHABLE * issue.size:
            low, high = _shown(issue, 0), _shown(issue, issue.size - 1)
            yield LintFinding(
                f"issues.{name}",
                f"only {alive:,} of {issue.size:,} values from {low} to {high} are part of an outcome that both sides "
                "would accept, the others are unreachable; narrow the range",
            )


def _reservation(analyser: Analyser, seat: Seat) -> Iterator[LintFinding]:
    value, worth = analyser.scenario.roles[seat].reservation, analyser.space.utilities(seat)
    key = f"roles.{seat}.reservation"
    if value > worth.max():
        yield LintFinding(key, f"no outcome reaches {value:g}: the best is worth {worth.max():g} to this role")
    elif value <= worth.min():
        yield LintFinding(
            key,
            f"every outcome reaches {value:g}, so any deal is at least as good as no deal; "
            f"set it above {worth.min():g}",
        )


def _named(issue: Issue, places: list[int]) -> str:
    names = ", ".join(_shown(issue, place) for place in places[:4])
    more = f" and {len(places) - 4:,} more" if len(places) > 4 else ""
    return f"{names}{more} {'is' if len(places) == 1 else 'are'}"


def _shown(issue: Issue, place: int) -> str:
    choice: Value = issue.choices[place]
    return f"'{choice}'" if isinstance(choice, str) else issue.show(choice)


def files_in(path: Path) -> list[Path]:
    """Return a file itself, or the scenario files (*.yaml) of a folder; raise ScenarioError if there are none."""
    if not path.is_dir():
        return [path]
    if not (found := sorted(path.glob("*.yaml"))):
        raise ScenarioError(f"{path}: no scenario (*.yaml) in this folder")
    return found
