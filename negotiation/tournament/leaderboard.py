"""The figures of a tournament: what every agent gained, with its uncertainty, by seat and scenario.

The page and the command line both show these figures. Agents are ordered by their mean normalised surplus, in which
every opponent and scenario has the same weight (figures/gains.py). Normalised surplus is 0 at one's reservation value
and 1 at one's best outcome that the other side could accept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from negotiation.diagnostics.deadlines import micro_deal
from negotiation.figures.bradley_terry import tallies
from negotiation.figures.gains import Estimates, Gains, Leads, Scope, Sides, numbered
from negotiation.figures.statistics import Floats, Interval
from negotiation.game.measures import total_cost
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import SEATS, Seat
from negotiation.tournament.plan import Tournament
from negotiation.tournament.sides import Figure, contests, figures_of
from negotiation.tournament.store import PlayedGame

SURPLUS = -1.0, 1.0
"""The range of normalised surplus."""
IN_POINTS = frozenset(["surplus", "surplus_when_agreed"])
"""Measures that people read in points from 0 to 100; the others are shares."""
MEASURES: Mapping[str, tuple[float, float, Callable[[Figure], float | None]]] = {
    "agreement": (0.0, 1.0, lambda figure: float(figure.agreed)),
    "surplus_when_agreed": (*SURPLUS, lambda figure: figure.surplus if figure.agreed else None),
    "pareto": (0.0, 1.0, lambda figure: None if figure.optimal is None else float(figure.optimal)),
    "welfare": (0.0, 1.0, lambda figure: figure.welfare),
    "rational": (0.0, 1.0, lambda figure: float(figure.rational)),
    "invalid": (0.0, 1.0, lambda figure: figure.invalid / figure.replies if figure.replies else None),
}
"""What the surplus is made of, and more, with the lowest and highest value of a game: share of negotiations with a
deal, normalised surplus of those, share of deals that are Pareto-optimal, share of the maximum joint utility, share of
negotiations that ended at or above the reservation value, and share of invalid replies. Surplus is agreement times
surplus when agreed."""


@dataclass(frozen=True)
class Placing:
    """An agent's mean surplus in one scope.

    `rank` is 1 + the number of agents that are clearly ahead, `tied` those that are not clearly apart.
    """

    surplus: Interval | None
    rank: int
    tied: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """One agent's row. `like_these` is None where there is only one scenario."""

    agent: str
    these: Placing
    like_these: Placing | None
    games: int
    wins: int
    draws: int
    losses: int
    measures: Mapping[str, Interval | None]
    tokens: int  # written in all its games
    cost: float | None  # of all its games, in US dollars; None without a price


@dataclass(frozen=True)
class Cell:
    """Mean normalised surplus of a row's agent in a column, with its runs."""

    surplus: Interval
    games: int
    run_ids: tuple[str, ...]


class Leaderboard:
    """All figures of a tournament's games, computed on first access."""

    def __init__(self, tournament: Tournament, games: Iterable[PlayedGame]) -> None:
        self.tournament = tournament
        self.games = [played for played in games if played.game.scenario_id in tournament.scenarios]
        self.failed = [played for played in self.games if played.status == "failed"]

    @cached_property
    def figures(self) -> list[Figure]:
        """Both sides of every finished game."""
        return figures_of(self.tournament, self.games)

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
        """For each agent and seat, the surplus and the measures of its games in that seat."""
        return {
            agent: {
                seat: self._measures(
                    [figure for figure in self.figures if figure.agent == agent and figure.seat == seat]
                )
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

    @cached_property
    def surplus(self) -> Estimates:
        """The mean surplus of all agents, in the order of the tournament."""
        return _adjusted(self._gains(self.figures), self.figures)

    @cached_property
    def too_short_for_micro(self) -> dict[str, int]:
        """The scenarios whose deadline ends MiCRO before it can agree with itself, and the rounds that it would need.

        Empty if MiCRO does not take part.
        """
        if not any(config.agent == "micro" for config in self.tournament.agents.values()):
            return {}
        deals = {name: micro_deal(Analyser(scenario)) for name, scenario in self.tournament.scenarios.items()}
        scenarios = self.tournament.scenarios
        return {name: deal.rounds for name, deal in deals.items() if deal and deal.rounds > scenarios[name].rounds}

    def compute(self) -> None:
        """Compute everything now."""
        tables = "standings", "by_scenario", "by_seat", "by_opponent", "by_agent_and_scenario"
        for part in (*tables, "too_short_for_micro"):
            getattr(self, part)

    @property
    def _any_time(self) -> bool:
        """Whether play stops depending on the results, so that figures must hold whenever it does."""
        return self.tournament.adaptive is not None

    def _interval(self, found: Estimates, place: int, scope: Scope, low: float, high: float) -> Interval | None:
        return found.interval(place, scope, low, high, any_time=self._any_time)

    def _gains(self, figures: Sequence[Figure]) -> Gains:
        agents, scenarios = list(self.tournament.agents), list(self.tournament.scenarios)
        seeds = {seed: place for place, seed in enumerate(sorted({figure.seed for figure in figures}))}
        sides = Sides(
            agent=numbered([figure.agent for figure in figures], agents),
            opponent=numbered([figure.opponent for figure in figures], agents),
            scenario=numbered([figure.scenario_id for figure in figures], scenarios),
            seat=numbered([figure.seat for figure in figures], SEATS),
            seed=np.array([seeds[figure.seed] for figure in figures], dtype=np.intp),
            by_rule=np.array([figure.by_rule for figure in figures], dtype=np.bool_),
        )
        return Gains(len(agents), len(scenarios), len(seeds), sides)

    def _standings(self, figures: Sequence[Figure]) -> list[Standing]:
        agents = list(self.tournament.agents)
        gains = self._gains(figures)
        surplus = _adjusted(gains, figures)
        leads: dict[Scope, Leads] = {"these": surplus.leads("these", any_time=self._any_time)}
        if len({figure.scenario_id for figure in figures}) > 1:
            leads["like_these"] = surplus.leads("like_these")
        tally = tallies(agents, contests(figures, self.tournament.mirrored))
        measures = self._measured(gains, figures)
        own: defaultdict[str, list[Figure]] = defaultdict(list)
        for figure in figures:
            own[figure.agent].append(figure)

        def placing(place: int, scope: Scope) -> Placing:
            tied = tuple(agents[rival] for rival in leads[scope].tied(place))
            return Placing(self._interval(surplus, place, scope, *SURPLUS), leads[scope].rank(place), tied)

        rows = []
        for place, agent in enumerate(agents):
            row = Standing(
                agent=agent,
                these=placing(place, "these"),
                like_these=placing(place, "like_these") if "like_these" in leads else None,
                games=len(own[agent]),
                wins=tally[agent].wins,
                draws=tally[agent].draws,
                losses=tally[agent].losses,
                measures={name: of_agents[place] for name, of_agents in measures.items()},
                tokens=sum(figure.tokens for figure in own[agent]),
                cost=total_cost(figure.cost for figure in own[agent]),
            )
            rows.append(row)
        return sorted(rows, key=lambda row: -row.these.surplus.mean if row.these.surplus else 2.0)

    def _measured(self, gains: Gains, figures: Sequence[Figure]) -> dict[str, list[Interval | None]]:
        """Return the measures of every agent, in the order of the tournament."""
        scope = scope_of(figures)
        found = {}
        for name, (low, high, value) in MEASURES.items():
            estimates = gains.of(*_values(figures, value))
            found[name] = [self._interval(estimates, place, scope, low, high) for place in range(gains.agents)]
        return found

    def _measures(self, figures: Sequence[Figure]) -> dict[str, Interval | None]:
        """Return the surplus and the measures of figures of one agent."""
        if not figures:
            return dict.fromkeys(("surplus", *MEASURES))
        gains = self._gains(figures)
        place = list(self.tournament.agents).index(figures[0].agent)
        measured = {name: of_agents[place] for name, of_agents in self._measured(gains, figures).items()}
        return {"surplus": self._surplus(gains, figures), **measured}

    def _surplus(self, gains: Gains, figures: Sequence[Figure]) -> Interval | None:
        place = list(self.tournament.agents).index(figures[0].agent)
        estimates = gains.of(*_values(figures, lambda figure: figure.surplus))
        return self._interval(estimates, place, scope_of(figures), *SURPLUS)

    def _table(self, column: Callable[[Figure], str]) -> dict[str, dict[str, Cell]]:
        cells: defaultdict[tuple[str, str], list[Figure]] = defaultdict(list)
        for figure in self.figures:
            cells[figure.agent, column(figure)].append(figure)
        table: dict[str, dict[str, Cell]] = {agent: {} for agent in self.tournament.agents}
        for (agent, where), figures in cells.items():
            surplus = self._surplus(self._gains(figures), figures)
            assert surplus is not None
            table[agent][where] = Cell(surplus, len(figures), tuple(figure.run_id for figure in figures))
        return table


def scope_of(figures: Iterable[Figure]) -> Scope:
    """Return the scope of intervals that have only one: over scenarios if there are several, else over seeds."""
    return "like_these" if len({figure.scenario_id for figure in figures}) > 1 else "these"


def _adjusted(gains: Gains, figures: Sequence[Figure]) -> Estimates:
    return gains.of(gains.adjusted(np.array([figure.surplus for figure in figures], dtype=np.float64)))


def _values(figures: Sequence[Figure], value: Callable[[Figure], float | None]) -> tuple[Floats, Floats]:
    """Return a measure of every figure, 0 where it has none, and where it has one (1) or not (0)."""
    found = [value(figure) for figure in figures]
    counted = np.array([float(each is not None) for each in found])
    return np.array([0.0 if each is None else each for each in found]), counted
