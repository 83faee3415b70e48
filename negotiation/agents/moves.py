"""What a move amounts to in the eyes of the side that makes it, and the facts that its words may name.

Only public facts and the side's own preferences count, as for a strategy.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Literal, TypeVar

from negotiation.agents.phrases import in_words
from negotiation.game.agent import View
from negotiation.game.protocol import Action
from negotiation.scenario.issue import Issue
from negotiation.scenario.model import Offer, Scenario, Seat, other

STEP = 0.005
"""Changes of the own utility up to this one count as none."""
LARGE = 0.15
"""A concession is large from this share of all that a side can gain over no deal."""
SHORT = 0.75
"""How often the only number of an offer is said without its issue."""

Heard = Literal["nothing", "first", "gave", "held", "took"]
"""What the other side's latest offer was: none yet, its first, or better, equal or worse than the one before it."""
Drawn = TypeVar("Drawn")


class MoveKind(StrEnum):
    """What a move amounts to."""

    OPEN = "open"
    SMALL = "small"  # a small concession
    LARGE = "large"  # a large one
    HOLD = "hold"  # the same offer again
    SHIFT = "shift"  # another offer, worth as much
    RAISE = "raise"  # asks for more than before
    LAST = "last"  # the last offer that the other side can accept
    TOO_LATE = "too_late"  # an offer that nobody can accept any more
    ACCEPT = "accept"
    GIVE_IN = "give_in"  # accepts far less than the own last offer asked for
    LEAVE = "leave"


@dataclass(frozen=True)
class Term:
    """One issue of an offer, as one side sees it."""

    statement: str  # such as "Price: €600"
    number: str  # the same in short, such as "€600"; empty unless it is the only number of the offer
    value: float  # what its option is worth to the side, from 0 to 1
    weight: float
    change: float  # how much more of its utility it brings than in the side's previous offer
    firmer: str = ""  # "less" or "more": what the side does not want of a number


@dataclass(frozen=True)
class Moment:
    """A move, and what led to it. `offer` is the offer made or accepted, `before` the side's own previous one."""

    scenario: Scenario
    seat: Seat
    kind: MoveKind
    round: int
    heard: Heard = "nothing"
    offer: Offer | None = None
    before: Offer | None = None

    def facts(self, chance: random.Random) -> Mapping[str, str]:
        """Return what the words may name, by slot; terms are drawn by chance, weightier ones more often.

        - `me`, `other`, `round`, `topic`: both roles, the round in words, and the title of an issue.
        - `ask`, `pinch`: a term that suits the side (in an opening the one that does most), and one that hurts it.
        - `less`: what the side does not want of the number in `ask`: "less" or "more" of it.
        - `gift`, `gain`: a term in which the offer gives more, or asks for more, than the side's previous one.

        Terms also have a slot in quotation marks, `“ask”` and so on, for use within a sentence.
        """
        found = {**self._names, "topic": f"“{_drawn(self._topics, chance)}”"}
        for slot, weighted in self._nameable.items():
            term = _drawn(weighted, chance)
            found |= _stated(slot, term, chance)
            if slot == "ask" and term.firmer:
                found["less"] = term.firmer
        return found

    @cached_property
    def _names(self) -> dict[str, str]:
        roles = self.scenario.roles
        return {"me": roles[self.seat].name, "other": roles[other(self.seat)].name, "round": in_words(self.round)}

    @cached_property
    def _topics(self) -> list[tuple[str, float]]:
        weights = self.scenario.roles[self.seat].weights
        return [(issue.title or name, weights[name]) for name, issue in self.scenario.issues.items()]

    @cached_property
    def _nameable(self) -> dict[str, list[tuple[Term, float]]]:
        """The terms that each slot may name, with their weights; without the slots that none fits."""
        if not self.terms:
            return {}
        most = max(self.terms, key=lambda term: term.weight * term.value)
        suits = [(term, term.weight**2) for term in self.terms if term.value >= 0.5 and term.change >= 0]
        found = {
            "ask": suits if suits and self.kind is not MoveKind.OPEN else [(most, 1.0)],
            "gift": [(term, -term.change) for term in self.terms if term.change < 0],
            "gain": [(term, term.change) for term in self.terms if term.change > 0],
            "pinch": [(term, term.weight) for term in self.terms if term.value < 0.5 and term.weight > 0],
        }
        return {slot: terms for slot, terms in found.items() if terms}

    @property
    def action(self) -> Action:
        """What the side does."""
        if self.kind is MoveKind.LEAVE:
            return Action.WALK_AWAY
        return Action.ACCEPT if self.kind in (MoveKind.ACCEPT, MoveKind.GIVE_IN) else Action.OFFER

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The terms of the offer; none when walking away."""
        return tuple(map(self._term, self.scenario.issues)) if self.offer is not None else ()

    def _term(self, name: str) -> Term:
        assert self.offer is not None
        scenario, seat = self.scenario, self.seat
        issue, choice = scenario.issues[name], self.offer[name]
        weight, value = scenario.roles[seat].weights[name], scenario.value(seat, name, choice)
        change = 0.0 if self.before is None else weight * (value - scenario.value(seat, name, self.before[name]))
        shown, title = issue.show(choice), issue.title or name
        number = shown if issue.range is not None and self._numbers == [name] else ""
        return Term(f"{title}: {shown}", number, value, weight, change, self._firmer(name, issue))

    @cached_property
    def _numbers(self) -> list[str]:
        """The issues whose options in the offer are said with a number."""
        said = {name: self.scenario.issues[name].show(choice) for name, choice in (self.offer or {}).items()}
        return [name for name, words in said.items() if any(letter.isdigit() for letter in words)]

    def _firmer(self, name: str, issue: Issue) -> str:
        if issue.range is None:
            return ""
        low, high = (self.scenario.value(self.seat, name, end) for end in (issue.range.min, issue.range.max))
        return "less" if high > low else "more"


def moment(view: View, action: Action, offer: Offer | None = None) -> Moment:
    """Return what a move amounts to for the seat to move.

    Args:
        offer: The offer that is made.
    """
    made = [turn.offer for turn in view.own if turn.offer is not None]
    before = made[-1] if made else None
    settled = view.state.table if action is Action.ACCEPT else offer
    kind = _kind(view, action, settled, before)
    return Moment(view.scenario, view.seat, kind, view.state.round, _heard(view), settled, before)


def _kind(view: View, action: Action, offer: Offer | None, before: Offer | None) -> MoveKind:
    if offer is None:
        return MoveKind.LEAVE
    scenario, seat, state = view.scenario, view.seat, view.state
    gain = 0.0 if before is None else scenario.utility(seat, offer) - scenario.utility(seat, before)
    much = LARGE * max(1 - view.role.reservation, STEP)
    if action is Action.ACCEPT:
        return MoveKind.GIVE_IN if gain <= -much else MoveKind.ACCEPT
    if state.last_turn:
        return MoveKind.TOO_LATE
    if state.last_offer:
        return MoveKind.LAST
    if before is None:
        return MoveKind.OPEN
    if offer == before:
        return MoveKind.HOLD
    if abs(gain) <= STEP:
        return MoveKind.SHIFT
    if gain > 0:
        return MoveKind.RAISE
    return MoveKind.LARGE if gain <= -much else MoveKind.SMALL


def _heard(view: View) -> Heard:
    received = [turn.offer for turn in view.public if turn.seat != view.seat and turn.offer is not None][-2:]
    if len(received) < 2:
        return "first" if received else "nothing"
    before, latest = (view.scenario.utility(view.seat, offer) for offer in received)
    if abs(latest - before) <= STEP:
        return "held"
    return "gave" if latest > before else "took"


def _drawn(weighted: Sequence[tuple[Drawn, float]], chance: random.Random) -> Drawn:
    """Return one of some values with weights, drawn by chance; a weight of 0 still leaves a small one."""
    place = chance.random() * sum(weight + 1e-6 for _, weight in weighted)
    for value, weight in weighted:
        place -= weight + 1e-6
        if place < 0:
            return value
    return weighted[-1][0]


def _stated(slot: str, term: Term, chance: random.Random) -> dict[str, str]:
    if term.number and chance.random() < SHORT:
        return {slot: term.number, f"“{slot}”": term.number}
    return {slot: term.statement, f"“{slot}”": f"“{term.statement}”"}
