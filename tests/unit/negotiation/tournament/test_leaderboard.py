"""Leaderboards and adaptive choices, on games calculated by hand."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from negotiation.agents.config import AgentConfig
from negotiation.game.events import Measures, SeatMeasures
from negotiation.game.measures import normalised
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import Scenario
from negotiation.tournament.adaptive import next_meetings, unsettled
from negotiation.tournament.leaderboard import MEASURES, Leaderboard
from negotiation.tournament.leaderboard_export import to_csv, to_json
from negotiation.tournament.plan import Game, Meeting, Tournament
from negotiation.tournament.store import PlayedGame

POINTS = (1.0, 0.0), (0.6, 0.7), (0.0, 1.0), (0.3, 0.3)
"""With reservation values of 0.2 and 0.1, both can hope for o1 (0.6, 0.7); o3 is beaten by it."""


@pytest.fixture
def scenario(of_points: Callable[..., Scenario]) -> Scenario:
    return of_points(*POINTS, reservation=(0.2, 0.1))


@pytest.fixture
def cup(scenario: Scenario) -> Callable[..., Tournament]:
    def make(*names: str, seeds: int = 2, mirrored: bool = True, scenarios: int = 1) -> Tournament:
        all_of_them = {"points": scenario, **{f"points_{n}": scenario for n in range(2, scenarios + 1)}}
        agents = {name: AgentConfig(name) for name in names}
        return Tournament("Cup", agents, all_of_them, tuple(range(1, seeds + 1)), mirrored)

    return make


Cup = Callable[..., Tournament]


def played(a: str, b: str, seed: int, deal: int | None, moves: str = "", **about: Any) -> PlayedGame:
    """A game that ended with a deal, or without one."""
    utilities = (0.2, 0.1) if deal is None else POINTS[deal]
    rational = utilities[0] >= 0.2, utilities[1] >= 0.1
    seats: Any = {"a": SeatMeasures((None,), (0.0, 0.0), about.pop("invalid", {})), "b": SeatMeasures((), (0.0,))}
    return PlayedGame(
        game=Game(about.pop("scenario", "points"), a, b, seed),
        status=about.pop("status", "done"),
        attempts=1,
        moves=moves or f"{a} {b} {seed}",
        run_id=f"{a} {b} {seed}",
        reason=about.pop("reason", ""),
        agreement=None if deal is None else {"deal": f"o{deal}"},
        measures=Measures(*utilities, sum(utilities) / 1.3, 0, 0, *rational, seats) if "reason" not in about else None,
    )


def both(x: str, y: str, seed: int, first: int | None, second: int | None, moves: str = "") -> list[PlayedGame]:
    """A meeting: x in seat a, then in seat b."""
    labels = (f"{moves} 1", f"{moves} 2") if moves else ("", "")
    return [played(x, y, seed, first, labels[0]), played(y, x, seed, second, labels[1])]


def test_utilities_are_normalised_to_the_best_acceptable_outcome(scenario: Scenario) -> None:
    analyser = Analyser(scenario)
    assert [normalised(analyser, "a", utility) for utility in (0.2, 0.6, 0.4, 0.0, 1.0)] == [
        0,
        1,
        pytest.approx(0.5),
        pytest.approx(-0.5),
        1,
    ]
    assert normalised(analyser, "b", 0.4) == pytest.approx(0.5)


def test_normalised_utility_is_zero_if_nothing_can_be_gained(of_points: Callable[..., Scenario]) -> None:
    assert normalised(Analyser(of_points((0.5, 0.5), (0.4, 0.4), reservation=(0.5, 0.5))), "a", 0.7) == 0


def test_more_utility_over_both_seats_wins_the_meeting(cup: Cup) -> None:
    """Seed 1: x gets o0 as a (1) and no deal as b (0), y nothing: x wins. Seed 2: both get the same: a draw."""
    board = Leaderboard(cup("x", "y"), [*both("x", "y", 1, 0, None), *both("x", "y", 2, 1, 1)])
    x, y = board.standings
    assert [(row.agent, row.wins, row.draws, row.losses, row.games) for row in (x, y)] == [
        ("x", 1, 1, 0, 4),
        ("y", 0, 1, 1, 4),
    ]
    assert x.these.surplus is not None
    assert x.these.surplus.mean == pytest.approx((0.5 + 1) / 2)
    assert (x.these.rank, y.these.rank, x.these.tied, y.these.tied) == (1, 1, ("y",), ("x",))
    assert x.like_these is None


def test_a_meeting_with_one_seat_missing_is_no_contest_yet(cup: Cup) -> None:
    board = Leaderboard(cup("x", "y"), both("x", "y", 1, 0, None)[:1])
    assert [(row.wins, row.draws, row.losses, row.games) for row in board.standings] == [(0, 0, 0, 1)] * 2
    alone = Leaderboard(cup("x", "y", mirrored=False), both("x", "y", 1, 0, None)[:1])
    assert [(row.agent, row.wins, row.losses) for row in alone.standings] == [("x", 1, 0), ("y", 0, 1)]


def test_the_measures_of_an_agent(cup: Cup) -> None:
    games = [*both("x", "y", 1, 1, None), played("x", "y", 2, 3, invalid={"empty": 2}), played("y", "x", 2, 0)]
    row = next(row for row in Leaderboard(cup("x", "y"), games).standings if row.agent == "x")
    means = {name: interval.mean for name, interval in row.measures.items() if interval is not None}
    assert means == {
        "agreement": 0.75,
        "surplus_when_agreed": pytest.approx((1 + 0.25 - 1 / 6) / 3),
        "pareto": pytest.approx(2 / 3),  # o3 is beaten by o1
        "welfare": pytest.approx((1.3 + 0.3 + 0.6 + 1) / 1.3 / 4),
        "rational": 0.75,  # as b it took o0, worth 0
        "invalid": pytest.approx(2 / 4 / 4),
    }
    assert set(row.measures) == set(MEASURES)
    assert row.these.surplus is not None
    assert row.these.surplus.mean == pytest.approx(means["agreement"] * means["surplus_when_agreed"])


def test_an_agent_without_deals_has_no_share_of_good_ones(cup: Cup) -> None:
    board = Leaderboard(cup("x", "y"), both("x", "y", 1, None, None))
    assert board.standings[0].measures["pareto"] is None
    empty = Leaderboard(cup("x", "y"), []).standings[0]
    assert (empty.measures["agreement"], empty.these.surplus, empty.these.tied) == (None, None, ("y",))


def test_scripts_that_repeat_the_same_moves_count_once(cup: Cup) -> None:
    """Whatever they play against: with a model or with chance, the same moves are evidence each time."""
    width = {}
    for first, second, moves in (("boulware", "micro", "same"), ("x", "micro", "same"), ("boulware", "micro", "")):
        games = [game for seed in range(1, 31) for game in both(first, second, seed, 0, None, moves)]
        row = Leaderboard(cup(first, second, seeds=30), games).standings[0]
        assert row.these.surplus is not None
        width[first, moves] = row.these.surplus.high - row.these.surplus.low, row.wins
    once = Leaderboard(cup("boulware", "micro"), both("boulware", "micro", 1, 0, None)).standings[0]
    assert once.these.surplus is not None
    assert width["boulware", "same"] == (once.these.surplus.high - once.these.surplus.low, 1)
    assert width["x", "same"][0] < 0.2 * width["boulware", "same"][0]
    assert width["x", "same"][1] == width["boulware", ""][1] == 30


def of_gains(cup: Cup, gains: dict[tuple[str, str], float], seeds: int, scenarios: int) -> Leaderboard:
    """Meetings in which the first agent gets all, with some probability, or the second does."""
    lots, games = random.Random(1), []
    for (x, y), wins in gains.items():
        for scenario in ["points", *(f"points_{number}" for number in range(2, scenarios + 1))]:
            for seed in range(1, seeds + 1):
                met = both(x, y, seed, *((0, 2) if lots.random() < wins else (2, 0)))
                games += [replace(game, game=replace(game.game, scenario_id=scenario)) for game in met]
    return Leaderboard(cup(*sorted({name for pair in gains for name in pair}), seeds=seeds, scenarios=scenarios), games)


@pytest.mark.parametrize(("seeds", "scenarios", "scope"), [(20, 1, "these"), (2, 14, "like_these")])
def test_ranks_are_shared_by_agents_that_are_not_clearly_apart(
    cup: Cup, seeds: int, scenarios: int, scope: str
) -> None:
    """x beats y and z nearly always; y and z share their wins."""
    board = of_gains(cup, {("x", "y"): 0.95, ("x", "z"): 0.95, ("y", "z"): 0.5}, seeds, scenarios)
    rows = {row.agent: getattr(row, scope) for row in board.standings}
    assert [rows[name].rank for name in "xyz"] == [1, 2, 2]
    assert (rows["x"].tied, rows["y"].tied, rows["z"].tied) == ((), ("z",), ("y",))


def test_agents_are_sorted_by_what_they_gain_and_not_by_what_they_win(cup: Cup) -> None:
    """h never loses, as it only agrees with s, and takes all; l beats s by less and loses to nobody by more."""
    games = [*both("h", "l", 1, None, None), *both("h", "s", 1, 0, 2), *both("l", "s", 1, 1, 1)]
    games += [*both("l", "m", 1, 1, 1), *both("m", "s", 1, 1, 1), *both("h", "m", 1, None, None)]
    rows = Leaderboard(cup("h", "l", "m", "s"), games).standings
    assert [(row.agent, row.losses) for row in rows] == [("l", 0), ("m", 0), ("s", 1), ("h", 0)]


def test_scenarios_whose_deadline_is_too_short_for_micro_are_named(
    cup: Cup, of_points: Callable[..., Scenario]
) -> None:
    """Eleven outcomes, each worth what it costs the other side: MiCRO meets itself in the middle, in round 6."""
    line = of_points(*((number / 10, 1 - number / 10) for number in range(11)), rounds=5)
    long = line.model_copy(update={"rounds": 6})
    asked = replace(cup("micro", "boulware"), scenarios={"short": line, "long": long})
    assert Leaderboard(asked, []).too_short_for_micro == {"short": 6}
    assert Leaderboard(replace(cup("linear", "boulware"), scenarios={"short": line}), []).too_short_for_micro == {}


def test_tables_link_to_their_runs(cup: Cup) -> None:
    asked = cup("x", "y", "z", scenarios=2)
    games = [*both("x", "y", 1, 1, None), played("x", "z", 1, 0, scenario="points_2")]
    board = Leaderboard(asked, games)
    cell = board.by_opponent["x"]["y"]
    assert (cell.games, cell.run_ids) == (2, ("x y 1", "y x 1"))
    assert cell.surplus.mean == pytest.approx(0.5)
    assert board.by_opponent["z"]["x"].surplus.mean == pytest.approx(-1 / 6)
    assert "z" not in board.by_opponent["y"]
    assert board.by_agent_and_scenario["x"]["points_2"].run_ids == ("x z 1",)
    assert set(board.by_agent_and_scenario["y"]) == {"points"}


def test_by_scenario_and_by_seat(cup: Cup) -> None:
    asked = cup("x", "y", scenarios=2)
    board = Leaderboard(asked, [*both("x", "y", 1, 0, None), played("y", "x", 2, 0, scenario="points_2")])
    assert [row.games for row in board.by_scenario["points_2"]] == [1, 1]
    assert [row.agent for row in board.by_scenario["points"]] == ["x", "y"]
    seats = board.by_seat["x"]
    assert seats["a"]["agreement"] is not None
    assert seats["a"]["agreement"].mean == 1
    assert seats["b"]["agreement"] is not None
    assert seats["b"]["agreement"].mean == 0.5


def test_failures_are_listed_but_do_not_count(cup: Cup) -> None:
    failed = played("x", "y", 2, None, status="failed", reason="a fault")
    board = Leaderboard(cup("x", "y"), [*both("x", "y", 1, 0, None), failed])
    assert board.failed == [failed]
    assert board.standings[0].games == 2
    (told,) = to_json(board)["failed"]
    assert (told["reason"], told["a"], told["b"], told["seed"]) == ("a fault", "x", "y", 2)


def test_everything_can_be_written_as_json(cup: Cup) -> None:
    told = json.loads(json.dumps(to_json(Leaderboard(cup("x", "y"), both("x", "y", 1, 0, None)))))
    tables = {"standings", "by_scenario", "by_seat", "model_by_model", "model_by_scenario"}
    assert set(told) == tables | {"too_short_for_micro", "people", "failed"}
    assert told["model_by_model"]["x"]["y"]["runs"] == ["x y 1", "y x 1"]
    x = told["standings"][0]["these_scenarios"]
    assert (x["rank"], x["tied"], x["surplus"]["mean"]) == (1, ["y"], 0.5)
    assert x["surplus"]["low"] < x["surplus"]["high"]
    assert told["standings"][0]["scenarios_like_these"] is None


def test_standings_are_exported_for_spreadsheets(cup: Cup) -> None:
    asked = cup("x", "y", scenarios=2)
    rows = list(csv.DictReader(io.StringIO(to_csv(Leaderboard(asked, both("x", "y", 1, 0, None))))))
    assert [(row["scenario"], row["agent"], row["games"]) for row in rows] == [
        ("", "x", "2"),
        ("", "y", "2"),
        ("points", "x", "2"),
        ("points", "y", "2"),
        ("points_2", "x", "0"),
        ("points_2", "y", "0"),
    ]
    assert (rows[0]["wins"], rows[0]["these_scenarios_tied"], rows[0]["agreement_mean"]) == ("1", "y", "0.5")
    assert (rows[0]["surplus"], rows[4]["surplus"]) == ("0.5", "")


def test_tokens_and_prices_add_up_over_all_games(cup: Cup) -> None:
    game = played("x", "y", 1, 0)
    assert game.measures is not None
    seats: Any = {"a": SeatMeasures(tokens=70, cost=0.25), "b": SeatMeasures(tokens=30)}
    priced = replace(game, measures=replace(game.measures, seats=seats))
    board = Leaderboard(cup("x", "y"), [priced, replace(priced, game=Game("points", "x", "y", 2))])
    assert {row.agent: (row.tokens, row.cost) for row in board.standings} == {"x": (140, 0.5), "y": (60, None)}
    rows = list(csv.DictReader(io.StringIO(to_csv(board))))
    assert {row["agent"]: (row["tokens"], row["cost"]) for row in rows[:2]} == {"x": ("140", "0.5"), "y": ("60", "")}


# -- adaptive --------------------------------------------------------------------------------------------------


EQUALS = {("x", "y"): 0.5, ("x", "z"): 0.5, ("y", "z"): 0.5}
Z_LOSES = {("x", "y"): 0.5, ("x", "z"): 0.95, ("y", "z"): 0.95}


def more_seeds(board: Leaderboard, seeds: int) -> Leaderboard:
    """The same games of a tournament with more seeds to play."""
    return Leaderboard(replace(board.tournament, seeds=tuple(range(1, seeds + 1))), board.games)


def test_neighbours_are_unsettled_unless_they_are_apart_or_close_enough(cup: Cup) -> None:
    board = of_gains(cup, Z_LOSES, seeds=40, scenarios=1)
    (pair,) = unsettled(board, 0)
    assert set(pair) == {"x", "y"}
    assert unsettled(board, 100) == []


def test_unsettled_neighbours_meet_next(cup: Cup) -> None:
    """x and y are equal, and z loses to both. A meeting of x and y says most about x and y."""
    board = more_seeds(of_gains(cup, Z_LOSES, seeds=40, scenarios=1), 60)
    picked = next_meetings(board, 0, 6)
    assert len(set(picked)) == 6
    assert Counter((meeting.first, meeting.second) for meeting in picked).most_common(1)[0][0] == ("x", "y")
    assert {meeting.seed for meeting in picked} <= set(range(41, 61))


def test_a_settled_ranking_needs_no_more(cup: Cup) -> None:
    order = {("x", "y"): 0.9, ("x", "z"): 0.97, ("y", "z"): 0.9}
    assert next_meetings(more_seeds(of_gains(cup, order, seeds=60, scenarios=1), 90), 0, 6) == []


def test_no_meeting_is_picked_twice(cup: Cup) -> None:
    picked = next_meetings(more_seeds(of_gains(cup, {("x", "y"): 0.5}, seeds=3, scenarios=1), 5), 0, 99)
    assert sorted(picked) == [Meeting("points", "x", "y", 4), Meeting("points", "x", "y", 5)]


def test_scripts_that_only_repeat_themselves_are_left_out(cup: Cup) -> None:
    for agent, left in (("boulware", {"points_2"}), ("x", {"points", "points_2"})):
        asked = cup(agent, "micro", seeds=9, scenarios=2)
        games = [game for seed in (1, 2) for game in both(agent, "micro", seed, 0, None, "same")]
        picked = next_meetings(Leaderboard(asked, games), 0, 99)
        assert {meeting.scenario_id for meeting in picked} == left
        assert len(picked) == 9 + 7 * (agent == "x")


def test_running_meetings_count_as_played(cup: Cup) -> None:
    board = more_seeds(of_gains(cup, EQUALS, seeds=20, scenarios=1), 60)
    all_at_once = next_meetings(board, 0, 6)
    assert len(set(all_at_once)) == 6
    one_by_one: list[Meeting] = []
    for _ in all_at_once:
        one_by_one += next_meetings(board, 0, 1, one_by_one)
    assert one_by_one == all_at_once
