"""Figures that were once wrong, each on the smallest case that shows it, with the right value."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.comparison import comparison
from negotiation.comparison.comparison import Comparison, Job, PairTally, Result
from negotiation.diagnostics.prompt_anchors import Anchors
from negotiation.figures.bradley_terry import bradley_terry
from negotiation.game.agent import View
from negotiation.game.events import Ended, Measures, SeatMeasures, Turn
from negotiation.game.measures import measure, settled_worth
from negotiation.game.protocol import Action, GameState
from negotiation.game.session import Negotiation, negotiate
from negotiation.runs.record import Run
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import SEATS, Offer, Scenario, Seat, other
from negotiation.tournament.leaderboard import Leaderboard
from negotiation.tournament.plan import Game, Tournament
from negotiation.tournament.sides import contests
from negotiation.tournament.store import PlayedGame
from ui.drawing.outcome_space import Space
from ui.drawing.table_and_verdict import missed

Views = Callable[..., View]


# -- repeats ---------------------------------------------------------------------------------------------------


def meetings(
    scenario: Scenario, agents: tuple[str, str], seeds: range, deals: tuple[Offer | None, Offer | None]
) -> list[PlayedGame]:
    """Meetings with the same moves: the first agent in seat a, then in seat b, with the deals that were made."""
    games = []
    for seed in seeds:
        for (a, b), deal in zip((agents, agents[::-1]), deals, strict=True):
            worth_a, worth_b = settled_worth(scenario, deal)
            seats: dict[Seat, SeatMeasures] = {"a": SeatMeasures(), "b": SeatMeasures()}
            measures = Measures(worth_a, worth_b, 1, 0, 0, rational_a=True, rational_b=True, seats=seats)
            game = Game(scenario.scenario_id, a, b, seed)
            games.append(
                PlayedGame(
                    game=game,
                    status="done",
                    attempts=1,
                    moves=f"{a} {deal}",
                    run_id=f"{game}",
                    reason="",
                    agreement=deal,
                    measures=measures,
                )
            )
    return games


DEAR: Offer = {"price": 200, "lock": "with"}
CHEAP: Offer = {"price": 130, "lock": "with"}
"""The seller of the bicycle gets the best that the buyer can accept, and the other way round."""


def cup(scenario: Scenario, *agents: str, seeds: int) -> Tournament:
    return Tournament(
        title="Cup",
        agents={agent: AgentConfig(agent) for agent in agents},
        scenarios={scenario.scenario_id: scenario},
        seeds=tuple(range(1, seeds + 1)),
    )


def test_repeats_of_sampled_models_are_evidence_each_time(bike: Scenario) -> None:
    """x beats y by the same moves in 90 of 100 meetings, and y beats x by the same moves in 10."""
    games = meetings(bike, ("x", "y"), range(1, 91), (DEAR, CHEAP))
    games += meetings(bike, ("y", "x"), range(91, 101), (DEAR, CHEAP))
    board = Leaderboard(cup(bike, "x", "y", seeds=100), games)
    x, y = board.standings
    assert [(row.agent, row.wins, row.draws, row.losses) for row in (x, y)] == [("x", 90, 0, 10), ("y", 10, 0, 90)]
    rating = bradley_terry(["x", "y"], contests(board.figures, mirrored=True)).rating("x")
    assert [round(value) for value in (rating.mean, rating.low, rating.high)] == [1190, 1133, 1246]
    assert (x.these.rank, y.these.rank) == (1, 2)
    best, worst = x.these.surplus, y.these.surplus
    assert best is not None
    assert worst is not None
    of_x = {
        seed: [each.surplus for each in board.figures if (each.agent, each.seed) == ("x", seed)] for seed in (1, 100)
    }
    win, loss = fmean(of_x[1]), fmean(of_x[100])
    mean, error = 0.9 * win + 0.1 * loss, (win - loss) * (0.09 / 99) ** 0.5
    assert (best.mean, best.low, best.high) == pytest.approx(
        (mean, mean - 1.984 * error, mean + 1.984 * error), abs=1e-4
    )


def test_repeats_of_scripts_are_one_meeting_however_often_they_play(bike: Scenario) -> None:
    for seeds in (1, 100):
        games = meetings(bike, ("boulware", "linear"), range(1, seeds + 1), (DEAR, CHEAP))
        row = Leaderboard(cup(bike, "boulware", "linear", seeds=seeds), games).standings[0]
        assert (row.agent, row.wins, row.these.rank, row.these.tied) == ("boulware", 1, 1, ("linear",))
        assert row.these.surplus is not None
        assert row.these.surplus.high - row.these.surplus.low > 1.9


# -- compare ---------------------------------------------------------------------------------------------------


def compared(scenario: Scenario, agents: tuple[str, str, str]) -> Result:
    """Twenty identical pairs in both seats: the first agent gets all the seller can get, the second no deal."""
    first, second, opponent = map(AgentConfig, agents)
    tally = PairTally(Comparison(scenario, (first, second), opponent, pairs=20))
    for seed, agent, seat in itertools.product(range(1, 21), (0, 1), SEATS):
        deal = DEAR if agent == 0 else None
        worth_a, worth_b = settled_worth(scenario, deal)
        measures = Measures(worth_a, worth_b, 1, 0, 0, rational_a=True, rational_b=True)
        action = Action.OFFER if deal else Action.WALK_AWAY
        turn = Turn(0, 1, "a", "any", action, deal, prompt=())
        seats = {seat: agents[agent], other(seat): agents[2]}
        run = Run(
            run_id="run",
            scenario=scenario,
            agents={"a": AgentConfig(seats["a"]), "b": AgentConfig(seats["b"])},
            seed=seed,
            status="done",
            agreement=deal,
            measures=measures,
            turns=(turn,),
        )
        tally.add(Job(agent, seat, seed), run)
    return tally.result()


@pytest.mark.parametrize(
    ("agents", "counts"),
    [(("boulware", "micro", "linear"), 1), (("x", "micro", "linear"), 20)],
    ids=["scripts", "model"],
)
def test_compare_counts_agreements_as_it_counts_differences(
    bike: Scenario, monkeypatch: pytest.MonkeyPatch, agents: tuple[str, str, str], counts: int
) -> None:
    """Scripts that repeat themselves are one pair, and are reported as repeats; a model makes 20 pairs."""
    monkeypatch.setattr(comparison, "anchors", lambda run, seat: Anchors())
    result = compared(bike, agents)
    assert (result.pairs, result.identical, result.counted_once) == (20, "repeats", counts == 1)
    unseen = 1 - 0.025 ** (1 / counts)
    agreed, difference = result.agents[0].agreement, result.difference
    assert agreed is not None
    assert (agreed.mean, agreed.low, agreed.high) == pytest.approx((1, 1 - unseen, 1))
    assert difference is not None
    assert difference.low == pytest.approx(difference.mean - unseen * (difference.mean + 1))
    assert (result.more_pairs_needed is None) == (counts == 1)


# -- adaptive --------------------------------------------------------------------------------------------------


def test_adaptive_tournaments_weigh_every_opponent_the_same_however_often_it_was_met(
    bike: Scenario,
) -> None:
    """x gets nothing from `hard` in 37 meetings and all from `easy` in 13; y gets half of that in 13 and 37.

    Averaged over games, x would have 0.26 and y 0.37.
    """
    games = meetings(bike, ("hard", "x"), range(1, 38), (None, None))
    games += meetings(bike, ("easy", "x"), range(1, 14), (CHEAP, DEAR))
    games += meetings(bike, ("hard", "y"), range(1, 14), (None, None))
    games += meetings(bike, ("easy", "y"), range(1, 38), (CHEAP, None))
    board = Leaderboard(cup(bike, "easy", "hard", "x", "y", seeds=50), games)
    averaged = [fmean(each.surplus for each in board.figures if each.agent == agent) for agent in ("x", "y")]
    assert averaged == pytest.approx([0.26, 0.37])
    rows = {row.agent: row.these for row in board.standings}
    x, y = rows["x"].surplus, rows["y"].surplus
    assert x is not None
    assert y is not None
    assert x.mean == 0.5
    assert x.low <= 0.5 <= x.high
    assert y.mean == 0.25
    assert list(rows).index("x") < list(rows).index("y")


# -- discounting -----------------------------------------------------------------------------------------------


def nash_deal_in_round_three(shipped: dict[str, Scenario]) -> GameState:
    """The night train with a discount of 0.9, where the Nash deal is offered and accepted in round 3."""
    scenario = shipped["night_train"].model_copy(update={"discount": 0.9})
    nash, other = ({"window": "open", "lamp": "on"}, {"window": "closed", "lamp": "off"})
    assert Analyser(scenario).point(Analyser(scenario).nash or 0).offer == nash
    state = GameState(scenario)
    for offer in (other, other, other, other, nash):
        state = state.apply(Action.OFFER, offer)
    return state.apply(Action.ACCEPT)


def test_discounting_leaves_the_distances_of_a_deal_as_they_are(shipped: dict[str, Scenario]) -> None:
    state = nash_deal_in_round_three(shipped)
    found = measure(state, Analyser(state.scenario))
    assert (found.utility_a, found.utility_b) == (0.567, 0.567)  # 0.7 x 0.9^2
    assert (found.nash_distance, found.pareto_distance) == (0, 0)


def test_discounting_does_not_leave_on_the_table_the_deal_that_was_made(shipped: dict[str, Scenario]) -> None:
    state = nash_deal_in_round_three(shipped)
    assert missed(Space(state.scenario), state.agreement, state.round) == ""
    poor = {"window": "closed", "lamp": "off"}
    words = missed(Space(state.scenario), poor, state.round)
    assert words.startswith("Missed: Window: open, Reading lamp: on would have been worth 57 points")


def test_discounting_leaves_deals_on_the_frontier_pareto_optimal_in_the_leaderboard(
    shipped: dict[str, Scenario],
) -> None:
    state = nash_deal_in_round_three(shipped)
    measures = measure(state, Analyser(state.scenario))
    seats: dict[Seat, SeatMeasures] = {"a": SeatMeasures(), "b": SeatMeasures()}
    game = PlayedGame(
        game=Game("night_train", "x", "y", 1),
        status="done",
        attempts=1,
        moves="",
        run_id="run",
        reason="",
        agreement=state.agreement,
        measures=replace(measures, seats=seats),
    )
    for row in Leaderboard(cup(state.scenario, "x", "y", seeds=1), [game]).standings:
        pareto = row.measures["pareto"]
        assert pareto is not None
        assert pareto.mean == 1


# -- Nash ties -------------------------------------------------------------------------------------------------


def test_nash_ties_are_all_at_distance_zero(shipped: dict[str, Scenario]) -> None:
    """Two outcomes of camp_supplies have the largest product of gains; MiCRO reaches the one listed second."""
    scenario = shipped["camp_supplies"].model_copy(update={"rounds": 100})
    analyser = Analyser(scenario)
    assert len(analyser.nash_ties) == 2
    *_, end = negotiate(Negotiation("run", scenario, dict.fromkeys(SEATS, STRATEGIES["micro"]), seed=1))
    assert isinstance(end, Ended)
    assert end.measures.nash_distance == 0
    for index in analyser.nash_ties:
        point = analyser.point(int(index))
        assert analyser.nash_distance(point.utility_a, point.utility_b) == 0


# -- slack -----------------------------------------------------------------------------------------------------


def test_slack_lets_a_strategy_offer_what_is_worth_exactly_its_ask(
    shipped: dict[str, Scenario], make_view: Views
) -> None:
    """In round 7 `linear` asks for 1 - 0.7 x 6/9 = 0.5333...; 27 outcomes are worth that, rounded to 0.533333333."""
    scenario = shipped["job_offer"]
    worst = Analyser(scenario).space.offer(int(Analyser(scenario).space.utilities("b").argmin()))
    begun: list[Any] = [(Action.OFFER, worst, "")] * 13
    view = make_view(scenario, begun)
    assert (view.seat, view.state.round) == ("b", 7)
    equals = np.flatnonzero(view.utilities == 0.533333333)
    assert len(equals) == 27
    offered = set()
    for seed in range(200):
        decision = STRATEGIES["linear"].decide(make_view(scenario, begun, seed=seed))
        assert decision.offer is not None
        offered.add(view.space.index(decision.offer))
    assert offered <= set(equals.tolist())
    assert len(offered) > 20


# -- camp_supplies ---------------------------------------------------------------------------------------------


def test_camp_supplies_is_worth_five_of_36_points_without_a_deal(shipped: dict[str, Scenario]) -> None:
    """A deal of 5 points, one pack of what matters most, is as good as no deal and therefore not irrational."""
    scenario = shipped["camp_supplies"]
    five = {"food": 0, "water": 1, "firewood": 0}
    assert scenario.roles["a"].reservation == scenario.utility("a", five) == round(5 / 36, 9)
    assert scenario.roles["b"].reservation == scenario.utility("b", {"food": 3, "water": 3, "firewood": 2})
    found = measure(GameState(scenario).apply(Action.OFFER, five).apply(Action.ACCEPT), Analyser(scenario))
    assert found.rational_a
    assert found.utility_a == pytest.approx(5 / 36, abs=1e-9)
