"""People's preferences: Bradley-Terry ratings from blind votes on the two lanes of comparisons.

A vote counts if it was blind and the lanes differ in one agent only, in the same seat against the same opponent, so
that it is about these two agents. `tie` and `neither` are draws. A voter has one vote per comparison. Votes are on
whatever people watched, so these ratings are not comparable with those of a tournament.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from negotiation.agents.config import AgentConfig
from negotiation.comparison.comparison import Players, difference
from negotiation.figures.bradley_terry import Contest, Place, Tally, bradley_terry, places, tallies
from negotiation.runs import database as db
from negotiation.runs.store import Store

_SCORES = {"1": 1.0, "2": 0.0, "tie": 0.5, "neither": 0.5}


@dataclass(frozen=True)
class Preference:
    """One agent's row; `agent` is its label."""

    agent: str
    place: Place
    tally: Tally


def preferences(store: Store) -> list[Preference]:
    """Return all agents with blind votes, the most preferred first."""
    if not (contests := vote_contests(store)):
        return []
    agents = sorted({agent for contest in contests for agent in (contest.first, contest.second)})
    place, tally = places(bradley_terry(agents, contests)), tallies(agents, contests)
    rows = [Preference(agent, place[agent], tally[agent]) for agent in agents]
    return sorted(rows, key=lambda row: (row.place.rank, -row.place.rating.mean))


def vote_contests(store: Store) -> list[Contest]:
    """Return one contest per blind vote; votes on lanes other than 1 and 2, or on more lanes, do not count."""
    votes, runs = db.votes.c, db.runs.c
    voted = sa.select(votes.comparison).where(votes.blind)
    query = sa.select(runs.comparison, runs.lane, runs.agents).where(runs.comparison.in_(voted), runs.lane.in_((1, 2)))
    lanes: defaultdict[str, dict[int, Players]] = defaultdict(dict)
    with store.database.read("read the runs that were voted on") as connection:
        for row in connection.execute(query):
            played = AgentConfig.from_json(row.agents["a"]), AgentConfig.from_json(row.agents["b"])
            lanes[row.comparison][row.lane] = played
    found = []
    for vote in store.votes():
        shown = lanes.get(vote.comparison, {})
        differing = difference((shown[1], shown[2])) if vote.blind and len(shown) == 2 else None
        if differing is not None and differing[0].label != differing[1].label:
            found.append(Contest(differing[0].label, differing[1].label, _SCORES[vote.choice]))
    return found


def to_json(rows: Sequence[Preference]) -> list[dict[str, Any]]:
    """Return the rows as plain data."""
    return [
        {
            "agent": row.agent,
            "rank": row.place.rank,
            "tied": list(row.place.tied),
            "rating": {key: round(getattr(row.place.rating, key), 6) for key in ("mean", "low", "high")},
            "wins": row.tally.wins,
            "draws": row.tally.draws,
            "losses": row.tally.losses,
        }
        for row in rows
    ]
