"""Scripted strategies: agents that need no model. They look only at their own utility, never at the other side's.

A strategy is a tactic plus what all strategies share. The tactic decides what to offer next and how much the offer on
the table must be worth to be accepted instead. No strategy offers or accepts less than its floor: its reservation
value, which with discounting depends on the round in which the deal would be made, and a margin, usually 0. In its last
turn a strategy accepts anything that reaches it, because nothing better can come; the hardliner and MiCRO do not.

Each strategy speaks as a character (personas.py), which has no influence on its moves.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from negotiation.agents.personas import spoken
from negotiation.game.agent import Decision, View
from negotiation.game.events import AgentEvent
from negotiation.game.protocol import Action
from negotiation.scenario.model import Offer, Scenario, Seat

SLACK = 1e-9
"""Tolerance when a utility is compared with an ask: both are off by up to half of the ninth decimal place."""
NOISE = 1e-10
"""Tolerance when a utility is compared with the floor, which must never be undercut: floating-point noise only."""


@dataclass(frozen=True)
class Plan:
    """The next offer of a tactic, and the own utility at which it accepts the offer on the table instead."""

    offer: Offer
    accepts: float


@dataclass(frozen=True)
class Stance:
    """What a strategy does in a turn: it accepts what is worth at least `needed` to it, else it makes its plan's offer.

    Without a plan, it leaves.
    """

    plan: Plan | None
    needed: float


@dataclass(frozen=True)
class Outlook:
    """A turn from the point of view of a tactic. Utilities are its own and undiscounted."""

    view: View
    floor: float  # the least that an offer may be worth
    best: float  # the utility of the best outcome, at least `floor`

    @property
    def time(self) -> float:
        """The fraction of the rounds that has passed, from 0 in the first to 1 in the last."""
        return (self.view.state.round - 1) / max(self.view.scenario.rounds - 1, 1)

    def worth(self, offer: Offer) -> float:
        """Return the own utility of an offer."""
        return self.view.space.worth(self.view.seat, offer)

    @property
    def made(self) -> list[Offer]:
        """The offers made so far."""
        return [turn.offer for turn in self.view.own if turn.offer is not None]

    @property
    def received(self) -> list[float]:
        """The own utilities of the offers received so far."""
        return [self.worth(offer) for offer in self.received_offers]

    @property
    def received_offers(self) -> list[Offer]:
        """The offers received so far."""
        return [turn.offer for turn in self.view.public if turn.seat != self.view.seat and turn.offer is not None]

    def asking(self, ask: float) -> Plan:
        """Offer an outcome worth `ask`, or as little above it as possible, chosen at random among equals."""
        ask = min(max(ask, self.floor), self.best)
        utilities = self.view.utilities
        enough = utilities >= max(ask - SLACK, self.floor - NOISE)
        equals = np.flatnonzero(enough & (utilities <= utilities[enough].min() + SLACK))
        return Plan(self.view.space.offer(int(self.view.random().choice(equals.tolist()))), ask)


Tactic = Callable[[Outlook], Plan]


class Strategy:
    """An agent that follows a tactic.

    Args:
        name: The technical name, as in configuration and results.
        persona: The name of the character that it speaks as.
        plain_name: What it does, in a few words for people.
        tactic: What it offers and accepts.
        gives_in: Whether it accepts anything above its floor in its last turn.
        draws: Whether its offers are drawn at random, not only from equally good ones.
        reacts: Whether what it asks for depends on the other side's offers.
        exponent: That of its tactic, if the tactic is `time_dependent`.
        margin: How far its floor lies above its reservation value, as a share of the way to its best outcome.
    """

    def __init__(
        self,
        name: str,
        persona: str,
        plain_name: str,
        tactic: Tactic,
        *,
        gives_in: bool = True,
        draws: bool = False,
        reacts: bool = False,
        exponent: float | None = None,
        margin: float = 0.0,
    ) -> None:
        self.name = name
        self.persona = persona
        self.draws = draws
        self.reacts = reacts
        self.plain_name = plain_name
        self.exponent = exponent
        self._tactic = tactic
        self.gives_in = gives_in
        self._margin = margin

    def giving_in(self, gives_in: bool) -> Strategy:
        """Return this strategy, giving in on its last turn or not."""
        return self.variant(gives_in=gives_in)

    def variant(
        self, *, gives_in: bool | None = None, exponent: float | None = None, margin: float | None = None
    ) -> Strategy:
        """Return this strategy with other parameters; None keeps its own. Only those with an exponent can change it."""
        return Strategy(
            self.name,
            self.persona,
            self.plain_name,
            self._tactic if exponent is None else time_dependent(exponent),
            gives_in=self.gives_in if gives_in is None else gives_in,
            draws=self.draws,
            reacts=self.reacts,
            exponent=self.exponent if exponent is None else exponent,
            margin=self._margin if margin is None else margin,
        )

    @property
    def label(self) -> str:
        """Who it is, as in "The Wall — never gives in (hardliner)"."""
        return f"{self.persona} — {self.plain_name} ({self.name})"

    @property
    def short(self) -> str:
        """The same in short, as in "The Wall (hardliner)"."""
        return f"{self.persona} ({self.name})"

    def act(self, view: View) -> Generator[AgentEvent, Any, Decision]:
        yield from ()
        return self.decide(view)

    def stance(self, view: View) -> Stance:
        """Return what it would accept in a turn, and what it does otherwise."""
        state, best = view.state, float(view.utilities.max())
        floor = self.floor(view.scenario, view.seat, state.turn + 1, best)  # an offer is answered one turn later
        plan = self._tactic(Outlook(view, floor, best)) if best >= floor else None
        needed = self.floor(view.scenario, view.seat, state.turn, best) - NOISE
        if plan is not None and not (state.last_turn and self.gives_in):
            needed = max(needed, plan.accepts - SLACK)
        return Stance(plan, needed)

    def decide(self, view: View) -> Decision:
        """Return the decision for a turn, with the character's words."""
        action, offer = self._move(view)
        return Decision(action, offer, spoken(self.name, view, action, offer))

    def _move(self, view: View) -> tuple[Action, Offer | None]:
        stance, table = self.stance(view), view.state.table
        if table is not None and view.space.worth(view.seat, table) >= stance.needed:
            return Action.ACCEPT, None
        return (Action.WALK_AWAY, None) if stance.plan is None else (Action.OFFER, stance.plan.offer)

    def floor(self, scenario: Scenario, seat: Seat, turn: int, best: float) -> float:
        """Return the undiscounted utility at which a deal in a turn is worth the reservation value and the margin.

        Args:
            best: The seat's greatest utility.
        """
        least = float(scenario.roles[seat].reservation / scenario.discount ** (turn // 2))
        return least + self._margin * max(best - least, 0.0)


# -- tactics ---------------------------------------------------------------------------------------------------


def time_dependent(e: float) -> Tactic:
    """Ask for less as the deadline nears: best - (best - floor) x time^(1/e) (Faratin, Sierra & Jennings 1998).

    A boulware (e < 1) holds out and gives in late, a conceder (e > 1) gives in early, and e = 1 is linear.
    """
    return lambda at: at.asking(at.best - (at.best - at.floor) * at.time ** (1 / e))


def hardliner(at: Outlook) -> Plan:
    """Ask for the best outcome and accept nothing less: take it or leave it (Lewicki, Saunders & Minton 2003)."""
    return at.asking(at.best)


def random_walker(at: Outlook) -> Plan:
    """Offer any outcome that reaches the floor, and accept what is worth at least as much as that offer.

    This is the zero-intelligence trader with a budget constraint (Gode & Sunder 1993).
    """
    enough = np.flatnonzero(at.view.utilities >= at.floor - NOISE)
    offer = at.view.space.offer(int(enough[at.view.random().randrange(len(enough))]))
    return Plan(offer, at.worth(offer))


def tit_for_tat(at: Outlook) -> Plan:
    """Concede in proportion to the other side's last concession, and retract when it retracts.

    Relative tit-for-tat (Faratin, Sierra & Jennings 1998): the demand above the floor is multiplied by the ratio of the
    other side's last two demands. Its utility is unknown, so its demand is measured by what its offer costs this side:
    the best outcome's utility minus the offer's.
    """
    latest_two = at.received_offers[-2:]
    if not at.made or len(latest_two) < 2:
        return at.asking(at.best)
    before, latest = (at.best - at.worth(offer) for offer in latest_two)  # the other side's demands
    ratio = latest / before if before > SLACK else 1.0
    return at.asking(at.floor + (at.worth(at.made[-1]) - at.floor) * ratio)


def nice_tit_for_tat(at: Outlook) -> Plan:
    """Match the largest concession that the other side ever made, never retract, and come closer as time runs out.

    After Baarslag, Hindriks & Jonker (2013, "A tit for tat negotiation strategy for real-time bilateral
    negotiations"): concede the same fraction of the way to the expected agreement as the other side did, plus a bonus
    of `_bonus` of what is left of it. They estimate the agreement with a model of the other side. Without one, it is
    assumed halfway between the floor and the best outcome, but never below the best offer received.
    """
    received = at.received
    if not received:
        return at.asking(at.best)
    meeting = max(at.best / 2, at.floor, max(received))
    distance = meeting - received[0]
    conceded = (max(received) - received[0]) / distance if distance > SLACK else 1.0
    return at.asking(at.best - (conceded + (1 - conceded) * _bonus(at)) * (at.best - meeting))


def _bonus(at: Outlook) -> float:
    """Return the share of the remaining distance that is given away, as the authors' implementation in GENIUS does.

    With discounting, at least 0.5 - 0.4 d, d being what a deal keeps of its worth at the deadline, which is 0.1 without
    discounting. From 91 % of the time on (85 % with more than 3,000 outcomes), the share rises to 1 within 5 % of the
    time.
    """
    scenario = at.view.scenario
    begins = 0.85 if scenario.outcomes > 3000 else 0.91
    return max(0.5 - 0.4 * scenario.discount**scenario.rounds, min(1.0, 20 * (at.time - begins)))


def micro(at: Outlook) -> Plan:
    """Offer outcomes one by one from the best down: a new one only if it made no more offers than it received.

    MiCRO (de Jonge 2022, "An analysis of the linear bilateral ANAC domains using the MiCRO benchmark strategy") counts
    distinct offers on both sides, and repeats one of its own at random if it is ahead. It accepts what is worth at
    least as much as the worst outcome that it is ready to offer. As in the paper, the deadline changes nothing, so it
    needs as many rounds as it takes to step down to a deal.
    """
    order = at.view.space.ranking(at.view.seat)[: int((at.view.utilities >= at.floor - NOISE).sum())]
    made, received = _distinct(at.made), _distinct(at.received_offers)
    if made <= received and made < len(order):
        offer = at.view.space.offer(int(order[made]))
        return Plan(offer, at.worth(offer))
    own = [offer for offer in at.made if at.worth(offer) >= at.floor - NOISE] or [at.view.space.offer(int(order[0]))]
    return Plan(at.view.random().choice(own), min(at.worth(offer) for offer in own))


def _distinct(offers: Iterable[Offer]) -> int:
    return len({frozenset(offer.items()) for offer in offers})


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("boulware", "The Hardhead", "holds out, then gives in late", time_dependent(0.2), exponent=0.2),
        Strategy("linear", "The Metronome", "gives in steadily", time_dependent(1.0), exponent=1.0),
        Strategy("conceder", "The Pleaser", "gives in early", time_dependent(3.0), exponent=3.0),
        Strategy("tit_for_tat", "The Mirror", "answers like with like", tit_for_tat, reacts=True),
        Strategy("nice_tit_for_tat", "The Diplomat", "returns every concession", nice_tit_for_tat, reacts=True),
        Strategy("micro", "The Bookkeeper", "matches step for step", micro, gives_in=False, reacts=True),
        Strategy("hardliner", "The Wall", "never gives in", hardliner, gives_in=False),
        Strategy("random", "The Gambler", "makes random acceptable offers", random_walker, draws=True),
    )
}
"""All strategies by name. The exponents are those of Faratin et al.'s experiments."""
