"""Pydantic's kinds of errors in plain words: none shows its own words or a Python type."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from manager.config.plain_words import either, kind_of, value_problem
from manager.config.strict_yaml import validate
from manager.errors import ConfigError

JARGON = re.compile(r"Input|valid (string|integer|dict|list|tuple)|\b(str|int|float|bool|dict|tuple|None)\b|type=")


class Anything(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    text: str = Field("x", min_length=1, max_length=3, pattern="^x*$")
    count: int = Field(1, ge=1, le=1_000_000, multiple_of=1)
    share: float = Field(0.5, gt=0, lt=1, allow_inf_nan=False)
    yes: bool = True
    some: list[int] = Field([1], min_length=1, max_length=2)
    pair: tuple[int, int] = (1, 2)
    either: str | int = 1
    one: Literal["a", "b"] = "a"
    named: dict[str, int] = {}
    nothing: None = None


WRONG: list[tuple[str, Any, str]] = [
    ("text", 1, "must be text, got '1'"),
    ("text", "", "must not be empty"),
    ("text", "xxxx", "must have at most 3 characters, got 'xxxx'"),
    ("text", "y", "does not have the form that it needs, got 'y'"),
    ("count", 0, "must be at least 1, got '0'"),
    ("count", 10**7, "must be at most 1,000,000, got '10000000'"),
    ("count", 1.5, "must be a whole number, got '1.5'"),
    ("count", {"a": 1}, "must be a whole number, got keys with values"),
    ("share", 1, "must be less than 1, got '1'"),
    ("share", float("inf"), "must be a finite number, got 'inf'"),
    ("share", "half", "must be a number, got 'half'"),
    ("yes", "yes", "must be true or false, got 'yes'"),
    ("some", [], "must have at least one entry, got a list"),
    ("some", [1, 2, 3], "must have at most 2 entries, got a list"),
    ("some", "x", "must be a list, got 'x'"),
    ("either", True, "must be text or a whole number, got 'true'"),
    ("either", None, "must be text or a whole number, got nothing"),
    ("one", "c", "must be 'a' or 'b', got 'c'"),
    ("named", 3, "must hold keys with values, got '3'"),
    ("nothing", 1, "must be left empty, got '1'"),
]


@pytest.mark.parametrize(("key", "value", "words"), WRONG, ids=[f"{key}: {value}" for key, value, _ in WRONG])
def test_a_wrong_value_is_told_in_plain_words(key: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(Anything, {key: value}, "here")
    assert str(caught.value) == f"here: key '{key}': {words}"
    assert not JARGON.search(str(caught.value))


def test_a_kind_that_is_not_known_yet_is_still_plain() -> None:
    assert value_problem("some_new_kind", {}) == "has a value that does not fit"


def test_alternatives_are_joined() -> None:
    assert either(["must be text", "must be text"]) == "must be text"
    assert either(["must be text", "missing"]) == "must be text; or missing"


def test_every_kind_of_value_has_a_name() -> None:
    named = [kind_of(value) for value in (None, True, "x", 1, 0.5, [], {}, object())]
    assert named == [
        "nothing",
        "true or false",
        "text",
        "a number",
        "a number",
        "a list",
        "keys with values",
        "something else",
    ]
