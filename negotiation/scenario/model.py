"""Scenarios: the issues, what each outcome is worth to each role, and the story around them.

This module defines the YAML format and its rules; `analysis` computes which outcomes are optimal.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from bisect import bisect
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from manager.config.strict_yaml import parse_yaml, read_yaml, shown, validate
from manager.errors import ConfigError
from negotiation.errors import ScenarioError
from negotiation.scenario.issue import Issue, Strict, Value, check_outcomes

Seat = Literal["a", "b"]
SEATS: tuple[Seat, Seat] = ("a", "b")
Offer = Mapping[str, Value]

MOST_TEXT, MOST_TYPED = 100_000, 200_000
"""Limits on the characters and outcomes of a scenario typed into the page; either limit takes about a second."""
MOST_ROUNDS = 1000
PLACES = 9
"""Utilities are rounded to this many decimal places, so that equal ones compare equal."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,12}")
Unit = Annotated[float, Field(ge=0, le=1)]
Utility = Annotated[Unit, AfterValidator(lambda value: round(value, PLACES))]
Text = Annotated[str, Field(min_length=1, max_length=4000)]


def other(seat: Seat) -> Seat:
    """Return the other seat."""
    return "b" if seat == "a" else "a"


class Role(Strict):
    """One side: its name, its private briefing, and what every option is worth to it, from 0 to 1."""

    name: Annotated[str, Field(min_length=1, max_length=40)]
    briefing: Text
    reservation: Utility
    weights: dict[str, Unit]
    values: dict[str, dict[str | int, Unit]]


class Origin(Strict):
    """Where a drawn scenario comes from: the seed and the number (from 1) that its family was asked for.

    `sha256` is the digest of the family's definition and of the version of the generator.
    """

    family: Annotated[str, Field(pattern=_NAME.pattern)]
    seed: Annotated[int, Field(ge=0)]
    index: Annotated[int, Field(ge=1)]
    sha256: Annotated[str, Field(pattern="[0-9a-f]{64}")]


class Scenario(Strict):
    """A scenario file. Utilities are weighted sums of option values and lie in [0, 1]."""

    scenario_id: str
    title: Annotated[str, Field(min_length=1, max_length=80)]
    story: Text
    rounds: Annotated[int, Field(ge=1, le=MOST_ROUNDS)] = 8
    discount: Annotated[float, Field(gt=0, le=1)] = 1.0
    issues: dict[str, Issue]
    roles: dict[Seat, Role]
    drawn_from: Origin | None = None

    @model_validator(mode="before")
    @classmethod
    def _numbers_from_json(cls, data: Any) -> Any:
        """Turn the keys of ranges back into numbers, since JSON only has strings."""
        return _with_numbers(data) if isinstance(data, dict) else data

    @field_validator("issues")
    @classmethod
    def _plain_names(cls, issues: dict[str, Issue]) -> dict[str, Issue]:
        if not issues:
            raise ValueError("a scenario needs at least one issue")
        for name in issues:
            if not _NAME.fullmatch(name):
                raise ValueError(f"issue '{name}': use lower-case letters, digits and _ (the title may be anything)")
        check_outcomes(issues.values())
        return issues

    @model_validator(mode="after")
    def _complete(self) -> Scenario:
        if set(self.roles) != set(SEATS):
            raise ValueError("roles: exactly the roles a and b are needed")
        for seat, role in self.roles.items():
            _check_role(f"roles.{seat}", role, self.issues)
        if self.roles["a"].name == self.roles["b"].name:
            raise ValueError(f"roles: both are named '{self.roles['a'].name}'; give them different names")
        return self

    @cached_property
    def outcomes(self) -> int:
        """The number of outcomes."""
        return math.prod(issue.size for issue in self.issues.values())

    @property  # not cached, since `model_copy` would copy it to a changed scenario
    def sha256(self) -> str:
        """The digest of the definition, without the id and the origin. Keys with their default values do not count."""
        definition = self.model_dump(mode="json", exclude={"scenario_id", "drawn_from"}, exclude_defaults=True)
        return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()

    def value(self, seat: Seat, issue: str, choice: Value) -> float:
        """Return what an option is worth to a seat, from 0 to 1; ranges interpolate between given points."""
        points = self.roles[seat].values[issue]
        if choice in points:
            return points[choice]
        assert isinstance(choice, int)
        numbers = self._given[seat, issue]
        place = bisect(numbers, choice)
        below, above = numbers[place - 1], numbers[place]
        share = (choice - below) / (above - below)
        return points[below] + share * (points[above] - points[below])

    @cached_property
    def _given(self) -> dict[tuple[Seat, str], list[int]]:
        """The numbers with given values for each seat and range, in order."""
        ranges = [name for name, issue in self.issues.items() if issue.range is not None]
        return {
            (seat, name): sorted(map(int, role.values[name])) for seat, role in self.roles.items() for name in ranges
        }

    def utility(self, seat: Seat, offer: Offer) -> float:
        """Return the undiscounted utility of an outcome to a seat: the sum of weight x value over the issues."""
        weights = self.roles[seat].weights
        return round(sum(weights[name] * self.value(seat, name, offer[name]) for name in self.issues), PLACES)

    def discounted(self, utility: float, round_number: int) -> float:
        """Return a utility agreed on in a round (from 1) after discounting: utility x discount^(round - 1)."""
        return round(float(utility * self.discount ** (round_number - 1)), PLACES)

    def problem(self, offer: object) -> str | None:
        """Return what is wrong with an offer; None if it names exactly one option for each issue."""
        if not isinstance(offer, Mapping):
            return "an offer must name one option for each issue"
        if missing := [name for name in self.issues if name not in offer]:
            return f"'{missing[0]}' is missing"
        if unknown := [name for name in offer if name not in self.issues]:
            return f"'{unknown[0]}' is not an issue (issues: {', '.join(self.issues)})"
        for name, issue in self.issues.items():
            if not issue.allows(offer[name]):
                return f"'{name}' cannot be {shown(offer[name], 60)} (allowed: {issue.allowed})"
        return None

    def show(self, offer: Offer) -> str:
        """Return an offer as one line for people."""
        return ", ".join(f"{issue.title or name}: {issue.show(offer[name])}" for name, issue in self.issues.items())


def check_id(scenario_id: str, where: str) -> None:
    """Raise ScenarioError if a text is not a scenario id."""
    if not _NAME.fullmatch(scenario_id):
        words = f"'{scenario_id}' is not a scenario id; use lower-case letters, digits and _"
        raise ScenarioError(f"{where}: {words}", [("scenario_id", words)])


def parse_scenario(scenario_id: str, data: Any, where: str) -> Scenario:
    """Create a scenario from plain data.

    Args:
        data: What a scenario file contains.
        where: The source of the data, for messages.

    Raises:
        ScenarioError: The data is not a scenario; names `where` and the key.
    """
    check_id(scenario_id, where)
    if isinstance(data, dict) and "scenario_id" in data:
        words = "unknown key (the id is the file's name)"
        raise ScenarioError(f"{where}: key 'scenario_id': {words}", [("scenario_id", words)])
    try:
        data = {**data, "scenario_id": scenario_id} if isinstance(data, dict) else data
        return validate(Scenario, data, where)
    except ConfigError as error:
        raise ScenarioError(str(error), error.problems) from None


def scenario_from_text(text: str, scenario_id: str = "own", where: str = "your scenario") -> Scenario:
    """Create a scenario from YAML text typed into the page; raise ScenarioError if it is invalid or too large."""
    try:
        data = parse_yaml(text, where, MOST_TEXT)
    except ConfigError as error:
        raise ScenarioError(str(error), error.problems) from None
    scenario = parse_scenario(scenario_id, data, where)
    if scenario.outcomes > MOST_TYPED:
        count = f"{scenario.outcomes:,} outcomes are more than {MOST_TYPED:,}"
        words = f"{count}; use larger steps, or store it as a file on the server"
        raise ScenarioError(f"{where}: {words}", [("issues", words)])
    return scenario


def load_scenario(path: Path) -> Scenario:
    """Load a scenario file; the id is the file's name without its ending. Raise ScenarioError if it is invalid."""
    try:
        data = read_yaml(path)
    except ConfigError as error:
        raise ScenarioError(str(error), error.problems) from None
    return parse_scenario(path.stem, data, str(path))


def load_scenarios(folder: Path) -> dict[str, Scenario]:
    """Load all scenarios of a folder, by id, sorted by title; raise ScenarioError for the first invalid one."""
    found = [load_scenario(path) for path in sorted(folder.glob("*.yaml"))]
    if not found:
        raise ScenarioError(f"{folder}: no scenario (*.yaml) in this folder")
    return {scenario.scenario_id: scenario for scenario in sorted(found, key=lambda scenario: scenario.title)}


def _with_numbers(data: dict[str, Any]) -> dict[str, Any]:
    try:
        ranges = [name for name, issue in data["issues"].items() if issue.get("range") is not None]
        roles = {}
        for seat, role in data["roles"].items():
            values = dict(role["values"])
            for name in ranges:
                if name in values:
                    values[name] = _numbered(f"roles.{seat}.values.{name}", values[name].items())
            roles[seat] = {**role, "values": values}
    except (KeyError, TypeError, AttributeError):
        return data  # the validation that follows reports what is wrong
    return {**data, "roles": roles}


def _numbered(where: str, values: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    numbered: dict[Any, Any] = {}
    for key, value in values:
        number = int(key) if isinstance(key, str) and _WHOLE.fullmatch(key) else key
        if number in numbered:
            raise ValueError(f"{where}: {number} appears twice; keep one")
        numbered[number] = value
    return numbered


def _check_role(where: str, role: Role, issues: Mapping[str, Issue]) -> None:
    for part, given in (("weights", role.weights), ("values", role.values)):
        if missing := [name for name in issues if name not in given]:
            raise ValueError(f"{where}.{part}: issue '{missing[0]}' is missing")
        if unknown := [name for name in given if name not in issues]:
            raise ValueError(f"{where}.{part}: '{unknown[0]}' is not an issue (issues: {', '.join(issues)})")
    total = sum(role.weights.values())
    if total < 1 - 1e-6 or round(total, PLACES) > 1:  # no utility is above 1
        raise ValueError(f"{where}.weights: they add up to {total:.10g}, not to 1")
    for name, issue in issues.items():
        _check_values(f"{where}.values.{name}", role.values[name], issue)


def _check_values(where: str, values: Mapping[str | int, float], issue: Issue) -> None:
    if unknown := [choice for choice in values if not issue.allows(choice)]:
        raise ValueError(f"{where}: {unknown[0]!r} is not an option (allowed: {issue.allowed})")
    needed = issue.choices if issue.options is not None else (issue.choices[0], issue.choices[-1])
    if missing := [choice for choice in needed if choice not in values]:
        why = "" if issue.options is not None else " (give both ends; values between given points are interpolated)"
        raise ValueError(f"{where}: the value of {missing[0]!r} is missing{why}")
