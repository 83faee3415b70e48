"""Measures of moves: known answers from scripted strategies and from steps worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from negotiation.agents.strategies import STRATEGIES, Strategy, time_dependent
from negotiation.behaviour.moves import anchor, opening, steps, timing
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import Turn, TurnTaken
from negotiation.game.protocol import Action
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.model import Scenario, Seat

Points = Callable[..., Scenario]
LINE = tuple((number / 1000, 1 - number / 1000) for number in range(1001))


def played(scenario: Scenario, a: Agent, b: Agent, seed: int = 1) -> list[Turn]:
    events = negotiate(Negotiation("run", scenario, {"a": a, "b": b}, seed))
    return [event.turn for event in events if isinstance(event, TurnTaken)]


class Counters:
    """Answers the other side's first offer with one that lies a given share of the way to it, then leaves."""

    def __init__(self, share: float) -> None:
        self.name, self._share = "counters", share

    def act(self, view: View) -> Generator[Any, None, Decision]:
        yield from ()
        if view.own or view.state.table is None:
            return Decision(Action.WALK_AWAY)
        received = view.space.worth(view.seat, view.state.table)
        asks = 1 - self._share * (1 - received)
        return Decision(Action.OFFER, view.space.offer(int(abs(view.utilities - asks).argmin())))


class Opens:
    """Opens with an offer worth a given utility to itself, then leaves."""

    def __init__(self, worth: float) -> None:
        self.name, self._worth = "opens", worth

    def act(self, view: View) -> Generator[Any, None, Decision]:
        yield from ()
        if view.own:
            return Decision(Action.WALK_AWAY)
        return Decision(Action.OFFER, view.space.offer(int(abs(view.utilities - self._worth).argmin())))


@pytest.mark.parametrize("e", [0.2, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("rounds", [101, 61])
def test_a_strategy_that_follows_the_clock_has_the_timing_of_its_exponent(
    of_points: Points, e: float, rounds: int
) -> None:
    scenario = of_points(*LINE, rounds=rounds)
    strategy = Strategy("linear", "", "", time_dependent(e))
    for seat, agents in (("a", (strategy, STRATEGIES["hardliner"])), ("b", (STRATEGIES["hardliner"], strategy))):
        turns = played(scenario, *agents)
        found = timing(turns, seat)  # type: ignore[arg-type]
        assert found == pytest.approx(e / (1 + e), abs=0.015)


def test_the_timing_does_not_depend_on_when_the_negotiation_ends(of_points: Points) -> None:
    turns = played(of_points(*LINE, rounds=101), STRATEGIES["conceder"], STRATEGIES["hardliner"])
    halves = [timing(turns[:count], "a") for count in (80, 120, 200)]
    assert halves == pytest.approx([0.75] * 3, abs=0.02)


def test_a_side_that_hardly_concedes_has_no_timing(of_points: Points) -> None:
    scenario = of_points(*LINE, rounds=50)
    turns = played(scenario, STRATEGIES["hardliner"], STRATEGIES["boulware"])
    assert timing(turns, "a") is None
    assert timing(turns[:40], "b") is None


def test_a_first_offer_is_what_it_is_worth_to_the_side_that_makes_it(of_points: Points) -> None:
    turns = played(of_points(*LINE), Opens(0.9), Opens(0.7))
    assert (opening(turns, "a"), opening(turns, "b")) == (0.9, 0.7)
    assert opening(turns[:1], "b") is None


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ((-0.1, 0.1), "concession"),
        ((-0.1, 0.0), "concession"),
        ((0.0, 0.1), "nice"),
        ((0.1, 0.1), "fortunate"),
        ((0.0, 0.0), "silent"),
        ((0.1, -0.1), "selfish"),
        ((0.1, 0.0), "selfish"),
        ((-0.1, -0.1), "unfortunate"),
        ((0.0, -0.1), "unfortunate"),
    ],
)
@pytest.mark.parametrize("seat", ["a", "b"])
def test_each_kind_of_step(change: tuple[float, float], kind: str, seat: Seat) -> None:
    """As Hindriks, Jonker & Tykhonov (2011) define them."""
    own, others = 0.5 + change[0], 0.5 + change[1]
    both = (own, others) if seat == "a" else (others, own)

    def offer(index: int, a: float, b: float) -> Turn:
        return Turn(index, index // 2 + 1, seat, "any", Action.OFFER, {"deal": "o0"}, utility_a=a, utility_b=b)

    assert steps([offer(0, 0.5, 0.5), offer(2, *both)], seat) == {kind: 1}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("hardliner", {"silent"}),
        ("boulware", {"concession", "silent"}),
        ("linear", {"concession", "silent"}),
        ("conceder", {"concession", "silent"}),
        ("micro", {"concession", "silent", "selfish"}),  # it repeats an earlier offer at random while it is ahead
        ("nice_tit_for_tat", {"concession", "silent"}),
    ],
)
def test_the_steps_of_strategies_where_one_sides_gain_is_the_others_loss(
    of_points: Points, name: str, kinds: set[str]
) -> None:
    made = steps(played(of_points(*LINE, rounds=30), STRATEGIES[name], STRATEGIES["linear"]), "a")
    assert set(made) <= kinds
    assert made.total() > 3


def test_tit_for_tat_takes_back_what_the_other_side_takes_back(of_points: Points) -> None:
    class Wavers(Opens):
        def act(self, view: View) -> Generator[Any, None, Decision]:
            yield from ()
            worth = (0.9, 0.7, 0.85, 0.75)[len(view.own) % 4]
            return Decision(Action.OFFER, view.space.offer(int(abs(view.utilities - worth).argmin())))

    made = steps(played(of_points(*LINE, rounds=8), Wavers(0), STRATEGIES["tit_for_tat"]), "b")
    assert made["selfish"] >= 2


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_anchor_is_the_other_sides_first_offer_before_the_own_one(of_points: Points, share: float) -> None:
    turns = played(of_points(*LINE), Opens(0.8), Counters(share))
    received, own = 0.2, 1 - share * 0.8
    assert anchor(turns, "b") == pytest.approx((received, own))
    assert anchor(turns, "a") is None  # it opened itself
