"""Ratings of gains: against plain loops and general least squares, and by simulation."""

from __future__ import annotations

import itertools
from collections import defaultdict
from statistics import fmean, stdev, variance

import numpy as np
import pytest

from negotiation.figures.gains import Scope
from negotiation.figures.statistics import Interval
from tests.support.leagues import AGENTS, Rows, estimated, gains_of, league, simulated_tournaments

T_TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 13: 2.160}


def surely(interval: Interval | None) -> Interval:
    assert interval is not None
    return interval


# -- known answers ---------------------------------------------------------------------------------------------


def uneven(seed: int) -> tuple[Rows, np.ndarray]:
    """Games of which a third is missing, seats and seeds alike, with their gains."""
    chance = np.random.default_rng(seed)
    games = league(4, 5, 6)
    picked = [number for number in range(0, len(games), 2) if chance.random() < 0.67]
    rows = [row for number in picked for row in games[number : number + 2]]
    return rows, chance.normal(0.3, 0.2, len(rows)) + 0.1 * np.array([row[0] for row in rows])


@pytest.mark.parametrize("seed", range(5))
def test_every_opponent_and_scenario_has_the_same_weight(seed: int) -> None:
    rows, gain = uneven(seed)
    gains = gains_of(rows)
    found = gains.of(gain)
    cells: defaultdict[tuple[int, int, int], defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (x, y, scenario, _, each_seed), value in zip(rows, gain, strict=True):
        cells[x, y, scenario][each_seed].append(float(value))
    for agent in range(4):
        own = [fmean(map(fmean, seeds.values())) for (x, _, _), seeds in cells.items() if x == agent]
        assert found.mean[agent] == pytest.approx(fmean(own))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("mirrored", [True, False])
def test_seats_are_corrected_as_general_least_squares_does(seed: int, mirrored: bool) -> None:
    """One scenario, one gain per cell and seat: agent + opponent + seat, fitted with a dummy for each."""
    chance = np.random.default_rng(seed)
    rows = league(5, 1, 1, mirrored=mirrored)
    rows = [row for number, row in enumerate(rows) if number // 2 != 3]  # one game is missing
    x, y, _, seat, _ = (np.array(column) for column in zip(*rows, strict=True))
    gain = 0.2 * x - 0.1 * y + 0.3 * seat + chance.normal(0, 0.1, len(rows))
    dummies = np.column_stack([np.eye(5)[x], np.eye(5)[y], seat])
    weight = np.array([1 / rows.count(row) / sum((each[:2] == row[:2]) for each in rows) for row in rows]) ** 0.5
    advantage = np.linalg.lstsq(weight[:, None] * dummies, weight * gain, rcond=None)[0][-1]
    assert gains_of(rows).adjusted(gain) == pytest.approx(gain - advantage * (seat - 0.5))


def test_mirrored_seats_cancel_out() -> None:
    rows = league(4, 3, 2)
    gain = np.random.default_rng(1).normal(size=len(rows))
    assert gains_of(rows).adjusted(gain) is gain


def test_two_agents_that_never_change_seats_cannot_be_corrected() -> None:
    rows = league(2, 3, 4, mirrored=False)
    gain = np.random.default_rng(1).normal(size=len(rows))
    assert gains_of(rows).adjusted(gain) == pytest.approx(gain)


def test_intervals_of_a_complete_league_are_students() -> None:
    """Over seeds, of the means of each seed; over scenarios, of the means of each scenario. The same for leads."""
    rows = league(3, 5, 4)
    gain = np.random.default_rng(2).normal(0.3, 0.2, len(rows))
    found = estimated(rows, gain)

    def means(agent: int, column: int) -> list[float]:
        groups: defaultdict[int, list[float]] = defaultdict(list)
        for row, value in zip(rows, gain, strict=True):
            if row[0] == agent:
                groups[row[column]].append(float(value))
        return [fmean(groups[key]) for key in sorted(groups)]

    scopes: list[tuple[Scope, int]] = [("these", 4), ("like_these", 2)]
    for scope, column in scopes:
        for agent in range(3):
            own = means(agent, column)
            reach = T_TABLE[len(own) - 1] * stdev(own) / len(own) ** 0.5
            interval = surely(found.interval(agent, scope, -9, 9))
            assert (interval.mean, interval.high - interval.mean) == pytest.approx((fmean(own), reach), rel=1e-3)
        lead = [x - y for x, y in zip(means(0, column), means(1, column), strict=True)]
        assert found.leads(scope).mean[0, 1] == pytest.approx(fmean(lead))
    paired = [x - y for x, y in zip(means(0, 4), means(1, 4), strict=True)]
    assert found.lead(0, 1).high - fmean(paired) == pytest.approx(3.182 * stdev(paired) / 2, rel=1e-3)


def test_cells_that_were_played_once_borrow_the_variance_of_the_others() -> None:
    """x meets y with four seeds and z with one: v/4 + v over the square of two cells."""
    rows: Rows = []
    for opponent, seeds in ((1, 4), (2, 1)):
        for seed in range(seeds):
            rows += [(0, opponent, 0, 0, seed), (opponent, 0, 0, 1, seed)]
            rows += [(opponent, 0, 0, 0, seed), (0, opponent, 0, 1, seed)]
    four = [0.1, 0.5, 0.2, 0.4]
    gain = np.array([(four[row[4]] if row[1] == 1 else 0.9) if row[0] == 0 else 0.0 for row in rows])
    interval = surely(estimated(rows, gain).interval(0, "these", -9, 9))
    assert interval.mean == pytest.approx((0.3 + 0.9) / 2)
    error = (variance(four) * (1 / 4 + 1) / 4) ** 0.5
    assert interval.high - interval.mean == pytest.approx(3.182 * error, rel=1e-3)


def test_a_measure_may_count_in_some_games_only() -> None:
    """Surplus when agreed: the sum over deals by the number of deals, each cell counting as before."""
    rows = league(2, 2, 2)
    agreed = np.array([1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0] * 2)
    gain = agreed * np.linspace(0.1, 0.8, 16)
    gains = gains_of(rows)
    share, rate, surplus = (gains.of(*each) for each in ((gain, agreed), (agreed,), (gain,)))
    assert surplus.mean == pytest.approx(share.mean * rate.mean)
    assert np.isnan(gains.of(gain, 0 * agreed).mean).all()
    assert gains.of(gain, 0 * agreed).interval(0, "these", -1, 1) is None


def test_scripts_that_repeat_themselves_are_one_draw() -> None:
    rows = league(2, 1, 20)
    gain = np.array([0.6 if row[0] == 0 else 0.2 for row in rows])
    drawn, scripted = (estimated(rows, gain, by_rule) for by_rule in (False, True))
    assert surely(scripted.interval(0, "these", -1, 1)).low == pytest.approx(0.6 - 0.975 * 1.6)
    assert surely(drawn.interval(0, "these", -1, 1)).low == pytest.approx(0.6 - (1 - 0.025**0.05) * 1.6)
    assert (drawn.leads("these").rank(1), scripted.leads("these").rank(1)) == (2, 1)


# -- simulations -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seeds", "mirrored"), [(2, True), (5, True), (5, False)])
def test_intervals_hold_the_truth_nineteen_times_in_twenty(seeds: int, mirrored: bool) -> None:
    """In both scopes: these scenarios (over seeds) and scenarios like these (over scenarios)."""
    held = {"these": list[bool](), "like_these": list[bool]()}
    for found, these, like_these in simulated_tournaments(100, seeds, equal=False, mirrored=mirrored):
        truth: list[tuple[Scope, np.ndarray]] = [("these", these), ("like_these", like_these)]
        for (scope, means), agent in itertools.product(truth, range(AGENTS)):
            interval = surely(found.interval(agent, scope, -9, 9))
            held[scope].append(interval.low <= means[agent] <= interval.high)
    assert fmean(held["these"]) >= 0.92
    assert fmean(held["like_these"]) >= 0.92


@pytest.mark.parametrize("scope", ["these", "like_these"])
def test_nine_equal_agents_are_separated_in_at_most_one_tournament_in_twenty(scope: Scope) -> None:
    found = [estimates.leads(scope).separated.any() for estimates, *_ in simulated_tournaments(300, 5, equal=True)]
    assert fmean(found) <= 0.05


def test_without_the_correction_equal_agents_would_be_separated_often() -> None:
    """The reason for Holm's correction: 36 pairs give many chances to be wrong."""
    wrong = 0
    for estimates, *_ in simulated_tournaments(100, 5, equal=True):
        differences = [estimates.lead(x, y) for x, y in itertools.combinations(range(AGENTS), 2)]
        wrong += any(difference.excludes_zero for difference in differences)
    assert wrong > 30


def test_unequal_agents_are_separated() -> None:
    """The best and the worst of nine differ by 20 points."""
    for scope in ("these", "like_these"):
        found = [estimates.leads(scope) for estimates, *_ in simulated_tournaments(20, 5, equal=False)]
        assert fmean(leads.rank(0) > leads.rank(8) for leads in found) > 0.5
        assert all(leads.rank(8) <= leads.rank(0) for leads in found)
