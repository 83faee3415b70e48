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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "here, line 3, column 1: duplicate key 'a'; keep one"),
        ("x: {a: 1, a: 1}", "here, line 1, column 11: duplicate key 'a'; keep one"),
        ("1: a\n'1': b", "here, line 2, column 1: duplicate key '1'; keep one"),
        ("a: &big [1]\nb: *big", "here, line 2, column 4: aliases (*name) are not supported; write the value out"),
        ("a: [1, 2", "here, line 1, column 9: expected ',' or ']', but got '<stream end>'"),
        ("? [1, 2]\n: 3", "here, line 1, column 3: keys must be plain words"),
        ("a: 1\n---\nb: 2", "here, line 2, column 1: but found another document"),
        ("a: 2024-13-45", "here: not valid YAML (month must be in 1..12)"),
        ("a: " + "1:" * 400 + "1.5", "here: not valid YAML (int too large to convert to float)"),
        (f"a: !<{'x' * 400}> 1", f"here, line 1, column 4: could not determine a constructor for the tag '{'x' * 253}"),
        ("[" * 50_000, "here: nested too deeply"),
        ("a" * (MAX_BYTES + 1), "here: larger than 1,000,000 characters; split it up"),
    ],
)
def test_errors_name_their_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "here")
    assert str(caught.value) == message


def test_tags_that_would_run_code_are_refused() -> None:
    with pytest.raises(ConfigError, match="here, line 1, column 4: could not determine a constructor"):
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
        ({"name": "x", "doors": 0}, ["key 'doors': Input should be greater than or equal to 1, got '0'"]),
        ({"doors": 0}, ["key 'name': missing", "key 'doors': Input should be greater than or equal to 1, got '0'"]),
        (["x"], ["expected a mapping of keys to values, got list"]),
        (None, ["expected a mapping of keys to values, got nothing"]),
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
    with pytest.raises(ValueError, match="here: expected a mapping"):
        validate(Car, 5, "here")
