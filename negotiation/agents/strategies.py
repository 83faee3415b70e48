"""Scripted strategies: agents that need no model. They look at their own utility only, never at the other side's.

A strategy is a tactic, which says what to offer next and how much the offer on the table must be worth to be accepted
instead; the rest is common to all. None offers or takes less than its reservation value: where deals lose worth with
time, that of a deal in the round in which it would be made. In its last turn a strategy takes what is worth that much,
because nothing better can come; only the hardliner does not.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from negotiation.game.agent import Decision, View
from negotiation.game.events import AgentEvent
from negotiation.game.protocol import Action
from negotiation.scenario.model import Offer

SLACK = 1e-10
"""What is asked for may miss a utility by rounding; utilities have nine decimal places."""


@dataclass(frozen=True)
class Plan:
    """What a tactic would offer now, and the own utility from which on it accepts the offer on the table instead."""

    offer: Offer
    accepts: float


@dataclass(frozen=True)
class Outlook:
    """A turn as a tactic sees it; utilities are its own and undiscounted."""

    view: View
    floor: float  # no offer may be worth less
    best: float  # what the best outcome is worth; not below the floor

    @property
    def time(self) -> float:
        """How much of the rounds has passed, from 0 in the first to 1 in the last."""
        return (self.view.state.round - 1) / max(self.view.scenario.rounds - 1, 1)

    def worth(self, offer: Offer) -> float:
        """The own utility of an offer."""
        return self.view.scenario.utility(self.view.seat, offer)

    @property
    def made(self) -> list[Offer]:
        """The own offers so far."""
        return [turn.offer for turn in self.view.own if turn.offer is not None]

    @property
    def received(self) -> list[float]:
        """What the other side's offers so far were worth."""
        return [self.worth(offer) for offer in self.received_offers]

    @property
    def received_offers(self) -> list[Offer]:
        """The other side's offers so far."""
        return [turn.offer for turn in self.view.public if turn.seat != self.view.seat and turn.offer is not None]

    def asking(self, ask: float) -> Plan:
        """Offer what is worth `ask`, or as little above it as there is; chance decides among equals."""
        ask = min(max(ask, self.floor), self.best)
        utilities = self.view.utilities
        least = utilities[utilities >= ask - SLACK].min()
        equals = np.flatnonzero(utilities == least)
        return Plan(self.view.space.offer(int(self.view.random().choice(equals.tolist()))), ask)


Tactic = Callable[[Outlook], Plan]


class Strategy:
    """An agent that follows a tactic."""

    def __init__(self, name: str, tactic: Tactic, *, gives_in: bool = True) -> None:
        self.name = name
        self._tactic = tactic
        self._gives_in = gives_in

    def act(self, view: View) -> Generator[AgentEvent, Any, Decision]:
        yield from ()
        return self.decide(view)

    def decide(self, view: View) -> Decision:
        """What it does in a turn."""
        state, best = view.state, float(view.utilities.max())
        floor = _least(view, state.turn + 1)  # an offer is answered a turn later
        plan = self._tactic(Outlook(view, floor, best)) if best >= floor else None
        needed = plan.accepts if plan is not None else _least(view, state.turn)
        if state.last_turn and self._gives_in:
            needed = _least(view, state.turn)
        if state.table is not None and view.scenario.utility(view.seat, state.table) >= needed - SLACK:
            return Decision(Action.ACCEPT, message="That works for me. We have a deal.")
        if plan is None:
            return Decision(Action.WALK_AWAY, message="There is nothing here for me. Goodbye.")
        return Decision(Action.OFFER, plan.offer, message=_speak(view, plan.offer))


def _least(view: View, turn: int) -> float:
    """The undiscounted utility that a deal in a turn must have to be worth the reservation value."""
    return float(view.role.reservation / view.scenario.discount ** (turn // 2))


def _speak(view: View, offer: Offer) -> str:
    opening = "I propose" if not view.own else view.random().choice(["How about", "I can offer", "Let us say"])
    return f"{opening} {view.scenario.show(offer)}."


# -- tactics ---------------------------------------------------------------------------------------------------


def time_dependent(e: float) -> Tactic:
    """Asks for less as the deadline nears: best - (best - floor) x time^(1/e) (Faratin, Sierra & Jennings 1998).

    Boulware (e < 1) holds out and gives in late, a conceder (e > 1) gives in early, e = 1 is linear.
    """
    return lambda at: at.asking(at.best - (at.best - at.floor) * at.time ** (1 / e))


def hardliner(at: Outlook) -> Plan:
    """Asks for the best and takes nothing less: take it or leave it (Lewicki, Saunders & Minton 2003)."""
    return at.asking(at.best)


def random_walker(at: Outlook) -> Plan:
    """Offers anything that is not below the floor, and accepts what is worth no less than that.

    The zero-intelligence trader with a budget constraint (Gode & Sunder 1993).
    """
    enough = np.flatnonzero(at.view.utilities >= at.floor - SLACK)
    offer = at.view.space.offer(int(enough[at.view.random().randrange(len(enough))]))
    return Plan(offer, at.worth(offer))


def tit_for_tat(at: Outlook) -> Plan:
    """Gives way by the share by which the other side gave way, and takes back when it does.

    Relative tit-for-tat (Faratin, Sierra & Jennings 1998): what one asks for beyond the floor is multiplied by what
    the other side asked for in its latest offer over the one before. As its utility is not known, what it asks for is
    measured as what its offer costs oneself: the best outcome's utility minus the offer's.
    """
    if not at.made or len(at.received) < 2:
        return at.asking(at.best)
    before, latest = (at.best - utility for utility in at.received[-2:])
    ratio = latest / before if before > SLACK else 1.0
    return at.asking(at.floor + (at.worth(at.made[-1]) - at.floor) * ratio)


def nice_tit_for_tat(at: Outlook) -> Plan:
    """Answers the best that was ever conceded and never takes anything back.

    After Baarslag, Hindriks & Jonker (2013, "A tit for tat negotiation strategy for real-time bilateral
    negotiations"): one concedes the same share of the way to the point of agreement as the other side did. They
    estimate that point with a model of the other side; without one it is taken to lie halfway between the floor and
    the best outcome, and is never taken to be worse than what was offered already.
    """
    received = at.received
    if not received:
        return at.asking(at.best)
    meeting = max((at.floor + at.best) / 2, max(received))
    way = meeting - received[0]
    conceded = (max(received) - received[0]) / way if way > SLACK else 1.0
    return at.asking(at.best - conceded * (at.best - meeting))


def micro(at: Outlook) -> Plan:
    """Offers its outcomes one by one from the best down, a new one only if it made no more than it got.

    MiCRO (de Jonge 2022, "An analysis of the linear bilateral ANAC domains using the MiCRO benchmark strategy"):
    counts different offers on both sides; otherwise it repeats one of its own by chance. It accepts what is worth no
    less than the least that it is ready to offer.
    """
    order = np.argsort(-at.view.utilities, kind="stable")
    order = order[at.view.utilities[order] >= at.floor - SLACK]
    made, received = _different(at.made), _different(at.received_offers)
    if made <= received and made < len(order):
        offer = at.view.space.offer(int(order[made]))
        return Plan(offer, at.worth(offer))
    own = [offer for offer in at.made if at.worth(offer) >= at.floor - SLACK] or [at.view.space.offer(int(order[0]))]
    return Plan(at.view.random().choice(own), min(at.worth(offer) for offer in own))


def _different(offers: Iterable[Offer]) -> int:
    return len({tuple(sorted(offer.items())) for offer in offers})


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("boulware", time_dependent(0.2)),
        Strategy("linear", time_dependent(1.0)),
        Strategy("conceder", time_dependent(3.0)),
        Strategy("tit_for_tat", tit_for_tat),
        Strategy("nice_tit_for_tat", nice_tit_for_tat),
        Strategy("micro", micro),
        Strategy("hardliner", hardliner, gives_in=False),
        Strategy("random", random_walker),
    )
}
"""All strategies by name. Exponents as in Faratin et al.'s experiments: 0.2 is a firm boulware, 3 a mild conceder."""
