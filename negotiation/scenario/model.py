"""Scenarios: what is negotiated, what each outcome is worth to each role, and the story around it.

Knows the YAML form and its rules; what is optimal in a scenario is worked out in `analysis.py`.
"""

from __future__ import annotations

import math
import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from manager.config.strict_yaml import parse_yaml, read_yaml, shown, validate
from manager.errors import ConfigError
from negotiation.errors import ScenarioError

Seat = Literal["a", "b"]
SEATS: tuple[Seat, Seat] = ("a", "b")
Value = str | int
Offer = Mapping[str, Value]

MAX_OUTCOMES = 2_000_000
MOST_TEXT, MOST_TYPED = 100_000, 200_000
"""So many characters and so many outcomes may a scenario have that somebody typed in: either takes about a second."""
PLACES = 9
"""Utilities are rounded to so many decimal places, so that equal ones compare equal."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,12}")
Unit = Annotated[float, Field(ge=0, le=1)]
Utility = Annotated[Unit, AfterValidator(lambda value: round(value, PLACES))]
Whole = Annotated[int, Field(ge=-(10**12), le=10**12)]
Option = Annotated[str, Field(min_length=1, max_length=200)]
Options = Annotated[
    tuple[Option, ...], BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given)
]
Text = Annotated[str, Field(min_length=1, max_length=4000)]


def other(seat: Seat) -> Seat:
    """The seat across the table."""
    return "b" if seat == "a" else "a"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Range(_Strict):
    """Whole numbers from `min` to `max` in steps, all of them multiples of the step.

    That they are multiples lets a grammar say them as an integer range, however many there are.
    """

    min: Whole
    max: Whole
    step: Annotated[Whole, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _has_steps(self) -> Range:
        if self.max <= self.min:
            raise ValueError(f"max ({self.max}) must be above min ({self.min})")
        if (self.max - self.min) % self.step:
            raise ValueError(f"max - min ({self.max - self.min}) is not a whole number of steps of {self.step}")
        if off := self.min % self.step:
            below, above = self.min - off, self.min - off + self.step
            raise ValueError(f"min ({self.min}) is not a multiple of the step {self.step}; use {below} or {above}")
        return self


class Issue(_Strict):
    """Something to settle: named `options`, or a `range` of whole numbers with an optional unit (like €).

    `compatible` says that both sides want the same here, on purpose: a test of whether they find out.
    """

    title: Annotated[str, Field(max_length=80)] = ""
    unit: Annotated[str, Field(max_length=20)] = ""
    compatible: bool = False
    options: Options | None = None
    range: Range | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Issue:
        if (self.options is None) == (self.range is None):
            raise ValueError("give either options (a list of names) or range (min, max, step)")
        if self.options is not None:
            if len(self.options) < 2:
                raise ValueError("an issue needs at least two options")
            if len(set(self.options)) < len(self.options):
                raise ValueError("an option stands here twice")
        return self

    @cached_property
    def choices(self) -> tuple[Value, ...]:
        """Every option, in order."""
        if self.options is not None:
            return self.options
        assert self.range is not None
        return tuple(range(self.range.min, self.range.max + 1, self.range.step))

    @property
    def size(self) -> int:
        """How many options there are, without listing them."""
        if self.options is not None:
            return len(self.options)
        assert self.range is not None
        return (self.range.max - self.range.min) // self.range.step + 1

    def allows(self, value: object) -> bool:
        """Whether `value` is one of the options (True and 1.0 are no whole numbers)."""
        if self.options is not None:
            return isinstance(value, str) and value in self.options
        assert self.range is not None
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.range.min <= value <= self.range.max and value % self.range.step == 0

    def show(self, value: Value) -> str:
        """An option for people, with thousands separated and the unit."""
        if isinstance(value, str):
            return value
        number = f"{value:,}"
        if self.unit and self.unit in "€$£¥":
            return f"{self.unit}{number}"
        return f"{number} {self.unit}".strip()


def check_outcomes(issues: Iterable[Issue]) -> None:
    """Raises ValueError if issues make more outcomes than can be analysed."""
    outcomes = math.prod(issue.size for issue in issues)
    if outcomes > MAX_OUTCOMES:
        raise ValueError(f"{outcomes:,} outcomes are more than {MAX_OUTCOMES:,}; use larger steps")


class Role(_Strict):
    """One side: its private briefing and what every option is worth to it, from 0 to 1."""

    name: Annotated[str, Field(min_length=1, max_length=40)]
    briefing: Text
    reservation: Utility
    weights: dict[str, Unit]
    values: dict[str, dict[str | int, Unit]]


class Scenario(_Strict):
    """A scenario file. Utilities are weighted sums of option values and lie in [0, 1]."""

    scenario_id: str
    title: Annotated[str, Field(min_length=1, max_length=80)]
    story: Text
    rounds: Annotated[int, Field(ge=1, le=100)] = 8
    discount: Annotated[float, Field(gt=0, le=1)] = 1.0
    issues: dict[str, Issue]
    roles: dict[Seat, Role]

    @model_validator(mode="before")
    @classmethod
    def _numbers_from_json(cls, data: Any) -> Any:
        """JSON has texts for keys: let those of ranges be numbers again."""
        return _with_numbers(data) if isinstance(data, dict) else data

    @field_validator("issues")
    @classmethod
    def _plain_names(cls, issues: dict[str, Issue]) -> dict[str, Issue]:
        if not issues:
            raise ValueError("a scenario needs at least one issue")
        for name in issues:
            if not _NAME.fullmatch(name):
                raise ValueError(f"issue '{name}': use small letters, digits and _ (give a title for people)")
        check_outcomes(issues.values())
        return issues

    @model_validator(mode="after")
    def _complete(self) -> Scenario:
        if set(self.roles) != set(SEATS):
            raise ValueError("roles: exactly the roles a and b are needed")
        for seat, role in self.roles.items():
            _check_role(f"roles.{seat}", role, self.issues)
        if self.roles["a"].name == self.roles["b"].name:
            raise ValueError(f"roles: both are called '{self.roles['a'].name}'; give them different names")
        return self

    def names(self) -> Iterator[str]:
        """The issues' names, in order."""
        return iter(self.issues)

    @cached_property
    def outcomes(self) -> int:
        """How many outcomes there are."""
        return math.prod(issue.size for issue in self.issues.values())

    def value(self, seat: Seat, issue: str, choice: Value) -> float:
        """What an option of one issue is worth to a seat, from 0 to 1; ranges interpolate between given points."""
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
        """The points that are given for each seat and range, in order."""
        ranges = [name for name, issue in self.issues.items() if issue.range is not None]
        return {
            (seat, name): sorted(map(int, role.values[name])) for seat, role in self.roles.items() for name in ranges
        }

    def utility(self, seat: Seat, offer: Offer) -> float:
        """The undiscounted utility of an outcome to a seat."""
        weights = self.roles[seat].weights
        return round(sum(weights[name] * self.value(seat, name, offer[name]) for name in self.issues), PLACES)

    def discounted(self, utility: float, round_number: int) -> float:
        """What a utility agreed on in a round (from 1) is worth: utility x discount^(round - 1)."""
        return round(float(utility * self.discount ** (round_number - 1)), PLACES)

    def problem(self, offer: object) -> str | None:
        """What is wrong with an offer; None if it names exactly one option for each issue."""
        if not isinstance(offer, Mapping):
            return "an offer names one option for each issue"
        if missing := [name for name in self.issues if name not in offer]:
            return f"'{missing[0]}' is missing"
        if unknown := [name for name in offer if name not in self.issues]:
            return f"'{unknown[0]}' is not an issue (issues: {', '.join(self.issues)})"
        for name, issue in self.issues.items():
            if not issue.allows(offer[name]):
                return f"'{name}' cannot be {shown(offer[name], 60)} (allowed: {_allowed(issue)})"
        return None

    def show(self, offer: Offer) -> str:
        """An offer in a line for people."""
        return ", ".join(f"{issue.title or name}: {issue.show(offer[name])}" for name, issue in self.issues.items())


def check_id(scenario_id: str, where: str) -> None:
    """Raises ScenarioError if something is not a scenario id."""
    if not _NAME.fullmatch(scenario_id):
        raise ScenarioError(f"{where}: '{scenario_id}' is not a scenario id; use small letters, digits and _")


def parse_scenario(scenario_id: str, data: Any, where: str) -> Scenario:
    """A scenario from plain data; raises ScenarioError naming `where` and the key."""
    check_id(scenario_id, where)
    if isinstance(data, dict) and "scenario_id" in data:
        raise ScenarioError(f"{where}: key 'scenario_id': unknown key (the id is the file's name)")
    try:
        data = {**data, "scenario_id": scenario_id} if isinstance(data, dict) else data
        return validate(Scenario, data, where)
    except ConfigError as error:
        raise ScenarioError(str(error)) from None


def scenario_from_text(text: str, scenario_id: str = "own", where: str = "your scenario") -> Scenario:
    """A scenario from YAML text that somebody typed in; raises ScenarioError."""
    try:
        data = parse_yaml(text, where, MOST_TEXT)
    except ConfigError as error:
        raise ScenarioError(str(error)) from None
    scenario = parse_scenario(scenario_id, data, where)
    if scenario.outcomes > MOST_TYPED:
        count = f"{scenario.outcomes:,} outcomes are more than {MOST_TYPED:,}"
        raise ScenarioError(f"{where}: {count}; use larger steps, or put it into a file of the server's")
    return scenario


def load_scenario(path: Path) -> Scenario:
    """The scenario in a file, whose id is the file's name; raises ScenarioError."""
    try:
        data = read_yaml(path)
    except ConfigError as error:
        raise ScenarioError(str(error)) from None
    return parse_scenario(path.stem, data, str(path))


def load_scenarios(folder: Path) -> dict[str, Scenario]:
    """All scenarios of a folder, by id, in the order of their titles; raises ScenarioError for the first bad one."""
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
        return data  # what is wrong is said by the validation that follows
    return {**data, "roles": roles}


def _numbered(where: str, values: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    numbered: dict[Any, Any] = {}
    for key, value in values:
        number = int(key) if isinstance(key, str) and _WHOLE.fullmatch(key) else key
        if number in numbered:
            raise ValueError(f"{where}: {number} stands here twice; keep one")
        numbered[number] = value
    return numbered


def _allowed(issue: Issue) -> str:
    if issue.options is not None:
        return ", ".join(issue.options)
    assert issue.range is not None
    step = f" in steps of {issue.range.step}" if issue.range.step > 1 else ""
    return f"whole numbers from {issue.range.min} to {issue.range.max}{step}"


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
        raise ValueError(f"{where}: {unknown[0]!r} is not an option (allowed: {_allowed(issue)})")
    needed = issue.choices if issue.options is not None else (issue.choices[0], issue.choices[-1])
    if missing := [choice for choice in needed if choice not in values]:
        why = "" if issue.options is not None else " (give both ends; between given points values are interpolated)"
        raise ValueError(f"{where}: the value of {missing[0]!r} is missing{why}")
