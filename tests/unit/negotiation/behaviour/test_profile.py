"""Profiles: every measure of an agent, with intervals that respect what is independent of what."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest

from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.behaviour.best_response import best_response
from negotiation.behaviour.profile import Profiles
from negotiation.behaviour.report import to_json, to_lines, to_markdown
from negotiation.behaviour.sides import Observed, observed
from negotiation.behaviour.traits import TRAITS
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import Ended, Turn, TurnTaken
from negotiation.game.protocol import Action
from negotiation.game.session import Negotiation, negotiate
from negotiation.runs.record import Run
from negotiation.scenario.model import Scenario, Seat

Points = Callable[..., Scenario]


def test_profiles_need_neither_model_libraries_nor_the_page() -> None:
    heavy = ("torch", "transformers", "gradio")
    code = f"import sys, negotiation.behaviour.report; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def played(scenario: Scenario, a: str, b: str, seed: int) -> Run:
    agents: dict[Seat, Agent] = {"a": STRATEGIES[a], "b": STRATEGIES[b]}
    events = list(negotiate(Negotiation("run", scenario, agents, seed)))
    turns = tuple(event.turn for event in events if isinstance(event, TurnTaken))
    configs: dict[Seat, AgentConfig] = {"a": AgentConfig(a), "b": AgentConfig(b)}
    run = Run(
        run_id=f"{a} {b} {scenario.scenario_id} {seed}", scenario=scenario, agents=configs, seed=seed, turns=turns
    )
    end = events[-1]
    assert isinstance(end, Ended)
    return run.end(end)


def side(agent: str = "x", opponent: str = "y", *, seat: Seat = "b", seed: int = 1, **about: object) -> Observed:
    given: dict[str, object] = {"scenario": ("s", "1"), "by_rule": False, "anchor": None, "best": None, "sums": {}}
    return Observed("run", agent, opponent, seat=seat, seed=seed, found=(), **{**given, **about})  # type: ignore[arg-type]


def test_the_gap_is_what_the_best_response_gains_more(shipped: dict[str, Scenario]) -> None:
    car = shipped["company_car"]
    run = played(car, "conceder", "linear", 1)
    for seat, other in (("a", "linear"), ("b", "conceder")):
        (found,) = [part for part in observed(run) if part.seat == seat]
        assert run.measures is not None
        worth = run.measures.utility_a if seat == "a" else run.measures.utility_b
        best = best_response(car, seat, STRATEGIES[other], 1)  # type: ignore[arg-type]
        gap, games = found.sums["oracle_gap"]
        assert games == 1
        assert gap == pytest.approx(best.worth - worth)


def test_a_share_is_hits_by_chances_with_equal_weight_for_each_opponent() -> None:
    """Against y, 2 of 10 in each of two seeds; against z, 6 of 10 in one: (0.2 + 0.6) / 2."""
    sides = [side(seed=seed, sums={"false_limit": (2.0, 10)}) for seed in (1, 2)]
    sides += [side(opponent="z", sums={"false_limit": (6.0, 10)})]
    sides += [side("y", "x"), side("z", "x")]
    figure = Profiles(sides).of("x").figures["false_limit"]
    assert figure is not None
    assert figure.these.mean == pytest.approx(0.4)
    assert figure.chances == 30
    assert figure.these.low < 0.4 < figure.these.high
    assert figure.like_these is None  # there is one scenario only


def test_scenarios_give_the_second_interval() -> None:
    sides = [
        side(scenario=(name, "1"), seed=seed, sums={"timing": (value, 1)})
        for name, value in (("s", 0.2), ("t", 0.4), ("u", 0.6))
        for seed in (1, 2)
    ]
    figure = Profiles([*sides, side("y", "x")]).of("x").figures["timing"]
    assert figure is not None
    assert figure.like_these is not None
    assert figure.like_these.mean == pytest.approx(0.4)
    assert figure.like_these.low < 0.15 < 0.65 < figure.like_these.high  # 0.4 ± 4.3 x 0.115


def test_a_measure_without_a_chance_is_none() -> None:
    assert Profiles([side(), side("y", "x")]).of("x").figures["false_limit"] is None


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_anchoring_is_the_slope_of_own_on_received_first_offers(slope: float) -> None:
    """Whatever the level is, which differs from scenario to scenario."""
    sides = [
        side(opponent, "x", anchor=None, scenario=(name, "1"), seat="a") for opponent in "pqr" for name in ("s", "t")
    ]
    sides += [
        side("x", opponent, anchor=(received, level + slope * received), scenario=(name, "1"), seed=seed)
        for opponent, received in (("p", 0.1), ("q", 0.2), ("r", 0.5))
        for name, level in (("s", 0.2), ("t", 0.4))
        for seed in (1, 2)
    ]
    figure = Profiles(sides).of("x").figures["anchoring"]
    assert figure is not None
    assert figure.these.mean == pytest.approx(slope)


class Opener:
    """Opens with an offer worth a given utility to the other side, if it moves first, and takes what it then gets."""

    def __init__(self, leaves: float) -> None:
        self.name, self._leaves = f"leaves {leaves}", leaves

    def act(self, view: View) -> Generator[Any, None, Decision]:
        yield from ()
        if view.state.table is not None:
            return Decision(Action.ACCEPT)
        return Decision(Action.OFFER, {"deal": f"o{round(100 * (1 - self._leaves))}"})


class Follower:
    """Answers a first offer with one that lies halfway between it and its own best outcome."""

    name = "follower"

    def act(self, view: View) -> Generator[Any, None, Decision]:
        yield from ()
        assert view.state.table is not None
        asks = (1 + view.space.worth(view.seat, view.state.table)) / 2
        return Decision(Action.OFFER, {"deal": f"o{round(100 * (1 - asks))}"})


def test_an_agent_that_meets_first_offers_halfway_has_an_anchoring_of_a_half(of_points: Points) -> None:
    line = of_points(*((number / 100, 1 - number / 100) for number in range(101)), reservation=(0.1, 0.1))
    sides = []
    for opener in (Opener(0.0), Opener(0.2), Opener(0.6)):
        events = list(negotiate(Negotiation("run", line, {"a": opener, "b": Follower()}, 1)))
        turns = tuple(event.turn for event in events if isinstance(event, TurnTaken))
        configs: dict[Seat, AgentConfig] = {"a": AgentConfig(opener.name), "b": AgentConfig("follower")}
        run = Run(run_id="run", scenario=line, agents=configs, seed=1, turns=turns, status="done")
        sides += observed(run)
    profiles = Profiles(sides)
    anchoring, below = (profiles.of("follower").figures[name] for name in ("anchoring", "below_limit"))
    assert anchoring is not None
    assert anchoring.these.mean == pytest.approx(0.5, abs=0.01)
    assert below is None  # it accepted nothing
    accepted = profiles.of("leaves 0.6").figures["below_limit"]
    assert accepted is not None
    assert accepted.these.mean == 0.0  # 0.2 is above 0.1
    greedy = profiles.of("leaves 0.0").figures["below_limit"]
    assert greedy is not None
    assert greedy.these.mean == 0.0  # 0.5
    assert "No best response is known, as no opponent was a script." in "\n".join(to_lines(profiles, ["follower"]))


def test_there_is_no_anchoring_without_different_first_offers() -> None:
    sides = [side(opponent=name, anchor=(0.1, 0.8)) for name in "yz"] + [side("y", "x"), side("z", "x")]
    assert Profiles(sides).of("x").figures["anchoring"] is None


def test_accepting_less_than_no_deal_counts_among_acceptances(shipped: dict[str, Scenario]) -> None:
    car = shipped["company_car"]
    run = played(car, "hardliner", "hardliner", 1)
    made = Turn(0, 1, "a", "x", Action.OFFER, {"price": 24000}, utility_a=1.0, utility_b=0.0)
    taken = Turn(1, 1, "b", "y", Action.ACCEPT, None, utility_a=1.0, utility_b=0.0)
    found = observed(replace(run, turns=(made, taken)))
    assert [part.sums["below_limit"] for part in found] == [(0.0, 0), (1.0, 1)]


def test_runs_that_did_not_end_or_began_as_others_are_left_out(shipped: dict[str, Scenario]) -> None:
    run = played(shipped["company_car"], "conceder", "linear", 1)
    assert len(observed(run)) == 2
    assert observed(replace(run, status="stopped")) == []
    assert observed(replace(run, forked_from="other", forked_turns=2)) == []


def test_a_profile_as_lines_as_markdown_and_as_data(shipped: dict[str, Scenario]) -> None:
    names = ("company_car", "night_train")
    runs = [
        played(shipped[name], "boulware", other, seed)
        for name in names
        for other in ("linear", "random")
        for seed in (1, 2)
    ]
    profiles = Profiles([part for run in runs for part in observed(run)])
    data = to_json(profiles, ["boulware"])["agents"][0]
    assert data["negotiations"] == 8
    assert set(data["measures"]) == set(TRAITS)
    assert data["measures"]["opening"]["these_scenarios"]["mean"] == 1.0
    assert data["measures"]["false_limit"] is None  # the words of scripts are Parley's own
    markdown, lines = to_markdown(profiles, ["boulware"], "a test"), to_lines(profiles, ["boulware"])
    assert markdown[0] == "# How they bargain: a test"
    assert any(line.startswith("| first offer | 100 |") for line in markdown)
    assert any(line.split()[:3] == ["first", "offer", "100"] for line in lines)
