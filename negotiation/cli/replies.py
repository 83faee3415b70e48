"""The command that reads replies as a negotiation would, for debugging a model."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from manager.config.strict_yaml import shown
from manager.errors import ConfigError
from negotiation.cli.common.base import ScenarioOption, scenario_named
from negotiation.game.protocol import Action, GameState
from negotiation.replies.reader import read_reply
from negotiation.scenario.model import Scenario

app = typer.Typer()

REPLIES_HELP = "File with one reply per line, each a JSON string (- for standard input)."
Replies = Annotated[str, typer.Argument(metavar="FILE", help=REPLIES_HELP)]
Table = Annotated[
    str | None, typer.Option(metavar="OFFER_JSON", help="The other side's offer, on the table to be accepted.")
]


@app.command("read-reply")
def read(scenario: ScenarioOption, file: Replies, table: Table = None) -> int:
    """Read replies as strictly as a negotiation does.

    Prints a line of JSON for each: action, offer, message, and the kind of error if it is invalid.
    """
    state = _state(scenario_named(scenario), table)
    for text in list(_replies(file)):  # check the whole file before printing anything
        reply = read_reply(text, state)
        action = None if reply.action is None else str(reply.action)
        found = {"action": action, "offer": reply.offer, "message": reply.message, "invalid": reply.kind}
        sys.stdout.write(json.dumps(found) + "\n")
    return 0


def _state(scenario: Scenario, table: str | None) -> GameState:
    """Return the state in which the replies are given: the start, or after an offer by the other side."""
    state = GameState(scenario)
    if table is None:
        return state
    try:
        offer = json.loads(table)
    except (ValueError, RecursionError):
        raise ConfigError(f"--table: {shown(table, 60)} is not JSON; write the offer as in a reply") from None
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
