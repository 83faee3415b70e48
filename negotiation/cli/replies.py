"""The command that reads replies as a negotiation would, for people who debug a model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from manager.config.strict_yaml import shown
from manager.errors import ConfigError
from negotiation.cli.base import Add, scenario_named
from negotiation.game.protocol import Action, State
from negotiation.replies.reader import read_reply
from negotiation.scenario.model import Scenario


def register(add: Add) -> None:
    """Add the commands of this module."""
    one = add("read-reply", read, "read replies strictly, as a negotiation does", json=False)
    one.add_argument("--scenario", required=True, metavar="SCENARIO", help="a scenario's id, or a YAML file")
    one.add_argument("--table", metavar="OFFER_JSON", help="the offer on the table that may be accepted")
    one.add_argument("file", metavar="FILE", help="a JSON string with one reply in each line (- for standard input)")


def read(options: argparse.Namespace) -> int:
    """Print what each reply is: a line of JSON with action, offer, message, and the kind if it is invalid."""
    state = _state(scenario_named(options.scenario), options.table)
    for text in list(_replies(options.file)):  # all of them, before anything is printed
        reply = read_reply(text, state)
        action = None if reply.action is None else str(reply.action)
        found = {"action": action, "offer": reply.offer, "message": reply.message, "invalid": reply.kind}
        sys.stdout.write(json.dumps(found) + "\n")
    return 0


def _state(scenario: Scenario, table: str | None) -> State:
    """The state in which the replies are given: at the beginning, or after an offer of the other side."""
    state = State(scenario)
    if table is None:
        return state
    try:
        offer = json.loads(table)
    except (ValueError, RecursionError):
        raise ConfigError(f"--table: {shown(table, 60)} is not JSON; give an offer like the ones in a reply") from None
    if problem := scenario.problem(offer):
        raise ConfigError(f"--table: {problem}")
    return state.apply(Action.OFFER, offer)


def _replies(name: str) -> Iterator[str]:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read ({error.strerror})") from None
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            reply = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, str):
            raise ConfigError(f"{name}, line {number}: not a JSON string; write each reply as one, in quotes")
        yield reply
