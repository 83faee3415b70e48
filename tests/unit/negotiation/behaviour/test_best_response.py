"""The best response to a known script: exact where it says so, and never beaten."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negotiation.agents.strategies import STRATEGIES, Strategy
from negotiation.behaviour.best_response import BestResponse, Planned, best_response
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import Ended
from negotiation.game.protocol import Action
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.model import SEATS, Scenario, Seat, other
from tests.support.effort import examples

Points = Callable[..., Scenario]
SLACK = 1e-9


def gained(scenario: Scenario, seat: Seat, agent: Agent, opponent: Strategy, seed: int) -> float:
    agents: dict[Seat, Agent] = {seat: agent, other(seat): opponent}
    *_, end = negotiate(Negotiation("run", scenario, agents, seed))
    assert isinstance(end, Ended)
    return end.measures.utility_a if seat == "a" else end.measures.utility_b


class Erratic:
    """Offers anything, accepts now and then, and leaves hardly ever."""

    name = "erratic"

    def act(self, view: View) -> Any:
        yield from ()
        rng = view.random()
        draw = rng.random()
        if view.state.table is not None and draw < 0.1:
            return Decision(Action.ACCEPT)
        if draw > 0.98:
            return Decision(Action.WALK_AWAY)
        return Decision(Action.OFFER, view.space.offer(rng.randrange(len(view.space))))


UNIT = st.integers(0, 100).map(lambda number: number / 100)


@st.composite
def games(draw: st.DrawFn) -> tuple[tuple[tuple[float, float], ...], dict[str, Any]]:
    points = tuple(draw(st.lists(st.tuples(UNIT, UNIT), min_size=2, max_size=40)))
    reservation = draw(UNIT.filter(lambda value: value < 0.8)), draw(UNIT.filter(lambda value: value < 0.8))
    about = {
        "rounds": draw(st.integers(1, 12)),
        "discount": draw(st.sampled_from([1.0, 0.97, 0.8])),
        "reservation": reservation,
    }
    return points, about


@examples(120)
@given(games(), st.sampled_from(sorted(STRATEGIES)), st.booleans(), st.sampled_from(SEATS), st.integers(0, 5))
def test_no_run_gains_more_than_the_best_response(
    of_points: Points, game: Any, name: str, gives_in: bool, seat: Seat, seed: int
) -> None:
    points, about = game
    scenario, opponent = of_points(*points, **about), STRATEGIES[name].giving_in(gives_in)
    best = best_response(scenario, seat, opponent, seed)
    assert scenario.roles[seat].reservation <= best.worth <= best.at_most
    agents: list[Agent] = [*STRATEGIES.values(), Erratic()]
    for agent in agents:
        assert gained(scenario, seat, agent, opponent, seed) <= best.at_most + SLACK, agent.name


@examples(25)
@given(
    st.lists(st.tuples(UNIT, UNIT), min_size=2, max_size=4),
    st.integers(1, 3),
    st.sampled_from([1.0, 0.9]),
    st.sampled_from(sorted(STRATEGIES)),
    st.sampled_from(SEATS),
)
def test_the_best_response_is_that_of_a_search_through_all_responses(
    of_points: Points, points: list[tuple[float, float]], rounds: int, discount: float, name: str, seat: Seat
) -> None:
    """All ways to make up to `rounds` offers, and then to accept or to leave."""
    scenario = of_points(*points, rounds=rounds, discount=discount, reservation=(0.1, 0.1))
    opponent, best = STRATEGIES[name], best_response(scenario, seat, STRATEGIES[name], 1)
    found = scenario.roles[seat].reservation
    for length in range(rounds + 1):
        for numbers in itertools.product(range(len(points)), repeat=length):
            offers = tuple({"deal": f"o{number}"} for number in numbers)
            found = max(found, gained(scenario, seat, Planned(offers), opponent, 1))
    assert best.worth - SLACK <= found <= best.at_most + SLACK
    if best.exact:
        assert found == pytest.approx(best.worth)


LINE = tuple((number / 100, 1 - number / 100) for number in range(101))


@pytest.mark.parametrize(
    ("name", "seat", "worth"),
    [
        ("hardliner", "a", 0.2),  # it takes all or nothing
        ("linear", "a", 0.8),  # it has the last word, and then takes what is worth 0.2 to it
        ("boulware", "a", 0.8),
        ("tit_for_tat", "a", 0.8),
        ("linear", "b", 0.8),  # on its last turn, when the last round begins, it asks for 0.2
        ("nice_tit_for_tat", "b", 0.5),  # it never gives more than half of its best
        ("tit_for_tat", "b", 0.44),  # (0.2 + 0.8 x 1) / (1 + 0.8) = 0.556 is the least that it takes
    ],
)
def test_best_responses_worked_out_by_hand(of_points: Points, name: str, seat: Seat, worth: float) -> None:
    scenario = of_points(*LINE, rounds=11, reservation=(0.2, 0.2))
    best = best_response(scenario, seat, STRATEGIES[name], 1)
    assert best == BestResponse(worth, worth)


def test_waiting_for_the_last_round_costs_what_discounting_takes(of_points: Points) -> None:
    """A conceder asks for 1 - t^(1/3) at time t; in round n a deal keeps 0.8^(n - 1) of its worth."""
    scenario = of_points(*LINE, rounds=11, discount=0.8)
    best = best_response(scenario, "a", STRATEGIES["conceder"], 1)
    asks = [1 - (number / 10) ** (1 / 3) for number in range(11)]
    by_hand = [round(0.8**number * (1 - 0.01 * -(-100 * ask // 1)), 9) for number, ask in enumerate(asks)]
    assert best.exact
    assert best.worth == pytest.approx(max(by_hand), abs=0.011)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_it_is_exact_for_every_strategy_on_shipped_scenarios(shipped: dict[str, Scenario], name: str) -> None:
    for scenario_id in ("company_car", "camp_supplies", "film_rights", "night_train"):
        for seat in SEATS:
            assert best_response(shipped[scenario_id], seat, STRATEGIES[name], 1).exact, scenario_id


def test_a_long_deadline_may_leave_only_bounds_for_micro(of_points: Points) -> None:
    """With more rounds than outcomes, it hears nothing new in the end, and steps down less far than the bound says."""
    scenario = of_points(*LINE[::10], rounds=40, reservation=(0.0, 0.0))
    best = best_response(scenario, "a", STRATEGIES["micro"], 1)
    assert best.worth <= best.at_most
    for name, agent in STRATEGIES.items():
        assert gained(scenario, "a", agent, STRATEGIES["micro"], 1) <= best.at_most + SLACK, name
