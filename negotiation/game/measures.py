"""Measure how well a negotiation went, from its scenario, final state and turns.

- Utilities, and with them welfare and rationality, are discounted. Distances are not: they are those of the outcome
  agreed on, or of the reservation values without a deal.
- Concession of an offer: the drop in the seat's own utility since its last offer (negative where it asks for more). The
  first offer and turns without an offer have none.
- Regret of a turn: the seat's best utility among outcomes at or above the other side's reservation value, minus the
  utility of the outcome that this turn offers or accepts, or of no deal when it walks away.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence

from negotiation.game.events import Measures, SeatMeasures, Turn
from negotiation.game.protocol import Action, GameState
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import PLACES, SEATS, Offer, Scenario, Seat


def final_utility(state: GameState, seat: Seat) -> float:
    """Return a finished negotiation's utility to a seat: the discounted agreement, or the reservation value."""
    scenario = state.scenario
    if state.agreement is None:
        return scenario.roles[seat].reservation
    return scenario.discounted(scenario.utility(seat, state.agreement), state.round)


def settled_worth(scenario: Scenario, agreement: Offer | None) -> tuple[float, float]:
    """Return the undiscounted utilities of an agreement to both sides, or their reservation values without one."""
    if agreement is None:
        return scenario.roles["a"].reservation, scenario.roles["b"].reservation
    return scenario.utility("a", agreement), scenario.utility("b", agreement)


def measure(state: GameState, analyser: Analyser, turns: Sequence[Turn] = ()) -> Measures:
    """Return the measures of a finished negotiation, and of its seats if turns are given."""
    a, b = final_utility(state, "a"), final_utility(state, "b")
    settled, roles = settled_worth(state.scenario, state.agreement), state.scenario.roles
    return Measures(
        utility_a=a,
        utility_b=b,
        welfare_share=analyser.welfare_share(a, b),
        pareto_distance=analyser.pareto_distance(*settled),
        nash_distance=analyser.nash_distance(*settled),
        rational_a=a >= roles["a"].reservation,
        rational_b=b >= roles["b"].reservation,
        seats={seat: measure_seat(seat, analyser, turns) for seat in SEATS} if turns else {},
    )


def measure_seat(seat: Seat, analyser: Analyser, turns: Iterable[Turn]) -> SeatMeasures:
    """Return the measures of a seat's turns."""
    own = [turn for turn in turns if turn.seat == seat]
    best, reservation = analyser.best_given(seat), analyser.scenario.roles[seat].reservation
    utilities = [turn.utility_a if seat == "a" else turn.utility_b for turn in own]
    values = [reservation if utility is None else utility for utility in utilities]
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


def measure_turns(analyser: Analyser, turns: Sequence[Turn]) -> dict[int, tuple[float | None, float]]:
    """Return concession and regret of every turn, by its index, also for an unfinished negotiation."""
    found: dict[int, tuple[float | None, float]] = {}
    for seat in SEATS:
        played = measure_seat(seat, analyser, turns)
        own = [turn.index for turn in turns if turn.seat == seat]
        found |= dict(zip(own, zip(played.concession, played.regret, strict=True), strict=True))
    return found


def normalised(analyser: Analyser, seat: Seat, utility: float) -> float:
    """Return a utility on the scale from the reservation value (0) to the best that the other side could accept (1).

    Clipped at -1, as there may be more room below the reservation value than above it. 0 if nothing can be gained.
    """
    reservation = analyser.scenario.roles[seat].reservation
    room = analyser.best_given(seat) - reservation
    return max(-1.0, min(1.0, (utility - reservation) / room)) if room > 10.0**-PLACES else 0.0


def accepted_below_reservation(scenario: Scenario, turns: Sequence[Turn], seat: Seat) -> bool | None:
    """Return whether a seat accepted a deal worth less to it, discounted, than no deal; None if it did not accept."""
    last = turns[-1] if turns else None
    if last is None or last.seat != seat or last.action is not Action.ACCEPT:
        return None
    utility = last.utility_a if seat == "a" else last.utility_b
    assert utility is not None
    return scenario.discounted(utility, last.round) < scenario.roles[seat].reservation


def total_cost(costs: Iterable[float | None]) -> float | None:
    """Return the sum of the known costs in US dollars; None if none is known."""
    known = [cost for cost in costs if cost is not None]
    return math.fsum(known) if known else None


def fingerprint(turns: Iterable[Turn]) -> str:
    """Return a short hash of the moves; negotiations with the same moves have the same fingerprint."""
    moves = [(turn.seat, turn.action, turn.offer) for turn in turns]
    return hashlib.sha256(json.dumps(moves, sort_keys=True).encode()).hexdigest()[:16]
