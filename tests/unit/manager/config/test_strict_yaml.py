"""Configuration files: everything that is wrong with one is said in one error, with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from manager.config.strict_yaml import MAX_BYTES, parse_yaml, read_yaml, validate
from manager.errors import ConfigError


class Wheel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inches: int


class Car(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    doors: Annotated[int, Field(ge=1)] = 4
    wheel: Wheel | None = None
    plate: str = Field("none", alias="licence-plate")

    @field_validator("name")
    @classmethod
    def _no_lemons(cls, value: str) -> str:
        if value == "lemon":
            raise ValueError("a lemon is not a car")
        return value


# -- YAML ------------------------------------------------------------------------------------------------------


def test_plain_data_is_read() -> None:
    text = "a: 1\nb: [x, 2.5, true, null]\nc: {d: e}\n"
    assert parse_yaml(text, "here") == {"a": 1, "b": ["x", 2.5, True, None], "c": {"d": "e"}}


IMPOSSIBLE = "not valid YAML: a date, a number or a character in it is impossible; put it in quotes"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "here, line 3, column 1: duplicate key 'a'; keep one"),
        ("x: {a: 1, a: 1}", "here, line 1, column 11: duplicate key 'a'; keep one"),
        ("1: a\n'1': b", "here, line 2, column 1: duplicate key '1'; keep one"),
        ("a: &big [1]\nb: *big", "here, line 2, column 4: aliases (*name) are not supported; write the value out"),
        ("a: [1, 2", "here, line 1, column 9: a bracket is not closed, or a comma is missing before it"),
        ("? [1, 2]\n: 3", "here, line 1, column 3: keys must be plain words"),
        ("a: 1\n---\nb: 2", "here, line 2, column 1: only one document fits in here; remove the line ---"),
        (
            "a: 2024-13-45",
            f"here: {IMPOSSIBLE}",
        ),
        (
            "a: " + "1:" * 400 + "1.5",
            f"here: {IMPOSSIBLE}",
        ),
        (f"a: !<{'x' * 400}> 1", "here, line 1, column 4: a tag (!name) has no place here; leave it out"),
        ("[" * 50_000, "here: nested too deeply"),
        ("a" * (MAX_BYTES + 1), "here: larger than 1,000,000 characters; split it up"),
    ],
)
def test_errors_name_their_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "here")
    assert str(caught.value) == message


def test_tags_that_would_run_code_are_refused() -> None:
    with pytest.raises(ConfigError, match="here, line 1, column 4: a tag"):
        parse_yaml("a: !!python/object/apply:os.getcwd []", "here")


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text("straße: ja\n", encoding="utf-8")
    assert read_yaml(path) == {"straße": "ja"}


def test_an_empty_file_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.touch()
    assert read_yaml(path) is None


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    missing, folder, binary, large = (tmp_path / name for name in ("missing", "folder", "binary", "large"))
    folder.mkdir()
    binary.write_bytes(b"a: \xff")
    large.write_text("#" * (MAX_BYTES + 1))
    for path, problem in [
        (missing, "no such file"),
        (folder, "cannot be read (Is a directory)"),
        (binary, "not UTF-8 text (invalid start byte at byte 3); save it as UTF-8"),
        (large, "larger than 1,000,000 bytes; split it up"),
    ]:
        with pytest.raises(ConfigError) as caught:
            read_yaml(path)
        assert str(caught.value) == f"{path}: {problem}"


# -- validation ------------------------------------------------------------------------------------------------


def test_good_data_becomes_an_object() -> None:
    car = validate(Car, {"name": "Beetle", "wheel": {"inches": 15}, "licence-plate": "B-1"}, "here")
    assert (car.name, car.doors, car.wheel, car.plate) == ("Beetle", 4, Wheel(inches=15), "B-1")


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        ({}, ["key 'name': missing"]),
        ({"name": "lemon"}, ["key 'name': a lemon is not a car"]),
        ({"name": "x", "color": 1}, ["key 'color': unknown key (known: name, doors, wheel, licence-plate)"]),
        ({"name": "x", "wheel": {"inches": 1, "cm": 2}}, ["key 'wheel.cm': unknown key (known: inches)"]),
        ({"name": "x", "doors": 0}, ["key 'doors': must be at least 1, got '0'"]),
        ({"doors": 0}, ["key 'name': missing", "key 'doors': must be at least 1, got '0'"]),
        (["x"], ["expected keys with values (key: value), got a list"]),
        (None, ["expected keys with values (key: value), got nothing"]),
    ],
)
def test_every_problem_is_listed_with_file_entry_and_key(data: Any, problems: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(Car, data, "cars.yaml", "car 'x'")
    assert str(caught.value).splitlines() == [f"cars.yaml: car 'x': {problem}" for problem in problems]


def test_long_values_are_cut() -> None:
    with pytest.raises(ConfigError) as caught:
        validate(Car, {"name": "x", "doors": "y" * 10_000}, "here")
    assert len(str(caught.value)) < 250


def test_a_configuration_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="here: expected keys with values"):
        validate(Car, 5, "here")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: b: c", "a colon has no place here"),
        ("a: 1\n  b: 2", "a colon has no place here"),
        ("a:\n\t- b", "use spaces here instead of tabs"),
        ("a: 'b", "a quote or bracket is not closed"),
        ("a:\n  b: 1\n c: 2", "this does not fit the lines above"),
        ("a: 1\nb\nc: 2", "a key has no colon after it"),
        ('a: "\\q"', "a backslash stands before the wrong letter"),
        ("a: @b", "this cannot be read; check the indentation, colons and quotes"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_in_plain_words(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "here")
    assert words in str(caught.value)
    ((place, said),) = caught.value.problems
    assert place.startswith("line ")
    assert said.startswith(words)


def test_problems_are_given_one_by_one_with_their_keys() -> None:
    with pytest.raises(ConfigError) as caught:
        validate(Car, {"doors": [1], "wheel": {"inches": "big"}}, "here")
    assert caught.value.problems == (
        ("name", "missing"),
        ("doors", "must be a whole number, got a list"),
        ("wheel.inches", "must be a whole number, got 'big'"),
    )
