"""The diagram of offers that are worth enough: exactly those, in few nodes, and what a deal must be worth when."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negotiation.replies.grammar import diagram_rules
from negotiation.replies.threshold_diagram import threshold, worth_at_least
from negotiation.scenario.model import Scenario, parse_scenario
from tests.support.effort import examples

Points = Callable[..., Scenario]


def offers(scenario: Scenario) -> list[dict[str, Any]]:
    picked = itertools.product(*(issue.choices for issue in scenario.issues.values()))
    return [dict(zip(scenario.issues, choices, strict=True)) for choices in picked]


@given(data=st.data(), seat=st.sampled_from(["a", "b"]), needed=st.integers(0, 101).map(lambda number: number / 100))
@examples(150)
def test_exactly_the_offers_that_are_worth_enough(
    data: st.DataObject, seat: Any, needed: float, scenarios: st.SearchStrategy[Scenario]
) -> None:
    scenario = data.draw(scenarios)
    exact = data.draw(st.booleans())
    if exact:  # the utility of some outcome, and a hair more
        one = scenario.utility(seat, data.draw(st.sampled_from(offers(scenario))))
        needed = one + data.draw(st.sampled_from([0.0, 1e-9]))
    diagram = worth_at_least(scenario, seat, needed)
    for offer in offers(scenario):
        assert diagram.contains(offer) == (scenario.utility(seat, offer) >= needed), offer
    if diagram.nodes:
        rng = random.Random(1)
        assert all(diagram.contains(diagram.sample(rng)) for _ in range(20))


@given(
    data=st.data(),
    seat=st.sampled_from(["a", "b"]),
    turn=st.integers(0, 11),
    worth=st.integers(0, 10**9).map(lambda n: n / 10**9),
)
@examples(200)
def test_the_threshold_is_where_a_deal_begins_to_be_worth_the_reservation_value(
    data: st.DataObject, seat: Any, turn: int, worth: float, scenarios: st.SearchStrategy[Scenario]
) -> None:
    scenario = data.draw(scenarios)
    needed, reservation, round_number = threshold(scenario, seat, turn), scenario.roles[seat].reservation, turn // 2 + 1
    near = [round(needed + step * 1e-9, 9) for step in (-2, -1, 0, 1, 2)] if needed <= 1 else []
    for utility in (worth, 0.0, 1.0, *near):
        if 0 <= utility <= 1:
            assert (utility >= needed) == (scenario.discounted(utility, round_number) >= reservation), utility


def large(sizes: list[int], *, numbers: bool, seed: int = 1) -> Scenario:
    """A scenario with issues of these sizes and preferences by chance."""
    rng = random.Random(seed)
    issues: dict[str, Any] = {}
    roles: dict[str, Any] = {}
    for place, size in enumerate(sizes):
        options = {"options": [f"option {number}" for number in range(size)]}
        issues[f"issue_{place}"] = {"range": {"min": 0, "max": 5 * (size - 1), "step": 5}} if numbers else options
    for seat in "ab":
        shares = [rng.randint(1, 9) for _ in sizes]
        values: dict[str, Any] = {}
        for name, about in issues.items():
            points = about["options"] if not numbers else [0, 5 * (about["range"]["max"] // 10), about["range"]["max"]]
            values[name] = {point: rng.random() for point in points}
        weights = {name: share / sum(shares) for name, share in zip(issues, shares, strict=True)}
        roles[seat] = {"name": seat, "briefing": "None.", "reservation": 0.4, "weights": weights, "values": values}
    data = {"title": "Large", "story": "A large one.", "issues": issues, "roles": roles}
    return parse_scenario("large", data, "large.yaml")


@pytest.mark.parametrize("numbers", [False, True], ids=["options", "ranges"])
@pytest.mark.parametrize("sizes", [[10] * 5, [46, 46, 48], [317, 317], [20, 20, 25, 10]], ids=str)
def test_a_hundred_thousand_outcomes_take_under_two_hundred_rules(sizes: list[int], numbers: bool) -> None:
    scenario = large(sizes, numbers=numbers)
    assert scenario.outcomes >= 100_000
    diagram = worth_at_least(scenario, "a", 0.4)
    assert 0 < len(diagram_rules(diagram)) < 200
    utility, rng = scenario.utility, random.Random(2)
    for _ in range(300):
        offer = {name: rng.choice(issue.choices) for name, issue in scenario.issues.items()}
        assert diagram.contains(offer) == (utility("a", offer) >= 0.4)
        assert utility("a", diagram.sample(rng)) >= 0.4


def test_nodes_that_ask_for_the_same_are_one(of_points: Points, bike: Scenario) -> None:
    """Of the bicycle's prices each adds 0.075, the lock 0.25: with it, 0.2 is reached from 130, without it always."""
    diagram = worth_at_least(bike, "a", 0.2)
    assert [name for name, _ in diagram.nodes] == ["price", "lock", "lock"]
    root = diagram.nodes[0][1]
    assert {edge.runs: edge.to for edge in root} == {((100, 120),): 2, ((130, 200),): 1}
    assert [edge.options for edge in diagram.nodes[1][1]] == [("with", "without")]
    assert [edge.options for edge in diagram.nodes[2][1]] == [("without",)]


def test_without_an_offer_that_is_worth_enough_there_is_no_node(of_points: Points) -> None:
    scenario = of_points((0.3, 0.5), (0.4, 0.2))
    for needed in (0.41, 1.0, float("inf")):
        diagram = worth_at_least(scenario, "a", needed)
        assert diagram.nodes == ()
        assert not diagram.contains({"deal": "o1"})


def test_ranges_that_rise_and_fall_are_given_in_runs(bike_data: dict[str, Any]) -> None:
    bike_data["roles"]["a"]["weights"] = {"price": 1.0, "lock": 0.0}
    bike_data["roles"]["a"]["values"]["price"] = {100: 1.0, 150: 0.0, 200: 1.0}
    (_, edges), *_ = worth_at_least(parse_scenario("bike", bike_data, "bike.yaml"), "a", 0.8).nodes
    assert [edge.runs for edge in edges] == [((100, 110), (190, 200))]
