"""The figures of a tournament: standings, ratings and measures with their uncertainty, by seat and scenario.

The page and the command line both show these figures, which hold for the tournament's own scenarios. Games of one
meeting (the same two agents, scenario and seed) count as one sample, and so do meetings that repeat the same moves:
repeating a deterministic game adds no evidence.

Normalised utility is 0 at one's reservation value and 1 at one's best outcome that the other side could accept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from negotiation.figures.bradley_terry import Contest, Ratings, bradley_terry, places, tallies
from negotiation.figures.statistics import Interval, mean_interval
from negotiation.game.measures import settled_worth, total_cost
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import SEATS, Seat
from negotiation.tournament.plan import Meeting, Tournament
from negotiation.tournament.store import PlayedGame

TIE = 1e-9
"""Normalised utilities that differ by less count as equal."""


@dataclass(frozen=True)
class Figure:
    """One agent's side of a finished game."""

    agent: str
    opponent: str
    scenario_id: str
    seat: Seat
    run_id: str
    cluster: Hashable  # figures with the same cluster are one sample
    utility: float  # normalised
    agreed: bool
    optimal: bool | None  # whether the deal is Pareto-optimal; None without a deal
    welfare: float
    rational: bool
    invalid: int
    replies: int
    tokens: int
    cost: float | None  # US dollars


MEASURES: Mapping[str, tuple[float, float, Callable[[Figure], float | None]]] = {
    "utility": (-1.0, 1.0, lambda figure: figure.utility),
    "agreement": (0.0, 1.0, lambda figure: float(figure.agreed)),
    "pareto": (0.0, 1.0, lambda figure: None if figure.optimal is None else float(figure.optimal)),
    "welfare": (0.0, 1.0, lambda figure: figure.welfare),
    "rational": (0.0, 1.0, lambda figure: float(figure.rational)),
    "invalid": (0.0, 1.0, lambda figure: figure.invalid / figure.replies if figure.replies else None),
}
"""The measures of each agent, with the lowest and highest value of a game: mean normalised utility, share of
negotiations with a deal, share of deals that are Pareto-optimal, share of the maximum joint utility, share of
negotiations that ended at or above the reservation value, and share of invalid replies."""


@dataclass(frozen=True)
class Standing:
    """One agent's row. `tied` names the agents whose rating intervals overlap with its own."""

    agent: str
    rank: int
    tied: tuple[str, ...]
    rating: Interval
    games: int
    wins: int
    draws: int
    losses: int
    measures: Mapping[str, Interval | None]
    tokens: int  # written in all its games
    cost: float | None  # of all its games, in US dollars; None without a price


@dataclass(frozen=True)
class Cell:
    """Mean normalised utility of a row's agent in a column, with its runs."""

    utility: Interval
    games: int
    run_ids: tuple[str, ...]


class Leaderboard:
    """All figures of a tournament's games, computed on first access."""

    def __init__(self, tournament: Tournament, games: Iterable[PlayedGame]) -> None:
        self.tournament = tournament
        self.games = [played for played in games if played.game.scenario_id in tournament.scenarios]
        self.failed = [played for played in self.games if played.status == "failed"]
        self._analysers = {name: Analyser(scenario) for name, scenario in tournament.scenarios.items()}

    @cached_property
    def figures(self) -> list[Figure]:
        """Both sides of every finished game."""
        clusters = clusters_of(self.games)
        done = [played for played in self.games if played.status == "done" and played.measures is not None]
        return [self._figure(played, seat, clusters[played.game.meeting]) for played in done for seat in SEATS]

    @cached_property
    def standings(self) -> list[Standing]:
        """All agents, best first."""
        return self._standings(self.figures)

    @cached_property
    def by_scenario(self) -> dict[str, list[Standing]]:
        """The standings on each scenario alone."""
        return {
            scenario_id: self._standings([figure for figure in self.figures if figure.scenario_id == scenario_id])
            for scenario_id in self.tournament.scenarios
        }

    @cached_property
    def by_seat(self) -> dict[str, dict[Seat, dict[str, Interval | None]]]:
        """For each agent and seat, the measures of its games in that seat."""
        return {
            agent: {
                seat: _measures([figure for figure in self.figures if figure.agent == agent and figure.seat == seat])
                for seat in SEATS
            }
            for agent in self.tournament.agents
        }

    @cached_property
    def by_opponent(self) -> dict[str, dict[str, Cell]]:
        """Results of each agent (row) against each other agent (column)."""
        return self._table(lambda figure: figure.opponent)

    @cached_property
    def by_agent_and_scenario(self) -> dict[str, dict[str, Cell]]:
        """Results of each agent (row) on each scenario (column)."""
        return self._table(lambda figure: figure.scenario_id)

    def compute(self) -> None:
        """Compute everything now."""
        for part in ("standings", "by_scenario", "by_seat", "by_opponent", "by_agent_and_scenario"):
            getattr(self, part)

    def _figure(self, played: PlayedGame, seat: Seat, cluster: Hashable) -> Figure:
        game, measures = played.game, played.measures
        assert measures is not None
        analyser = self._analysers[game.scenario_id]
        own = measures.seats[seat]
        invalid = sum(own.invalid.values())
        return Figure(
            agent=game.a if seat == "a" else game.b,
            opponent=game.b if seat == "a" else game.a,
            scenario_id=game.scenario_id,
            seat=seat,
            run_id=played.run_id,
            cluster=cluster,
            utility=normalised(analyser, seat, measures.utility_a if seat == "a" else measures.utility_b),
            agreed=played.agreement is not None,
            optimal=None if played.agreement is None else _optimal(analyser, played),
            welfare=measures.welfare_share,
            rational=measures.rational_a if seat == "a" else measures.rational_b,
            invalid=invalid,
            replies=invalid + len(own.regret),
            tokens=own.tokens,
            cost=own.cost,
        )

    def _standings(self, figures: Sequence[Figure]) -> list[Standing]:
        agents = list(self.tournament.agents)
        met = contests(figures, self.tournament.mirrored)
        place, tally = places(bradley_terry(agents, met)), tallies(agents, met)
        own: defaultdict[str, list[Figure]] = defaultdict(list)
        for figure in figures:
            own[figure.agent].append(figure)
        rows = [
            Standing(
                agent=agent,
                rank=place[agent].rank,
                tied=place[agent].tied,
                rating=place[agent].rating,
                games=len(own[agent]),
                wins=tally[agent].wins,
                draws=tally[agent].draws,
                losses=tally[agent].losses,
                measures=_measures(own[agent]),
                tokens=sum(figure.tokens for figure in own[agent]),
                cost=total_cost(figure.cost for figure in own[agent]),
            )
            for agent in agents
        ]
        return sorted(rows, key=lambda row: (row.rank, -row.rating.mean))

    def _table(self, column: Callable[[Figure], str]) -> dict[str, dict[str, Cell]]:
        cells: defaultdict[tuple[str, str], list[Figure]] = defaultdict(list)
        for figure in self.figures:
            cells[figure.agent, column(figure)].append(figure)
        table: dict[str, dict[str, Cell]] = {agent: {} for agent in self.tournament.agents}
        for (agent, where), figures in cells.items():
            utility = _measures(figures)["utility"]
            assert utility is not None
            table[agent][where] = Cell(utility, len(figures), tuple(figure.run_id for figure in figures))
        return table


def normalised(analyser: Analyser, seat: Seat, utility: float) -> float:
    """Return a utility on the scale from the reservation value (0) to the best that the other side could accept (1).

    Clipped at -1, as there may be more room below the reservation value than above it. 0 if nothing can be gained.
    """
    reservation = analyser.scenario.roles[seat].reservation
    room = analyser.best_given(seat) - reservation
    return max(-1.0, min(1.0, (utility - reservation) / room)) if room > TIE else 0.0


def clusters_of(games: Iterable[PlayedGame]) -> dict[Meeting, Hashable]:
    """Return a label for each meeting, equal for meetings with the same moves."""
    moves: defaultdict[Meeting, list[tuple[str, str]]] = defaultdict(list)
    for played in games:
        moves[played.game.meeting].append((played.game.a, played.moves))
    return {
        meeting: (meeting.scenario_id, meeting.first, meeting.second, tuple(sorted(made)))
        for meeting, made in moves.items()
    }


def contests(figures: Iterable[Figure], mirrored: bool) -> list[Contest]:
    """Return who got more normalised utility over both seats, once for all meetings with the same moves."""
    sides: defaultdict[Hashable, dict[tuple[str, Seat], float]] = defaultdict(dict)
    for figure in figures:
        sides[figure.cluster][figure.agent, figure.seat] = figure.utility
    met = []
    for gained in sides.values():
        if len(gained) < (4 if mirrored else 2):
            continue  # the mirrored game has not been played
        first, second = sorted({agent for agent, _ in gained})
        lead = sum(utility if agent == first else -utility for (agent, _), utility in gained.items())
        met.append(Contest(first, second, 0.5 if abs(lead) <= TIE else float(lead > 0)))
    return met


def rate(tournament: Tournament, games: Iterable[PlayedGame]) -> Ratings:
    """Return the ratings alone."""
    board = Leaderboard(tournament, games)
    return bradley_terry(list(tournament.agents), contests(board.figures, tournament.mirrored))


def _optimal(analyser: Analyser, played: PlayedGame) -> bool:
    return analyser.pareto_distance(*settled_worth(analyser.scenario, played.agreement)) <= TIE


def _measures(figures: Sequence[Figure]) -> dict[str, Interval | None]:
    found: dict[str, Interval | None] = {}
    for name, (low, high, value) in MEASURES.items():
        values = [(each, figure.cluster) for figure in figures if (each := value(figure)) is not None]
        found[name] = mean_interval([each for each, _ in values], low, high, [cluster for _, cluster in values])
    return found
