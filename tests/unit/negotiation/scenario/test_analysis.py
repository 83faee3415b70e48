"""What is optimal: small cases worked out by hand, and any scenario against plain loops over its outcomes."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negotiation.scenario.analysis import Analyser, OutcomeSpace, Point
from negotiation.scenario.model import Scenario, parse_scenario
from tests.support.effort import examples

Points = Callable[..., Scenario]


def number(point: Any) -> int | None:
    """Which of the given points a point is."""
    return None if point is None else int(point.offer["deal"][1:])


# -- the space of outcomes -------------------------------------------------------------------------------------


def test_the_last_issue_varies_fastest(bike: Scenario) -> None:
    space = OutcomeSpace(bike)
    assert len(space) == 22
    assert [space.offer(index) for index in (0, 1, 2, 21)] == [
        {"price": 100, "lock": "with"},
        {"price": 100, "lock": "without"},
        {"price": 110, "lock": "with"},
        {"price": 200, "lock": "without"},
    ]


def test_an_offers_options_have_the_types_of_a_reply(bike: Scenario) -> None:
    offer = OutcomeSpace(bike).offer(7)
    assert [type(value) for value in offer.values()] == [int, str]
    assert bike.problem(offer) is None


@given(data=st.data())
@examples(100)
def test_numbers_and_offers_match(data: st.DataObject, scenarios: st.SearchStrategy[Scenario]) -> None:
    scenario = data.draw(scenarios)
    space = OutcomeSpace(scenario)
    assert len(space) == scenario.outcomes
    index = data.draw(st.integers(0, len(space) - 1))
    assert space.index(space.offer(index)) == index
    for seat in ("a", "b"):
        assert space.utilities(seat)[index] == scenario.utility(seat, space.offer(index))


# -- worked out by hand ----------------------------------------------------------------------------------------


def test_the_frontier_lists_every_tied_outcome(of_points: Points) -> None:
    scenario = of_points((1, 0), (0.5, 0.5), (0.4, 0.5), (0.5, 0.5), (0.5, 0.4), (0, 1), (1, 0), (0, 0.9))
    assert Analyser(scenario).frontier.tolist() == [0, 6, 1, 3, 5]


def test_an_outcome_that_is_best_for_both_is_the_whole_frontier(of_points: Points) -> None:
    analyser = Analyser(of_points((1, 0.2), (0.9, 0.9), (1, 0.9), (0.3, 0.9)))
    assert analyser.frontier.tolist() == [2]


def test_each_solution_may_be_another_outcome(of_points: Points) -> None:
    """From (0, 0), the possible gains being 1 and 0.8.

    | outcome | utilities | product | shares of the gain | smaller share | smaller gain | sum  |
    | 0       | 1.0, 0.1  | 0.10    | 1.0, 0.125         | 0.125         | 0.1          | 1.1  |
    | 1       | 0.6, 0.55 | 0.33    | 0.6, 0.6875        | 0.6           | 0.55         | 1.15 |
    | 2       | 0.1, 0.8  | 0.08    | 0.1, 1.0           | 0.1           | 0.1          | 0.9  |
    | 3       | 0.7, 0.5  | 0.35    | 0.7, 0.625         | 0.625         | 0.5          | 1.2  |
    | 4       | 0.9, 0.4  | 0.36    | 0.9, 0.5           | 0.5           | 0.4          | 1.3  |
    """
    points = (1.0, 0.1), (0.6, 0.55), (0.1, 0.8), (0.7, 0.5), (0.9, 0.4)
    found = Analyser(of_points(*points)).analysis()
    assert found.outcomes == 5
    assert [number(point) for point in found.pareto] == [0, 4, 3, 1, 2]
    assert number(found.nash) == 4
    assert number(found.kalai_smorodinsky) == 3
    assert number(found.egalitarian) == 1
    assert number(found.max_welfare) == 4
    assert found.opposition == pytest.approx(math.hypot(0.3, 0.5))


def test_gains_are_counted_from_the_reservation_values(of_points: Points) -> None:
    """Products of gains over (0.5, 0.1): 0.4 x 0.2, 0.1 x 0.5 and none; from (0, 0) the second would win."""
    points = (0.9, 0.3), (0.6, 0.6), (0.45, 0.9)
    analyser = Analyser(of_points(*points, reservation=(0.5, 0.1)))
    assert analyser.nash == 0
    assert analyser.rational.tolist() == [0, 1]
    assert Analyser(of_points(*points)).nash == 2


def test_kalai_smorodinsky_looks_at_rational_outcomes_only(of_points: Points) -> None:
    """Outcome 3 would be worth 1 to a, but b would not take it; so the most that a can gain is 0.3, not 0.5."""
    points = (0.8, 0.55), (0.65, 0.65), (0.55, 0.9), (1.0, 0.3), (0.7, 0.63)
    analyser = Analyser(of_points(*points, reservation=(0.5, 0.5)))
    assert analyser.kalai_smorodinsky == 1  # smaller shares: 0.125, 0.375, 0.1667, none, 0.325


@pytest.mark.parametrize(
    ("points", "reservation", "nash", "kalai", "egalitarian"),
    [
        ([(1, 0.1), (0.1, 1)], (0.2, 0.2), None, None, None),  # nothing is acceptable to both
        ([(0.5, 0.5), (0.1, 1)], (0.5, 0.5), None, None, 0),  # no deal is as good
        ([(0.5, 0.9), (0.1, 1)], (0.5, 0.5), None, None, 0),  # only b can gain
        ([(0.51, 0.9), (0.1, 1)], (0.5, 0.5), 0, 0, 0),  # exactly one deal is better for both
    ],
)
def test_where_there_is_little_room(
    of_points: Points, points: Any, reservation: Any, nash: Any, kalai: Any, egalitarian: Any
) -> None:
    found = Analyser(of_points(*points, reservation=reservation)).analysis()
    solutions = found.nash, found.kalai_smorodinsky, found.egalitarian
    assert [number(point) for point in solutions] == [nash, kalai, egalitarian]


def test_if_only_one_side_can_gain_at_a_time_there_is_no_nash_point(of_points: Points) -> None:
    analyser = Analyser(of_points((1, 0.2), (0.2, 0.9), reservation=(0.2, 0.2)))
    assert analyser.nash is None
    assert analyser.egalitarian == 0  # both leave one side where it was; here the other gains more


def test_an_outcome_worth_exactly_the_reservation_value_is_rational(of_points: Points) -> None:
    third = 1 / 3
    analyser = Analyser(of_points((third, third), (0.2, 0.9), reservation=(third, third)))
    assert analyser.rational.tolist() == [0]


def test_the_largest_sum_wins_however_uneven(of_points: Points) -> None:
    assert Analyser(of_points((0.5, 0.5), (0.9, 0.100004))).max_welfare == 1


def test_equal_sums_are_broken_by_evenness(of_points: Points) -> None:
    assert Analyser(of_points((1.0, 0.2), (0.7, 0.5), (0.6, 0.6), (0.5, 0.7))).max_welfare == 2


def test_ties_are_not_broken_by_rounding(of_points: Points) -> None:
    """Gains of 0.3 and 0.2, whichever way round: as binary fractions 0.5 - 0.2 and 0.4 - 0.1 are not the same."""
    analyser = Analyser(of_points((0.6, 0.3), (0.5, 0.4), (0.4, 0.5), reservation=(0.3, 0.1)))
    assert analyser.nash == 0  # 0.3 x 0.2 = 0.2 x 0.3
    assert analyser.egalitarian == 0
    assert Analyser(of_points((0.4, 0.3), (0.5, 0.3), (0.3, 0.5), reservation=(0.2, 0.1))).egalitarian == 1


def test_opposition_is_the_distance_to_the_best_of_both_worlds(of_points: Points) -> None:
    assert Analyser(of_points((1, 0), (0.6, 0.7), (0, 1))).opposition == pytest.approx(0.5)
    assert Analyser(of_points((1, 1), (0, 1))).opposition == 0.0


def test_distances_to_the_frontier_and_to_nash(of_points: Points) -> None:
    analyser = Analyser(of_points((1, 0), (0.6, 0.7), (0, 1), (0.3, 0.3)))
    assert analyser.pareto_distance(0.3, 0.3) == pytest.approx(0.5)
    assert analyser.nash_distance(0.3, 0.3) == pytest.approx(0.5)
    assert analyser.pareto_distance(1, 0) == 0.0
    assert analyser.nash_distance(1, 0) == pytest.approx(math.hypot(0.4, 0.7))


def test_without_a_nash_point_there_is_no_distance_to_it(of_points: Points) -> None:
    assert Analyser(of_points((1, 0), (0, 1))).nash_distance(1, 0) is None


def test_the_share_of_the_possible_welfare(of_points: Points) -> None:
    analyser = Analyser(of_points((1, 0.25), (0.5, 0.5)))
    assert analyser.welfare_share(0.5, 0.5) == 0.8
    assert analyser.welfare_share(1, 0.25) == 1.0


def test_if_no_outcome_is_worth_anything_the_welfare_share_is_1(of_points: Points) -> None:
    assert Analyser(of_points((0, 0), (0, 0))).welfare_share(0, 0) == 1.0


@pytest.mark.parametrize(
    ("reached", "better"),
    [
        ((0.3, 0.3), 1),  # both could have had much more
        ((0.55, 0.2), 1),
        ((0.2, 0.8), 2),  # only this one is no worse for b
        ((0.9, 0.0), 0),
        ((0.6, 0.7), None),  # on the frontier
        ((0.5, 0.95), None),  # nothing has as much for b and more for a
    ],
)
def test_an_improvement_for_both(of_points: Points, reached: tuple[float, float], better: Any) -> None:
    analyser = Analyser(of_points((1, 0), (0.6, 0.7), (0.3, 0.9)))
    assert number(analyser.improvement(*reached)) == better


def test_the_best_that_the_other_side_would_take(of_points: Points) -> None:
    analyser = Analyser(of_points((1, 0.1), (0.8, 0.3), (0.4, 0.9), reservation=(0.5, 0.3)))
    assert (analyser.best_given("a"), analyser.best_given("b")) == (0.8, 0.3)


def test_if_the_other_side_takes_nothing_there_is_nothing_to_get(of_points: Points) -> None:
    assert Analyser(of_points((1, 0.1), (0.8, 0.2), reservation=(0, 0.5))).best_given("a") == 0.0


def test_a_point_is_an_outcome_with_its_worth_to_both_sides(bike: Scenario) -> None:
    analyser = Analyser(bike)
    point = analyser.point(analyser.space.index({"price": 160, "lock": "with"}))
    assert point == Point({"price": 160, "lock": "with"}, 0.45, 0.82)


def test_the_zone_of_agreement_is_the_share_of_outcomes_that_both_would_take(of_points: Points) -> None:
    analyser = Analyser(of_points((1, 0.1), (0.8, 0.3), (0.4, 0.9), (0.5, 0.5), reservation=(0.5, 0.3)))
    assert analyser.zone == analyser.analysis().zone == 0.5


# -- against plain loops ---------------------------------------------------------------------------------------


@given(data=st.data())
@examples(150)
def test_any_scenario_agrees_with_plain_loops(data: st.DataObject, scenarios: st.SearchStrategy[Scenario]) -> None:
    scenario = data.draw(scenarios)
    analyser = Analyser(scenario)
    choices = [issue.choices for issue in scenario.issues.values()]
    offers = [dict(zip(scenario.issues, picked, strict=True)) for picked in itertools.product(*choices)]
    points = [(scenario.utility("a", offer), scenario.utility("b", offer)) for offer in offers]
    floor = scenario.roles["a"].reservation, scenario.roles["b"].reservation
    gains = [(a - floor[0], b - floor[1]) for a, b in points]
    rational = [i for i, (a, b) in enumerate(gains) if a >= 0 and b >= 0]

    def beaten(i: int) -> bool:
        (a, b) = points[i]
        return any(x >= a and y >= b and (x, y) != (a, b) for x, y in points)

    frontier = [i for i in range(len(points)) if not beaten(i)]
    assert sorted(analyser.frontier.tolist()) == frontier
    assert [points[i][0] for i in analyser.frontier] == sorted((points[i][0] for i in frontier), reverse=True)
    assert analyser.rational.tolist() == rational

    products = [a * b for a, b in gains if a > 0 and b > 0]
    if products:
        assert analyser.nash in frontier
        assert analyser.nash is not None
        assert math.prod(gains[analyser.nash]) == pytest.approx(max(products), abs=1e-12)
        assert min(gains[analyser.nash]) > 0
    else:
        assert analyser.nash is None

    top = [max((gains[i][side] for i in rational), default=0.0) for side in (0, 1)]
    if min(top) > 0:
        shares = {i: (gains[i][0] / top[0], gains[i][1] / top[1]) for i in rational}
        assert analyser.kalai_smorodinsky in frontier
        assert min(shares[analyser.kalai_smorodinsky]) == pytest.approx(max(map(min, shares.values())), abs=1e-12)
    else:
        assert analyser.kalai_smorodinsky is None
    if rational:
        assert analyser.egalitarian in frontier
        best = max(min(gains[i]) for i in rational)
        assert min(gains[analyser.egalitarian]) == pytest.approx(best, abs=1e-12)
    else:
        assert analyser.egalitarian is None

    assert analyser.max_welfare in frontier
    assert sum(points[analyser.max_welfare]) == pytest.approx(max(map(sum, points)), abs=1e-12)
    assert analyser.opposition == pytest.approx(min(math.dist(point, (1, 1)) for point in points), abs=1e-12)

    reached = data.draw(st.tuples(st.floats(0, 1), st.floats(0, 1)))
    assert analyser.pareto_distance(*reached) == pytest.approx(min(math.dist(points[i], reached) for i in frontier))
    assert analyser.best_given("a") == max(
        (a for (a, _), (_, gain) in zip(points, gains, strict=True) if gain >= 0), default=0
    )
    assert analyser.best_given("b") == max(
        (b for (_, b), (gain, _) in zip(points, gains, strict=True) if gain >= 0), default=0
    )


@given(data=st.data())
@examples(100)
def test_an_improvement_makes_neither_side_worse_off(
    data: st.DataObject, scenarios: st.SearchStrategy[Scenario]
) -> None:
    scenario = data.draw(scenarios)
    analyser = Analyser(scenario)
    reached = analyser.point(data.draw(st.integers(0, scenario.outcomes - 1)))
    better = analyser.improvement(reached.utility_a, reached.utility_b)
    index = analyser.space.index(reached.offer)
    if index in analyser.frontier:
        assert better is None
    else:
        assert better is not None
        assert better.utility_a >= reached.utility_a
        assert better.utility_b >= reached.utility_b
        assert analyser.space.index(better.offer) in analyser.frontier


# -- size ------------------------------------------------------------------------------------------------------


def large(issues: dict[str, Any]) -> Scenario:
    """A scenario of some issues, where each option is better for a and worse for b than the one before."""
    roles = {}
    for seat in ("a", "b"):
        values = {}
        for name, issue in issues.items():
            ends = [issue["range"]["min"], issue["range"]["max"]] if "range" in issue else issue["options"]
            worth = np.linspace(0, 1, len(ends)).round(6).tolist()
            values[name] = dict(zip(ends, worth if seat == "a" else worth[::-1], strict=True))
        weights = {name: 1 / len(issues) for name in issues}
        roles[seat] = {"name": seat, "briefing": "-", "reservation": 0.3, "weights": weights, "values": values}
    return parse_scenario("large", {"title": "L", "story": "-", "issues": issues, "roles": roles}, "large.yaml")


@pytest.mark.parametrize(
    "issues",
    [
        {f"issue_{number}": {"options": [f"option {n}" for n in range(10)]} for number in range(5)},
        {"sum": {"range": {"min": 1, "max": 100_000}}},
        {"sum": {"range": {"min": 0, "max": 49_999}}, "who": {"options": ["left", "right"]}},
    ],
    ids=["five issues", "one range", "a range and a choice"],
)
def test_a_hundred_thousand_outcomes_are_analysed_in_a_moment(issues: dict[str, Any]) -> None:
    scenario = large(issues)
    began = time.process_time()
    found = Analyser(scenario).analysis()
    assert time.process_time() - began < 5
    assert found.outcomes == 100_000
    assert found.nash is not None
    assert found.nash.utility_a == pytest.approx(0.5, abs=0.02)
    assert found.opposition == pytest.approx(math.sqrt(0.5), abs=0.01)
    assert found.max_welfare.utility_a + found.max_welfare.utility_b == pytest.approx(1, abs=1e-5)
