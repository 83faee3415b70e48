"""Adaptive tournaments: play next where a game reduces the uncertainty of the ranking most.

Two neighbours in the ranking are unsettled while their rating intervals overlap and the interval of their difference is
wider than what counts as close enough. One more meeting of x and y adds w = p(1-p) to the information about s_x - s_y,
which reduces the variance of a contrast c by w (c'V(x-y))^2 / (1 + w (x-y)'V(x-y)) (Sherman & Morrison 1950; D-optimal
designs for Bradley-Terry: Graßhoff & Schwabe 2008). Meetings are chosen one by one, as if those chosen before and those
being played had been played.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

import numpy as np

from negotiation.figures.bradley_terry import Ratings
from negotiation.figures.statistics import Floats
from negotiation.tournament.leaderboard import clusters_of
from negotiation.tournament.plan import Meeting, Tournament
from negotiation.tournament.store import PlayedGame


def unsettled(ratings: Ratings, close_enough: float) -> list[tuple[str, str]]:
    """Return neighbours in the ranking that neither differ clearly nor are known to be within `close_enough` points."""
    ranked = sorted(ratings.agents, key=lambda agent: -ratings.rating(agent).mean)
    pairs = []
    for better, worse in itertools.pairwise(ranked):
        lead = ratings.lead(better, worse)
        apart = ratings.rating(worse).high < ratings.rating(better).low
        if not apart and lead.high - lead.low > 2 * close_enough:
            pairs.append((better, worse))
    return pairs


def next_meetings(
    tournament: Tournament,
    games: Sequence[PlayedGame],
    ratings: Ratings,
    close_enough: float,
    count: int,
    begun: Collection[Meeting] = (),
) -> list[Meeting]:
    """Return up to `count` meetings to play next; none when the ranking is settled or all have been played.

    Args:
        close_enough: Difference in rating points that counts as a tie.
        begun: The meetings that are being played.
    """
    open_pairs = unsettled(ratings, close_enough)
    left = _left(tournament, games, begun)
    covariance = ratings.model
    for meeting in begun:
        covariance = _after(ratings, covariance, (meeting.first, meeting.second))
    contrasts = np.array([ratings.contrast(*pair) for pair in open_pairs]).reshape(-1, len(ratings.agents))
    chosen: list[Meeting] = []
    while open_pairs and len(chosen) < count:
        best = max(left, key=lambda pair: _gain(ratings, covariance, contrasts, pair), default=None)
        if best is None:
            break
        chosen.append(left[best].pop(0))
        if not left[best]:
            del left[best]
        covariance = _after(ratings, covariance, best)
    return chosen


def _left(
    tournament: Tournament, games: Sequence[PlayedGame], begun: Collection[Meeting]
) -> dict[tuple[str, str], list[Meeting]]:
    """Return the unplayed meetings of every two agents, starting with the least played scenarios.

    Where the first seeds of a cell repeated the same moves, further seeds would too, and are left out.
    """
    clusters = clusters_of(games)
    cells: defaultdict[tuple[str, str, str], list[object]] = defaultdict(list)
    for meeting, cluster in clusters.items():
        cells[meeting.scenario_id, meeting.first, meeting.second].append(cluster)
    repeats = {cell for cell, made in cells.items() if len(made) > 1 and len(set(made)) == 1}
    left: dict[tuple[str, str], list[Meeting]] = {}
    for first, second in itertools.combinations(sorted(tournament.agents), 2):
        meetings = [
            Meeting(scenario_id, first, second, seed)
            for seed in tournament.seeds
            for scenario_id in tournament.scenarios
            if (scenario_id, first, second) not in repeats
        ]
        fresh = [meeting for meeting in meetings if meeting not in clusters and meeting not in begun]
        played = Counter({name: len(cells[name, first, second]) for name in tournament.scenarios})
        mine = (each for each in begun if (each.first, each.second) == (first, second))
        played.update(each.scenario_id for each in mine if each not in clusters)
        waiting: list[tuple[int, Meeting]] = []
        for meeting in fresh:
            waiting.append((played[meeting.scenario_id], meeting))
            played[meeting.scenario_id] += 1
        if waiting:
            left[first, second] = [meeting for _, meeting in sorted(waiting, key=lambda entry: entry[0])]
    return left


def _gain(ratings: Ratings, covariance: Floats, contrasts: Floats, pair: tuple[str, str]) -> float:
    """Return by how much one more meeting of a pair reduces the summed variance of the contrasts."""
    towards = ratings.contrast(*pair)
    weight, reach = _weight(ratings, pair), covariance @ towards
    return float(weight * ((contrasts @ reach) ** 2).sum() / (1 + weight * (towards @ reach)))


def _after(ratings: Ratings, covariance: Floats, pair: tuple[str, str]) -> Floats:
    towards = ratings.contrast(*pair)
    weight, reach = _weight(ratings, pair), covariance @ towards
    after: Floats = covariance - weight * np.outer(reach, reach) / (1 + weight * float(towards @ reach))
    return after


def _weight(ratings: Ratings, pair: tuple[str, str]) -> float:
    chance = 1 / (1 + math.exp(-float(ratings.contrast(*pair) @ ratings.strengths)))
    return chance * (1 - chance)
