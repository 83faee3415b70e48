"""How well a negotiation went: the figures of its end, computed from scenario, end state and nothing else."""

from __future__ import annotations

from negotiation.analysis import Analyser
from negotiation.events import Measures
from negotiation.protocol import State
from negotiation.scenario import Seat


def final_utility(state: State, seat: Seat) -> float:
    """What a finished negotiation is worth to a seat: the discounted agreement, or the reservation value."""
    scenario = state.scenario
    if state.agreement is None:
        return scenario.roles[seat].reservation
    return scenario.discounted(scenario.utility(seat, state.agreement), state.round)


def measure(state: State, analyser: Analyser) -> Measures:
    """The figures of a finished negotiation."""
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
    )
