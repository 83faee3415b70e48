"""Leaderboards and adaptive choices, on games calculated by hand."""

from __future__ import annotations

import csv
import io
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from negotiation.agents.config import AgentConfig
from negotiation.figures.bradley_terry import Contest, bradley_terry
from negotiation.game.events import Measures, SeatMeasures
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import Scenario
from negotiation.tournament.adaptive import next_meetings, unsettled
from negotiation.tournament.leaderboard import MEASURES, Leaderboard, normalised, rate
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
    assert x.rating.mean > y.rating.mean
    assert (x.rank, y.rank, x.tied, y.tied) == (1, 1, ("y",), ("x",))


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
        "utility": pytest.approx((1 + 0 + 0.25 - 1 / 6) / 4),
        "agreement": 0.75,
        "pareto": pytest.approx(2 / 3),  # o3 is beaten by o1
        "welfare": pytest.approx((1.3 + 0.3 + 0.6 + 1) / 1.3 / 4),
        "rational": 0.75,  # as b it took o0, worth 0
        "invalid": pytest.approx(2 / 4 / 4),
    }
    assert set(row.measures) == set(MEASURES)


def test_an_agent_without_deals_has_no_share_of_good_ones(cup: Cup) -> None:
    board = Leaderboard(cup("x", "y"), both("x", "y", 1, None, None))
    assert board.standings[0].measures["pareto"] is None
    assert Leaderboard(cup("x", "y"), []).standings[0].measures["utility"] is None


def test_meetings_that_repeat_the_same_moves_count_once(cup: Cup) -> None:
    asked = cup("x", "y", seeds=30)
    once = both("x", "y", 1, 0, None)
    repeats = list(itertools.chain(*(both("x", "y", seed, 0, None, "the same") for seed in range(1, 31))))
    chance = list(itertools.chain(*(both("x", "y", seed, 0, None) for seed in range(1, 31))))
    width = {}
    for name, games in (("once", once), ("repeats", repeats), ("chance", chance)):
        row = Leaderboard(asked, games).standings[0]
        width[name] = row.rating.high - row.rating.low, row.measures["utility"], row.wins
    assert width["once"][:2] == width["repeats"][:2]
    assert width["repeats"][2] == 1
    assert width["chance"][0] < width["repeats"][0]


def test_ranks_are_shared_where_intervals_overlap(cup: Cup) -> None:
    """x beats y and z a hundred times; y and z draw."""
    games = []
    for seed in range(1, 101):
        games += [*both("x", "y", seed, 0, 2), *both("x", "z", seed, 0, 2), *both("y", "z", seed, 1, 1)]
    rows = {row.agent: row for row in Leaderboard(cup("z", "y", "x", seeds=100), games).standings}
    assert [rows[name].rank for name in "xyz"] == [1, 2, 2]
    assert (rows["x"].tied, rows["y"].tied, rows["z"].tied) == ((), ("z",), ("y",))


def test_tables_link_to_their_runs(cup: Cup) -> None:
    asked = cup("x", "y", "z", scenarios=2)
    games = [*both("x", "y", 1, 1, None), played("x", "z", 1, 0, scenario="points_2")]
    board = Leaderboard(asked, games)
    cell = board.by_opponent["x"]["y"]
    assert (cell.games, cell.run_ids) == (2, ("x y 1", "y x 1"))
    assert cell.utility.mean == pytest.approx(0.5)
    assert board.by_opponent["z"]["x"].utility.mean == pytest.approx(-1 / 6)
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
    assert set(told) == {"standings", "by_scenario", "by_seat", "model_by_model", "model_by_scenario", "failed"}
    assert told["model_by_model"]["x"]["y"]["runs"] == ["x y 1", "y x 1"]
    assert told["standings"][0]["rating"]["low"] < told["standings"][0]["rating"]["high"]


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
    assert (rows[0]["wins"], rows[0]["tied"], rows[0]["agreement_mean"]) == ("1", "y", "0.5")
    assert rows[4]["utility_mean"] == ""


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


def of_scores(cup: Cup, chance: dict[tuple[str, str], float], seeds: int, games: int) -> tuple[Tournament, list[Any]]:
    """Meetings that the first agent wins with some probability."""
    lots, found = random.Random(1), []
    for (x, y), wins in chance.items():
        for seed in range(1, games + 1):
            found += both(x, y, seed, *((0, None) if lots.random() < wins else (None, 0)))
    return cup(*sorted({name for pair in chance for name in pair}), seeds=seeds), found


def test_neighbours_that_overlap_are_not_settled_unless_close_enough() -> None:
    many = [Contest("x", "y", 1.0)] * 40 + [Contest("y", "z", score) for score in (0.0, 1.0) * 20]
    ratings = bradley_terry("xyz", many)
    assert unsettled(ratings, 0) == [("y", "z")] or unsettled(ratings, 0) == [("z", "y")]
    assert unsettled(ratings, 10_000) == []


def test_unsettled_neighbours_meet_next(cup: Cup) -> None:
    """x and y are equal; z loses to both. Only meetings of x and y add information about the ranking."""
    asked, games = of_scores(cup, {("x", "y"): 0.5, ("x", "z"): 1.0, ("y", "z"): 1.0}, seeds=60, games=20)
    picked = next_meetings(asked, games, rate(asked, games), 0, 6)
    assert len(set(picked)) == 6
    assert Counter((meeting.first, meeting.second) for meeting in picked).most_common(1)[0][0] == ("x", "y")
    assert {meeting.seed for meeting in picked if meeting.second == "y"} <= set(range(21, 61))


def test_a_settled_ranking_needs_no_more(cup: Cup) -> None:
    asked, games = of_scores(cup, {("x", "y"): 1.0, ("x", "z"): 1.0, ("y", "z"): 1.0}, seeds=400, games=200)
    assert next_meetings(asked, games, rate(asked, games), 0, 6) == []


def test_no_meeting_is_picked_twice(cup: Cup) -> None:
    asked, games = of_scores(cup, {("x", "y"): 0.5}, seeds=5, games=3)
    picked = next_meetings(asked, games, rate(asked, games), 0, 99)
    assert sorted(picked) == [Meeting("points", "x", "y", 4), Meeting("points", "x", "y", 5)]


def test_cells_that_only_repeat_themselves_are_left_out(cup: Cup) -> None:
    asked = cup("x", "y", seeds=9, scenarios=2)
    games = [*both("x", "y", 1, 0, None, "same"), *both("x", "y", 2, 0, None, "same")]
    picked = next_meetings(asked, games, rate(asked, games), 0, 99)
    assert {meeting.scenario_id for meeting in picked} == {"points_2"}
    assert len(picked) == 9


def test_running_meetings_count_as_played(cup: Cup) -> None:
    """x, y and z are equal: the first three choices are one meeting of each pair."""
    asked, games = of_scores(cup, {("x", "y"): 0.5, ("x", "z"): 0.5, ("y", "z"): 0.5}, seeds=60, games=20)
    ratings = rate(asked, games)
    all_at_once = next_meetings(asked, games, ratings, 0, 6)
    one_by_one: list[Meeting] = []
    for _ in all_at_once:
        one_by_one += next_meetings(asked, games, ratings, 0, 1, one_by_one)
    assert one_by_one == all_at_once
