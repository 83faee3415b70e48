"""The CaSiNo family: the published game, and people's figures."""

from __future__ import annotations

import itertools
from collections import Counter
from statistics import fmean

import pytest
from pydantic import ValidationError

from negotiation.agents.strategies import STRATEGIES
from negotiation.families.family import load_family
from negotiation.families.generate import draw_scenarios
from negotiation.families.people import People
from negotiation.game.events import Ended
from negotiation.game.measures import normalised
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import SEATS, Scenario

ITEMS = ("food", "water", "firewood")


@pytest.fixture(scope="module")
def all_pairs() -> list[Scenario]:
    return list(draw_scenarios(load_family("casino"), 1, 36))


def points_of(scenario: Scenario) -> tuple[tuple[int, ...], ...]:
    """The points per pack of both sides."""
    return tuple(tuple(round(12 * scenario.roles[seat].weights[item]) for item in ITEMS) for seat in SEATS)


def test_every_ordered_pair_of_rankings_is_drawn_once(all_pairs: list[Scenario]) -> None:
    pairs = Counter(map(points_of, all_pairs))
    rankings = list(itertools.permutations((5, 4, 3)))
    assert pairs == Counter(itertools.product(rankings, repeat=2))


def test_the_order_depends_on_the_seed_so_that_one_draw_may_give_any_pair() -> None:
    family = load_family("casino")
    orders = [[points_of(scenario) for scenario in draw_scenarios(family, seed, 36)] for seed in (1, 2)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])
    assert len({points_of(next(draw_scenarios(family, seed, 1))) for seed in range(60)}) > 20


def test_an_outcome_is_worth_its_points_of_36(all_pairs: list[Scenario]) -> None:
    for scenario in all_pairs[:6]:
        (a, b), space = points_of(scenario), Analyser(scenario).space
        for packs in itertools.product(range(4), repeat=3):
            offer = dict(zip(ITEMS, packs, strict=True))
            own = sum(points * count for points, count in zip(a, packs, strict=True))
            theirs = sum(points * (3 - count) for points, count in zip(b, packs, strict=True))
            index = space.index(offer)
            assert space.utilities("a")[index] == pytest.approx(own / 36, abs=1e-9)
            assert space.utilities("b")[index] == pytest.approx(theirs / 36, abs=1e-9)


def test_no_deal_is_worth_five_points_and_five_points_are_enough(all_pairs: list[Scenario]) -> None:
    for scenario in all_pairs:
        for seat in SEATS:
            assert scenario.roles[seat].reservation == pytest.approx(5 / 36, abs=1e-9)
        dearest = ITEMS[points_of(scenario)[0].index(5)]
        one = {item: int(item == dearest) for item in ITEMS}
        assert scenario.utility("a", one) >= scenario.roles["a"].reservation


@pytest.mark.parametrize(("name", "figure"), [("linear", 0.515), ("conceder", 0.518)])
def test_strategies_against_themselves_gain_what_was_measured_beside_people(
    all_pairs: list[Scenario], name: str, figure: float
) -> None:
    """Mean normalised surplus of both seats in all 36 scenarios, ten rounds, seed 1: next to people's 0.509."""
    gained = []
    for scenario in all_pairs:
        analyser = Analyser(scenario)
        *_, end = negotiate(Negotiation("self-play", scenario, dict.fromkeys(SEATS, STRATEGIES[name]), seed=1))
        assert isinstance(end, Ended)
        worth = {"a": end.measures.utility_a, "b": end.measures.utility_b}
        gained += [normalised(analyser, seat, worth[seat]) for seat in SEATS]
    assert round(fmean(gained), 3) == figure


def test_people_are_described_by_these_figures() -> None:
    people = load_family("casino").people
    assert people is not None
    assert (people.negotiations, people.points, people.points_of) == (1030, 18.64, 36)
    assert people.measures == {"agreement": 0.976, "pareto": 0.67}
    assert (people.interval.mean, people.interval.low, people.interval.high) == (0.509, 0.504, 0.514)
    assert "Chawla et al. 2021, NAACL, CC BY 4.0" in people.note
    assert "no rank" in people.note


def test_an_interval_contains_its_mean() -> None:
    people = load_family("casino").people
    assert people is not None
    with pytest.raises(ValidationError, match="surplus must lie between low and high"):
        People.model_validate({**people.model_dump(), "low": 0.6})
