"""The limits, and setting them in app.yaml."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from manager.errors import ConfigError, ParleyError
from negotiation.admission.limits import PUBLIC, LimitReached, Limits
from negotiation.app.settings import SHIPPED, read_settings


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PARLEY_HOME": str(tmp_path / "home"), "PARLEY_CONFIG": str(tmp_path)}


def write(environment: dict[str, str], text: str) -> str:
    path = Path(environment["PARLEY_CONFIG"]) / "app.yaml"
    path.write_text(text)
    return str(path)


def test_single_limits_are_set_in_app_yaml(environment: dict[str, str]) -> None:
    write(environment, "limits:\n  lanes: 4\n  tokens_per_hour: 900\n")
    assert read_settings(environment).app.limits == Limits(lanes=4, tokens_per_hour=900)


def test_a_variable_chooses_the_public_set_and_app_yaml_still_counts(environment: dict[str, str]) -> None:
    write(environment, "limits:\n  rounds: 50\n  open_per_address: null\n")
    limits = read_settings({**environment, "PARLEY_LIMITS": "public"}).app.limits
    assert limits == dataclasses.replace(PUBLIC, rounds=50, open_per_address=None)


def test_an_unknown_set_of_limits_is_an_error(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"PARLEY_LIMITS: 'none' is not a set of limits; use one of private, public"):
        read_settings({**environment, "PARLEY_LIMITS": "none"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limits:\n  lanes: 0\n", "key 'limits.lanes': must be at least 1, got '0'"),
        ("limits:\n  lanes: '4'\n", "key 'limits.lanes': must be a whole number"),
        ("limits:\n  lanes: yes\n", "key 'limits.lanes': must be a whole number"),
        ("limits:\n  lane: 4\n", "key 'limits.lane': unknown key (known: lanes, lanes_per_visitor, queue,"),
        ("limits:\n  rounds: null\n", "key 'limits.rounds': must be a whole number"),
        ("limits: public\n", "key 'limits': must hold keys with values"),
        ("limits:\n  reply_tokens: 100\n", "key 'limits.reply_tokens': must be at least 1,200"),
    ],
)
def test_errors_name_file_and_key(environment: dict[str, str], text: str, message: str) -> None:
    path = write(environment, text)
    with pytest.raises(ConfigError, match="^" + re.escape(f"{path}: {message}")):
        read_settings(environment)


def test_every_public_limit_is_stricter() -> None:
    for name, value in dataclasses.asdict(Limits()).items():
        assert getattr(PUBLIC, name) is not None
        assert value is None or getattr(PUBLIC, name) < value, name


def test_app_yaml_explains_every_limit_with_its_default() -> None:
    text = (SHIPPED / "app.yaml").read_text()
    told = dict(re.findall(r"^#   (\w+): ([\w]+)", text, re.MULTILINE))
    limits = dataclasses.asdict(Limits())
    assert {name: None if value == "null" else int(value) for name, value in told.items()} == limits


def test_visitors_see_the_message_of_the_error() -> None:
    assert issubclass(LimitReached, ParleyError)
