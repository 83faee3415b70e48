"""Adaptive tournaments: play next where a game reduces the uncertainty of the ranking most.

Two neighbours in the ranking are unsettled while they are not clearly apart and their lead is not known precisely
enough. Both are judged by figures that stay valid however often one looks (figures/any_time.py), because play stops
where they are settled. One more meeting reduces the variance of the mean of n games in a cell by v (1/n - 1/(n+1)), v
being the variance of its games; the cell counts as one of k in the mean of its agent, so that its variance falls by
1/k^2 of that. Meetings are chosen one by one, as if those chosen before and those being played had been played.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

import numpy as np

from negotiation.tournament.leaderboard import Leaderboard
from negotiation.tournament.plan import Meeting
from negotiation.tournament.sides import Encounter, encounter_of, repeats_of

UNKNOWN = 0.06
"""The variance of games in a cell of an agent of which nothing was played twice."""


def unsettled(board: Leaderboard, close_points: float) -> list[tuple[str, str]]:
    """Return neighbours in the ranking that are neither clearly apart nor known to within `close_points` (of 100)."""
    agents, surplus = list(board.tournament.agents), board.surplus
    ranked = sorted(range(len(agents)), key=lambda place: -np.nan_to_num(surplus.mean[place]))
    apart = surplus.leads("these", any_time=True).separated
    pairs = []
    for better, worse in itertools.pairwise(ranked):
        lead = surplus.lead(better, worse, any_time=True)
        if not apart[better, worse] and lead.high - lead.low > 2 * close_points / 100:
            pairs.append((agents[better], agents[worse]))
    return pairs


def next_meetings(
    board: Leaderboard, close_points: float, count: int, begun: Collection[Meeting] = ()
) -> list[Meeting]:
    """Return up to `count` meetings to play next; none when the ranking is settled or all have been played.

    Args:
        board: The games so far.
        close_points: Difference in points from 0 to 100 that counts as a tie.
        count: The number of free slots.
        begun: The meetings that are being played.
    """
    involved = Counter(itertools.chain.from_iterable(unsettled(board, close_points)))
    left = _left(board, begun)
    met = {played.game.meeting for played in board.games} | set(begun)
    games = Counter(map(encounter_of, met))
    worth = _worth(board, involved)
    chosen: list[Meeting] = []

    def gain(encounter: Encounter) -> float:
        """Return by how much one more meeting reduces the summed variance of the unsettled leads."""
        played = games[encounter]
        return worth.get(encounter, 0.0) / (played * (played + 1)) if played else math.inf

    while involved and left and len(chosen) < count:
        best = max(left, key=gain)
        chosen.append(left[best].pop(0))
        games[best] += 1
        if not left[best]:
            del left[best]
    return chosen


def _worth(board: Leaderboard, involved: Mapping[str, int]) -> dict[Encounter, float]:
    """Return the variance of a meeting of each encounter, weighted by the unsettled leads that it counts in."""
    agents, scenarios = list(board.tournament.agents), list(board.tournament.scenarios)
    surplus = board.surplus
    gains, cells = surplus.gains, (len(agents) - 1) * len(scenarios)
    variance = np.where(surplus.replicated[gains.cell_agent], surplus.cell_variance, UNKNOWN)
    found: defaultdict[Encounter, float] = defaultdict(float)
    places = zip(gains.cell_agent, gains.cell_opponent, gains.cell_scenario, variance, strict=True)
    for agent, opponent, scenario, each in places:
        first, second = sorted((agents[agent], agents[opponent]))
        found[scenarios[scenario], first, second] += involved.get(agents[agent], 0) * float(each) / cells**2
    return found


def _left(board: Leaderboard, begun: Collection[Meeting]) -> dict[Encounter, list[Meeting]]:
    """Return the meetings that are neither played nor being played, by encounter.

    Where scripts repeated the same moves with two seeds, further seeds would too, and are left out.
    """
    tournament = board.tournament
    repeats = {encounter for encounter, seeds in repeats_of(tournament, board.games).items() if seeds > 1}
    played = {played.game.meeting for played in board.games} | set(begun)
    left: defaultdict[Encounter, list[Meeting]] = defaultdict(list)
    for first, second in itertools.combinations(sorted(tournament.agents), 2):
        for scenario_id, seed in itertools.product(tournament.scenarios, tournament.seeds):
            meeting = Meeting(scenario_id, first, second, seed)
            if meeting not in played and encounter_of(meeting) not in repeats:
                left[encounter_of(meeting)].append(meeting)
    return left
