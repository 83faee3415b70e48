"""Bradley-Terry ratings, against a published example, closed forms and simulations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from negotiation.figures.bradley_terry import MIDDLE, POINTS, Contest, bradley_terry

TEAMS = ["Milwaukee", "Detroit", "Toronto", "NewYork", "Boston", "Cleveland", "Baltimore"]
WINS = [
    [0, 7, 9, 7, 7, 9, 11],
    [6, 0, 7, 5, 11, 9, 9],
    [4, 6, 0, 7, 7, 8, 12],
    [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6],
    [2, 4, 1, 3, 1, 7, 0],
]
"""American League baseball, 1987 (Agresti, Categorical Data Analysis, section on the Bradley-Terry model)."""


def season() -> list[Contest]:
    return [
        Contest(TEAMS[winner], TEAMS[loser], 1.0)
        for winner, loser in itertools.permutations(range(7), 2)
        for _ in range(WINS[winner][loser])
    ]


def test_a_published_example() -> None:
    """Agresti's estimates, relative to Baltimore."""
    found = bradley_terry(TEAMS, season(), prior=0)
    relative = found.strengths - found.strengths[-1]
    assert relative == pytest.approx([1.581, 1.436, 1.294, 1.248, 1.108, 0.684, 0.0], abs=6e-4)
    error = math.sqrt(found.contrast("Milwaukee", "Baltimore") @ found.model @ found.contrast("Milwaukee", "Baltimore"))
    assert error == pytest.approx(0.343, abs=1e-3)  # as R's glm gives it


def test_two_agents_have_the_closed_form() -> None:
    """15 of 20 won: odds of 3; a variance of 1 / (n p (1 - p))."""
    found = bradley_terry(["x", "y"], [Contest("x", "y", float(game < 15)) for game in range(20)], prior=0)
    lead = found.lead("x", "y")
    assert lead.mean == pytest.approx(400 * math.log10(3))
    error = math.sqrt(1 / (20 * 0.75 * 0.25) * 20 / 19)  # the sandwich has the small-sample factor
    assert lead.high - lead.mean == pytest.approx(POINTS * 1.95996 * error, rel=1e-4)


def test_ratings_are_about_the_middle_and_in_points() -> None:
    found = bradley_terry(TEAMS, season())
    assert sum(found.rating(team).mean for team in TEAMS) / 7 == pytest.approx(MIDDLE)
    assert found.lead("Boston", "Boston").mean == 0


def test_draws_count_half() -> None:
    assert bradley_terry(["x", "y"], [Contest("x", "y", 0.5)] * 4).strengths == pytest.approx([0, 0], abs=1e-9)
    halves = bradley_terry(["x", "y"], [Contest("x", "y", score) for score in (1.0, 0.5, 0.5, 1.0)], prior=0)
    assert halves.lead("x", "y").mean == pytest.approx(400 * math.log10(3))


def test_an_unbeaten_agent_has_a_finite_rating_and_a_wide_interval() -> None:
    found = bradley_terry(["x", "y"], [Contest("x", "y", 1.0)] * 5)
    lead = found.lead("x", "y")
    assert 0 < lead.mean < 1500
    assert lead.low < lead.mean - 200
    more = bradley_terry(["x", "y"], [Contest("x", "y", 1.0)] * 50).lead("x", "y")
    assert more.mean > lead.mean


def test_without_contests_all_ratings_are_equal() -> None:
    found = bradley_terry(["x", "y", "z"], [])
    assert list(found.strengths) == [0, 0, 0]
    assert found.rating("x").low < 400
    assert found.rating("x").high > 1600


def test_the_order_of_names_and_contests_does_not_matter() -> None:
    turned = [Contest(c.second, c.first, 1 - c.score) for c in reversed(season())]
    one, two = bradley_terry(TEAMS, season()), bradley_terry(TEAMS[::-1], turned)
    for team in TEAMS:
        assert two.rating(team).mean == pytest.approx(one.rating(team).mean)
        assert two.rating(team).low == pytest.approx(one.rating(team).low)


@pytest.mark.parametrize("games", [3, 10])
def test_intervals_hold_the_truth_about_nineteen_times_of_twenty(games: int) -> None:
    chance = np.random.default_rng(3)
    truth = np.array([0.8, 0.2, -0.3, -0.7])
    names, held = list("wxyz"), 0
    for _ in range(60):
        contests = [
            Contest(names[x], names[y], float(chance.random() < 1 / (1 + math.exp(truth[y] - truth[x]))))
            for x, y in itertools.combinations(range(4), 2)
            for _ in range(games)
        ]
        found = bradley_terry(names, contests)
        for name, strength in zip(names, truth, strict=True):
            rating = found.rating(name)
            held += rating.low <= MIDDLE + POINTS * strength <= rating.high
    assert held >= 0.92 * 240
