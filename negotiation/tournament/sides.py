"""Both sides of every game of a tournament, which meetings repeat each other, and who won them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from negotiation.figures.bradley_terry import Contest
from negotiation.game.measures import normalised, settled_worth
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import SEATS, Seat
from negotiation.tournament.plan import Meeting, Tournament
from negotiation.tournament.store import PlayedGame

TIE = 1e-9
"""Normalised surpluses that differ by less count as equal."""
Encounter = tuple[str, str, str]
"""A scenario and two agents in the order of their names."""


@dataclass(frozen=True)
class Figure:
    """One agent's side of a finished game."""

    agent: str
    opponent: str
    scenario_id: str
    seat: Seat
    seed: int
    run_id: str
    meeting: Hashable  # meetings with equal labels are one meeting
    by_rule: bool  # neither side draws by chance
    surplus: float  # normalised
    agreed: bool
    optimal: bool | None  # whether the deal is Pareto-optimal; None without a deal
    welfare: float
    rational: bool
    invalid: int
    replies: int
    tokens: int
    cost: float | None  # US dollars


def figures_of(tournament: Tournament, games: Sequence[PlayedGame]) -> list[Figure]:
    """Return both sides of every finished game."""
    analysers = {name: Analyser(scenario) for name, scenario in tournament.scenarios.items()}
    repeats = repeats_of(tournament, games)
    by_rule = {name for name, config in tournament.agents.items() if config.by_rule}
    figures = []
    for played in games:
        game, measures = played.game, played.measures
        if played.status != "done" or measures is None:
            continue
        analyser, meeting = analysers[game.scenario_id], game.meeting
        encounter = encounter_of(meeting)
        for seat in SEATS:
            own = measures.seats[seat]
            invalid = sum(own.invalid.values())
            settled = settled_worth(analyser.scenario, played.agreement)
            figure = Figure(
                agent=game.a if seat == "a" else game.b,
                opponent=game.b if seat == "a" else game.a,
                scenario_id=game.scenario_id,
                seat=seat,
                seed=game.seed,
                run_id=played.run_id,
                meeting=encounter if encounter in repeats else meeting,
                by_rule=game.a in by_rule and game.b in by_rule,
                surplus=normalised(analyser, seat, measures.utility_a if seat == "a" else measures.utility_b),
                agreed=played.agreement is not None,
                optimal=None if played.agreement is None else analyser.pareto_distance(*settled) <= TIE,
                welfare=measures.welfare_share,
                rational=measures.rational_a if seat == "a" else measures.rational_b,
                invalid=invalid,
                replies=invalid + len(own.regret),
                tokens=own.tokens,
                cost=own.cost,
            )
            figures.append(figure)
    return figures


def encounter_of(meeting: Meeting) -> Encounter:
    """Return a meeting without its seed."""
    return meeting.scenario_id, meeting.first, meeting.second


def repeats_of(tournament: Tournament, games: Iterable[PlayedGame]) -> dict[Encounter, int]:
    """Return the encounters of two scripts that made the same moves with every seed, and with how many seeds.

    Agents that move by a rule repeat themselves, so that their meetings are one meeting. Others draw anew with every
    seed, and the same moves are evidence each time.
    """
    by_rule = {name for name, config in tournament.agents.items() if config.by_rule}
    moves: defaultdict[Encounter, defaultdict[int, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for played in games:
        meeting = played.game.meeting
        if meeting.first in by_rule and meeting.second in by_rule:
            moves[encounter_of(meeting)][meeting.seed][played.game.a] = played.moves
    first = {encounter: next(iter(seeds.values())) for encounter, seeds in moves.items()}
    return {
        encounter: len(seeds)
        for encounter, seeds in moves.items()
        if all(made == first[encounter] for made in seeds.values())
    }


def contests(figures: Iterable[Figure], mirrored: bool) -> list[Contest]:
    """Return who got more normalised surplus over both seats, once for all meetings that repeat each other."""
    sides: defaultdict[Hashable, dict[tuple[str, Seat], float]] = defaultdict(dict)
    for figure in figures:
        sides[figure.meeting][figure.agent, figure.seat] = figure.surplus
    met = []
    for gained in sides.values():
        if len(gained) < (4 if mirrored else 2):
            continue  # the mirrored game has not been played
        first, second = sorted({agent for agent, _ in gained})
        lead = sum(surplus if agent == first else -surplus for (agent, _), surplus in gained.items())
        met.append(Contest(first, second, 0.5 if abs(lead) <= TIE else float(lead > 0)))
    return met
