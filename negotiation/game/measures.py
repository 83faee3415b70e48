"""How well a negotiation went: the figures of its end and of each turn, from scenario, end state and turns alone.

- Concession of an offer: the drop in one's own utility since one's last offer (negative where one asks for more). The
  first offer and turns that offer nothing have none.
- Regret of a turn: the best own utility among outcomes at or above the other side's reservation value, minus that of
  this turn: of the outcome offered or accepted, or of no deal when walking away.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence

from negotiation.game.events import Measures, SeatMeasures, Turn
from negotiation.game.protocol import Action, State
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import PLACES, SEATS, Seat


def final_utility(state: State, seat: Seat) -> float:
    """What a finished negotiation is worth to a seat: the discounted agreement, or the reservation value."""
    scenario = state.scenario
    if state.agreement is None:
        return scenario.roles[seat].reservation
    return scenario.discounted(scenario.utility(seat, state.agreement), state.round)


def measure(state: State, analyser: Analyser, turns: Sequence[Turn] = ()) -> Measures:
    """The figures of a finished negotiation and its turns."""
    a, b = final_utility(state, "a"), final_utility(state, "b")
    roles = state.scenario.roles
    return Measures(
        utility_a=a,
        utility_b=b,
        welfare_share=analyser.welfare_share(a, b),
        pareto_distance=analyser.pareto_distance(a, b),
        nash_distance=analyser.nash_distance(a, b),
        rational_a=a >= roles["a"].reservation,
        rational_b=b >= roles["b"].reservation,
        seats={seat: measure_seat(seat, analyser, turns) for seat in SEATS} if turns else {},
    )


def measure_seat(seat: Seat, analyser: Analyser, turns: Iterable[Turn]) -> SeatMeasures:
    """How a seat played its turns."""
    own = [turn for turn in turns if turn.seat == seat]
    best, reservation = analyser.best_given(seat), analyser.scenario.roles[seat].reservation
    values = [reservation if (utility := _own(turn)) is None else utility for turn in own]
    concession: list[float | None] = []
    last: float | None = None
    for turn, value in zip(own, values, strict=True):
        offers = turn.action is Action.OFFER
        concession.append(round(last - value, PLACES) if offers and last is not None else None)
        last = value if offers else last
    return SeatMeasures(
        concession=tuple(concession),
        regret=tuple(round(best - value, PLACES) for value in values),
        invalid=dict(Counter(entry.kind for turn in own for entry in turn.invalid)),
        tokens=sum(turn.tokens for turn in own),
        seconds=round(sum(turn.seconds for turn in own), 3),
        cost=total_cost(turn.cost for turn in own),
    )


def total_cost(costs: Iterable[float | None]) -> float | None:
    """The sum of what is priced, in US dollars; None where nothing is."""
    told = [cost for cost in costs if cost is not None]
    return math.fsum(told) if told else None


def fingerprint(turns: Iterable[Turn]) -> str:
    """What was done in a negotiation, in short: negotiations with the same moves have the same fingerprint."""
    moves = [(turn.seat, turn.action, turn.offer) for turn in turns]
    return hashlib.sha256(json.dumps(moves, sort_keys=True).encode()).hexdigest()[:16]


def _own(turn: Turn) -> float | None:
    return turn.utility_a if turn.seat == "a" else turn.utility_b
