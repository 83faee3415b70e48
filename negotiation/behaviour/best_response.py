"""What a side could have gained at best against a scripted opponent whose strategy and seed it knows.

A deal with a script is worth to it at least what it would accept in that turn. For scripts that do not react (those
that follow the clock, the hardliner, random offers), its demands and offers in every turn are known beforehand, so the
best response follows: accept its best offer, or make the offer that is best for oneself among those that it accepts.

For scripts that react, the least that each may ever demand in a turn is known in closed form (`_least_demands`), which
bounds what any response can gain. A response that drives the script there is then played against it. Where it gains as
much as the bound, the value is exact; else both are given.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from negotiation.agents.strategies import NOISE, SLACK, Strategy
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import AgentEvent, Ended
from negotiation.game.protocol import Action, GameState
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.analysis import Indices, OutcomeSpace
from negotiation.scenario.model import Offer, Scenario, Seat, other

TRIED = 6
"""How many of the most promising responses to a script that reacts are played."""


@dataclass(frozen=True)
class BestResponse:
    """What a best response gains: `worth` by one that was found and played, `at_most` by any. Discounted utilities."""

    worth: float
    at_most: float

    @property
    def exact(self) -> bool:
        """Whether no response gains more than the one that was found."""
        return self.at_most - self.worth <= SLACK


@dataclass(frozen=True)
class Deal:
    """A deal that may be had: its worth to the side, the turn in which it is made, and what to do for it.

    The side offers `fillers` in its turns before the last, and then `offer`, or accepts if that is None.
    """

    worth: float
    turn: int
    offer: int | None
    fillers: tuple[int, ...] = ()


def best_response(scenario: Scenario, seat: Seat, opponent: Strategy, seed: int) -> BestResponse:
    """Return what a side could gain at best against a script.

    Args:
        scenario: The scenario.
        seat: The side.
        opponent: The script in the other seat.
        seed: The seed of the negotiation; what the script draws by chance is known, too.
    """
    game = _Game(scenario, seat, opponent, seed)
    no_deal = scenario.roles[seat].reservation
    if not opponent.reacts:
        value = max([no_deal, *(deal.worth for deal in game.known_deals())])
        return BestResponse(value, value)
    deals = sorted(game.possible_deals(), key=lambda deal: (-deal.worth, deal.turn))
    at_most = max([no_deal, *(deal.worth for deal in deals)])
    worth = no_deal
    for deal in deals[:TRIED]:
        if deal.worth > worth + SLACK:
            worth = max(worth, game.gained(deal))
    return BestResponse(worth, at_most)


class _Game:
    """A negotiation against a script, from the point of view of the side that responds."""

    def __init__(self, scenario: Scenario, seat: Seat, opponent: Strategy, seed: int) -> None:
        self.scenario, self.seat, self.opponent, self.seed = scenario, seat, opponent, seed
        self.space = OutcomeSpace(scenario)
        self.own = self.space.utilities(seat)
        self.theirs = self.space.utilities(other(seat))
        self.best = float(self.theirs.max())
        first = 0 if other(seat) == "a" else 1
        self.turns = range(first, 2 * scenario.rounds, 2)  # of the script

    # -- scripts that do not react -----------------------------------------------------------------------------

    def known_deals(self) -> Iterator[Deal]:
        """Yield the best deals with a script that does not react, turn by turn until it leaves."""
        for turn in self.turns:
            stance = self.opponent.stance(self._view(turn))
            enough = self.theirs >= stance.needed
            if turn > 0 and enough.any():
                yield self._made(turn, self._best(enough))
            if stance.plan is None or (turn > 0 and enough.all()):  # it leaves, or accepts whatever is offered
                return
            if turn + 1 < 2 * self.scenario.rounds:
                yield self._accepted(turn + 1, self.space.index(stance.plan.offer))

    def _view(self, turn: int) -> View:
        table = self.space.offer(0) if turn else None
        state = GameState(self.scenario, turn, "a", table)
        return View("best response", self.scenario, self.space, state, other(self.seat), (), (), self.seed)

    # -- scripts that react ------------------------------------------------------------------------------------

    def possible_deals(self) -> Iterator[Deal]:
        """Yield, turn by turn, the best deals that a script that reacts may make; none is better, some may not exist.

        To accept one of its offers gains no more than to make the best offer that it accepts in the same turn, except
        before that is possible, and for MiCRO, whose offers follow one by one.
        """
        for number, turn in enumerate(self.turns):
            stays = self.best >= self._floor(turn + 1)
            demand = self._least_demand(number, turn) if stays else 0.0
            needed = self._floor(turn) if self._gives_in(turn) else max(demand, self._floor(turn))
            enough = self.theirs >= needed - SLACK
            if turn > 0 and enough.any():
                yield self._made(turn, self._best(enough), self._fillers(turn)[:-1])
            if not stays:  # it leaves
                return
            if turn + 1 < 2 * self.scenario.rounds and (turn == 0 or self.opponent.name == "micro"):
                yield self._accepted(turn + 1, self._offered(number, turn), self._fillers(turn + 1))

    def _offered(self, number: int, turn: int) -> int:
        """Return the first offer of a script that begins, or MiCRO's next one if it always heard something new."""
        if self.opponent.name != "micro":
            plan = self.opponent.stance(self._view(turn)).plan
            assert plan is not None
            return self.space.index(plan.offer)
        enough = int((self.theirs >= self._floor(turn + 1) - NOISE).sum())
        return int(self._ranking[min(number, enough - 1)])

    def _least_demand(self, number: int, turn: int) -> float:
        """Return the least worth to the script of any deal in its turn with a number, whatever was offered before.

        - *nice_tit_for_tat* demands at least half of its best, or its floor: best - (c + (1 - c) b) (best - m) with
          c <= 1, where m is the greatest of these and of the best offer received.
        - *tit_for_tat* demands its best before it has received two offers. Then its demand is, at the least,
          f + (best - f) (best - r) / (best - w), r being the worth of the last offer, w that of the worst outcome, and
          f the floor when it first reacts. A deal is worth both this and r, hence at least (f + q best) / (1 + q)
          with q = (best - f) / (best - w).
        - *micro* has made at most one new offer in each turn, so it demands what its next outcome is worth.
        """
        floor = self._floor(turn + 1)
        match self.opponent.name:
            case "nice_tit_for_tat":
                return max(self.best / 2, floor) if turn > 0 else self.best
            case "tit_for_tat":
                reacts = 2 if self.turns[0] == 0 else 1
                worst = float(self.theirs.min())
                if number < reacts or self.best - worst <= SLACK:
                    return self.best
                first = self._floor(self.turns[reacts] + 1)
                share = (self.best - first) / (self.best - worst)
                return max((first + share * self.best) / (1 + share), first)
            case "micro":
                return float(self.theirs[self._offered(number, turn)])
            case _:
                return floor

    def _fillers(self, turn: int) -> tuple[int, ...]:
        """Return an offer that the script refuses for each of the side's turns before a turn.

        These are the worst outcomes for it: all different for MiCRO, which concedes as often as it hears a new one.
        """
        count = len(range(1 - self.turns[0], turn, 2))
        worst = self._ranking[::-1] if self.opponent.name == "micro" else self._ranking[-1:]
        return tuple(int(index) for index in np.resize(worst, count))

    @cached_property
    def _ranking(self) -> Indices:
        return self.space.ranking(other(self.seat))

    # -- both --------------------------------------------------------------------------------------------------

    def _floor(self, turn: int) -> float:
        """Return the undiscounted utility below which the script makes no deal in a turn."""
        return self.opponent.floor(self.scenario, other(self.seat), turn, self.best)

    def _gives_in(self, turn: int) -> bool:
        return turn == 2 * self.scenario.rounds - 1 and self.opponent.gives_in

    def _best(self, possible: NDArray[np.bool_]) -> int:
        return int(np.argmax(np.where(possible, self.own, -1.0)))

    def _made(self, turn: int, index: int, fillers: tuple[int, ...] = ()) -> Deal:
        return Deal(self._worth(index, turn), turn, index, fillers)

    def _accepted(self, turn: int, index: int, fillers: tuple[int, ...] = ()) -> Deal:
        return Deal(self._worth(index, turn), turn, None, fillers)

    def _worth(self, index: int, turn: int) -> float:
        return self.scenario.discounted(float(self.own[index]), turn // 2 + 1)

    def gained(self, deal: Deal) -> float:
        """Play for a deal; return what that gains."""
        moves = [*deal.fillers, *([] if deal.offer is None else [deal.offer])]
        planned = Planned(self.space.offers(np.array(moves, dtype=np.intp)) if moves else ())
        agents: dict[Seat, Agent] = {self.seat: planned, other(self.seat): self.opponent}
        *_, end = negotiate(Negotiation("best response", self.scenario, agents, self.seed))
        assert isinstance(end, Ended)
        return end.measures.utility_a if self.seat == "a" else end.measures.utility_b


@dataclass(frozen=True)
class Planned:
    """Makes planned offers in turn, then accepts what is on the table."""

    offers: Sequence[Offer]
    name: str = "planned"

    def act(self, view: View) -> Generator[AgentEvent, Any, Decision]:
        yield from ()
        if len(view.own) < len(self.offers):
            return Decision(Action.OFFER, self.offers[len(view.own)])
        return Decision(Action.ACCEPT if view.state.table is not None else Action.WALK_AWAY)
