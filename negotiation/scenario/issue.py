"""An issue: something to settle, as named options or a range of integers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Value = str | int
"""One option of an issue."""

MAX_OUTCOMES = 2_000_000
Whole = Annotated[int, Field(ge=-(10**12), le=10**12)]
Option = Annotated[str, Field(min_length=1, max_length=200)]
Options = Annotated[
    tuple[Option, ...], BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given)
]


class Strict(BaseModel):
    """A part of a scenario file: immutable, without unknown keys and without converted types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Range(Strict):
    """Integers from `min` to `max` in steps, all of them multiples of the step.

    Because they are multiples, a grammar can express them as an integer range, however many there are.
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


class Issue(Strict):
    """Something to settle: named `options`, or a `range` of integers with an optional unit (like €).

    `compatible` marks an issue on which both sides want the same on purpose, to test whether they find out. `split`
    marks a range from 0 that divides something: role a gets the number, role b what remains of the maximum.
    """

    title: Annotated[str, Field(max_length=80)] = ""
    unit: Annotated[str, Field(max_length=20)] = ""
    compatible: bool = False
    split: bool = False
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
                raise ValueError("an option is listed twice")
        if self.split and (self.range is None or self.range.min != 0):
            raise ValueError("split: only a range from 0 can be split between the roles; remove this key")
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
        """The number of options, without listing them."""
        if self.options is not None:
            return len(self.options)
        assert self.range is not None
        return (self.range.max - self.range.min) // self.range.step + 1

    @property
    def allowed(self) -> str:
        """The options, in words for an error message."""
        if self.options is not None:
            return ", ".join(self.options)
        assert self.range is not None
        step = f" in steps of {self.range.step}" if self.range.step > 1 else ""
        return f"whole numbers from {self.range.min} to {self.range.max}{step}"

    def allows(self, value: object) -> bool:
        """Return whether a value is one of the options (True and 1.0 are not integers)."""
        if self.options is not None:
            return isinstance(value, str) and value in self.options
        assert self.range is not None
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.range.min <= value <= self.range.max and value % self.range.step == 0

    def show(self, value: Value) -> str:
        """Return an option for people, with separated thousands and the unit."""
        if isinstance(value, str):
            return value
        number = f"{value:,}"
        if self.unit and self.unit in "€$£¥":
            return f"{self.unit}{number}"
        return f"{number} {self.unit}".strip()


def check_outcomes(issues: Iterable[Issue]) -> None:
    """Raise ValueError if issues have more outcomes than can be analysed."""
    outcomes = math.prod(issue.size for issue in issues)
    if outcomes > MAX_OUTCOMES:
        raise ValueError(f"{outcomes:,} outcomes are more than {MAX_OUTCOMES:,}; use larger steps")
