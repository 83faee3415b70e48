"""The labelled turns of tests/labelled_turns, and how the readings of messages do on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from manager.config.strict_yaml import read_yaml
from negotiation.app.settings import SHIPPED
from negotiation.behaviour.findings import READINGS
from negotiation.behaviour.preferences import revealed
from negotiation.behaviour.said import NextMove, Said
from negotiation.behaviour.traits import Validated
from negotiation.game.protocol import Action
from negotiation.replies.vocabulary import Vocabulary
from negotiation.scenario.model import Offer, Scenario, load_scenarios

FOLDER = Path(__file__).parents[2] / "tests" / "labelled_turns"
PARTS = ("held_out", "tuning")
NAMES = (*READINGS, "reveals")


@dataclass(frozen=True)
class LabelledTurn:
    """A turn with its labels: which readings should find something, and which issues it reveals."""

    name: str
    said: Said
    labels: frozenset[str]
    reveals: frozenset[str]

    def outcome(self, reading: str) -> tuple[set[str], set[str]]:
        """Return what a reading finds in the turn, and what it should find."""
        if reading == "reveals":
            return set(revealed(self.said)), set(self.reveals)
        return ({reading} if READINGS[reading](self.said) else set()), {reading} & self.labels


@cache
def labelled_turns(part: str) -> tuple[LabelledTurn, ...]:
    """Return the turns of a part: `tuning` or `held_out`."""
    scenarios = load_scenarios(SHIPPED / "scenarios")
    vocabularies = {name: Vocabulary(scenario) for name, scenario in scenarios.items()}
    return tuple(_turn(entry, vocabularies[entry["scenario"]]) for entry in read_yaml(FOLDER / f"{part}.yaml"))


def validate(part: str) -> dict[str, Validated]:
    """Return how each reading does on the turns of a part; `reveals` is counted by turn and issue."""
    return {name: _counts(labelled_turns(part), name) for name in NAMES}


def errors(part: str) -> Iterator[tuple[str, str, LabelledTurn]]:
    """Yield what readings find wrongly or miss: the reading, "wrong" or "missed", and the turn."""
    for name in NAMES:
        for turn in labelled_turns(part):
            found, wanted = turn.outcome(name)
            if found - wanted:
                yield name, "wrong", turn
            if wanted - found:
                yield name, "missed", turn


def _counts(turns: Sequence[LabelledTurn], name: str) -> Validated:
    outcomes = [turn.outcome(name) for turn in turns]
    return Validated(
        right=sum(len(found & wanted) for found, wanted in outcomes),
        wrong=sum(len(found - wanted) for found, wanted in outcomes),
        missed=sum(len(wanted - found) for found, wanted in outcomes),
    )


def _turn(entry: Mapping[str, Any], vocabulary: Vocabulary) -> LabelledTurn:
    scenario = vocabulary.scenario
    table, reply = (_offer(scenario, entry.get(key)) for key in ("table", "reply"))
    accepts = entry["does"] == Action.ACCEPT
    said = Said(
        vocabulary=vocabulary,
        seat=entry["seat"],
        round=entry["round"],
        message=entry["says"],
        offer=table if accepts else _offer(scenario, entry["does"]),
        last=_offer(scenario, entry.get("last")),
        table=table,
        reply=reply,
        then=_move(scenario, entry.get("then"), reply),
    )
    return LabelledTurn(entry["id"], said, frozenset(entry["labels"]), frozenset(entry.get("reveals", ())))


def _offer(scenario: Scenario, values: Any) -> Offer | None:
    return dict(zip(scenario.issues, values, strict=True)) if isinstance(values, list) else None


def _move(scenario: Scenario, then: Any, reply: Offer | None) -> NextMove | None:
    if then is None:
        return None
    if isinstance(then, list):
        return NextMove(Action.OFFER, _offer(scenario, then))
    return NextMove(Action(then), reply if then == Action.ACCEPT else None)
