"""The command that reads replies: what it prints for each, and what it says of files and offers that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from negotiation.cli import main as cli
from tests.support.hostile import ACCEPTED, GOOD, HOSTILE, OFFERED, YES

Read = Callable[..., tuple[int, str, str]]


@pytest.fixture
def read(tmp_path: Path, bike_data: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> Read:
    """Reads replies to an offer on the table; gives the exit status, standard output and standard error."""
    scenario, file = tmp_path / "bike.yaml", tmp_path / "replies.jsonl"
    scenario.write_text(yaml.safe_dump(bike_data))

    def run(content: str | bytes | list[str], *more: str) -> tuple[int, str, str]:
        if isinstance(content, list):
            content = "".join(json.dumps(text) + "\n" for text in content)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        status = cli.main(["read-reply", "--scenario", str(scenario), *more, str(file)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


TABLE = ("--table", json.dumps(GOOD))


def told(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_each_reply_is_a_line(read: Read) -> None:
    status, out, err = read([YES, json.dumps(OFFERED), "I accept."], *TABLE)
    assert (status, err) == (0, "")
    assert told(out) == [
        {"action": "accept", "offer": None, "message": "Deal!", "invalid": None},
        {"action": "offer", "offer": GOOD, "message": "Deal!", "invalid": None},
        {"action": None, "offer": None, "message": "", "invalid": "not_json"},
    ]


def test_without_a_table_there_is_nothing_to_accept(read: Read) -> None:
    assert [line["invalid"] for line in told(read([YES, json.dumps(OFFERED)])[1])] == ["illegal_action", None]


def test_hostile_replies_are_read_as_in_a_negotiation(read: Read) -> None:
    texts, kinds = zip(*HOSTILE.values(), strict=True)
    status, out, _ = read(list(texts), *TABLE)
    lines = told(out)
    assert status == 0
    assert [line["invalid"] for line in lines] == list(kinds)
    assert {(line["action"], line["offer"]) for line in lines} == {(None, None)}


def test_blank_lines_and_a_byte_order_mark_of_the_file_are_passed_over(read: Read) -> None:
    content = b"\xef\xbb\xbf\n" + json.dumps(YES).encode() + b"\r\n\n  \n" + json.dumps("\u2028no\u0085").encode()
    assert [line["invalid"] for line in told(read(content, *TABLE)[1])] == [None, "not_json"]
    assert read("")[:2] == (0, "")


@pytest.mark.parametrize("line", ["accept", json.dumps(ACCEPTED), "3", "null", '"', b"\xff", b'"\xc3"', "[" * 100_000])
def test_a_line_that_is_no_json_string_is_named(read: Read, line: str | bytes) -> None:
    content = json.dumps(YES).encode() + b"\n" + (line.encode() if isinstance(line, str) else line)
    status, out, err = read(content, *TABLE)
    assert (status, out) == (1, "")
    assert "replies.jsonl, line 2: not a JSON string" in err


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("price=150", "--table: 'price=150' is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "--table: an offer must name one option for each issue"),
        ('{"price": 150}', "--table: 'lock' is missing"),
        ('{"price": 155, "lock": "with"}', "--table: 'price' cannot be '155'"),
        ('{"price": 150.0, "lock": "with"}', "--table: 'price' cannot be '150.0'"),
    ],
)
def test_an_offer_on_the_table_must_be_one(read: Read, table: str, says: str) -> None:
    status, out, err = read([YES], "--table", table)
    assert (status, out) == (1, "")
    assert says in err


def test_a_file_that_is_not_there_is_named(read: Read, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read([YES])
    assert cli.main(["read-reply", "--scenario", "company_car", str(tmp_path / "none")]) == 1
    assert "none: cannot be read (No such file or directory)" in capsys.readouterr().err
    assert cli.main(["read-reply", "--scenario", "no_such", str(tmp_path / "replies.jsonl")]) == 1
    assert "--scenario: unknown scenario 'no_such'" in capsys.readouterr().err
