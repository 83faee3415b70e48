"""The environment of one seat: reset it with an episode, step until the negotiation is over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from negotiation.agents import prompts
from negotiation.agents.options import ModelOptions
from negotiation.errors import IllegalTurn
from negotiation.families.family import Family
from negotiation.game.agent import Agent, Decision
from negotiation.game.events import Measures
from negotiation.gym.table import Episode, Observation, Table
from negotiation.scenario.model import Scenario, Seat


@dataclass(frozen=True)
class Step:
    """What a move led to.

    `reward` is the gain over the seat's reservation value (its utility of the outcome, discounted by the round, minus
    its utility of no deal), in [-1, 1], paid when the negotiation ends; every other step pays 0. `invalid` says why a
    reply could not be used. `scenario` is the one that was played, also if the episode names a family.
    """

    episode: Episode
    scenario: Scenario
    observation: Observation | None
    reward: float
    terminated: bool
    measures: Measures | None = None
    invalid: str | None = None


class SeatEnvironment:
    """A negotiation from one seat.

    Args:
        options: What observations tell, as for a model's agent.
    """

    def __init__(self, options: ModelOptions = prompts.DEFAULTS) -> None:
        self._options = options
        self._episode: Episode | None = None
        self._table: Table | None = None

    def reset(
        self, scenario: Scenario | Family, seat: Seat, opponent: Agent | str, seed: int = 1
    ) -> Observation | None:
        """Begin a negotiation, and return what the seat sees before its first turn; None if the opponent left first.

        Args:
            scenario: What it is about, or the family from which the seed draws it.
            seat: The seat to play.
            opponent: The agent in the other seat, or the name of a strategy.
            seed: Controls all randomness.

        Raises:
            UnknownAgent: The opponent is no strategy.
            ScenarioError: The family has no scenario for this seed.
        """
        return self.begin(Episode(scenario, seat, opponent, seed))

    def begin(self, episode: Episode) -> Observation | None:
        """Begin an episode, as `reset` does."""
        self._episode = episode
        self._table = Table(episode.scenario, episode.agents, episode.seed, self._options)
        return self._table.observation

    def step(self, move: str | int | Decision) -> Step:
        """Make a move, let the opponent answer, and return what it led to.

        Args:
            move: A reply as a model writes it, the number of an action, or a decision.

        Raises:
            IllegalTurn: The action is not legal now, or the negotiation is over.
        """
        if self._table is None or self._episode is None or self._table.observation is None:
            raise IllegalTurn("the negotiation is over; call reset first")
        decision = self._table.observation.decision(move)
        self._table.move(decision)
        return Step(
            episode=self._episode,
            scenario=self._table.scenario,
            observation=self._table.observation,
            reward=self._table.reward(self._episode.seat),
            terminated=self._table.ended is not None,
            measures=self._table.measures,
            invalid=decision.invalid[-1].detail if decision.invalid else None,
        )


class VectorEnvironment:
    """Many environments side by side, each of which begins the next episode when its own is over.

    Args:
        episodes: The episodes to play; it ends when they are used up.
        size: How many to play at once.
        options: What observations tell.
    """

    def __init__(self, episodes: Iterable[Episode], size: int, options: ModelOptions = prompts.DEFAULTS) -> None:
        self._episodes: Iterator[Episode] = iter(episodes)
        self._environments = [SeatEnvironment(options) for _ in range(size)]
        self.observations: list[Observation | None] = [self._begin(one) for one in self._environments]
        """What each environment sees; None where no episode is left."""

    @property
    def done(self) -> bool:
        """Whether all episodes have been played."""
        return all(observation is None for observation in self.observations)

    def step(self, moves: Sequence[str | int | Decision | None]) -> list[Step | None]:
        """Make a move in each environment, and return what each led to.

        Args:
            moves: One for each environment; None where `observations` has None.

        Raises:
            IllegalTurn: An action is not legal; the environments before it have moved.
        """
        steps: list[Step | None] = []
        for number, (environment, move) in enumerate(zip(self._environments, moves, strict=True)):
            if self.observations[number] is None or move is None:
                steps.append(None)
                continue
            step = environment.step(move)
            self.observations[number] = self._begin(environment) if step.terminated else step.observation
            steps.append(step)
        return steps

    def _begin(self, environment: SeatEnvironment) -> Observation | None:
        for episode in self._episodes:
            if observation := environment.begin(episode):
                return observation
        return None
