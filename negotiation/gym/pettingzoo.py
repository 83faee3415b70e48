"""A negotiation as a PettingZoo environment with two agents that take turns (AEC). Needs the extra `pettingzoo`.

>>> from pathlib import Path
>>> from negotiation import load_scenario
>>> from negotiation.gym.pettingzoo import Bargaining
>>> game = Bargaining(load_scenario(Path("configs/scenarios/company_car.yaml")))
>>> game.reset(seed=7)
>>> game.agent_selection
'a'

Actions are numbered as in `negotiation.gym`. An observation is a dictionary with `observation`, an array of `FEATURES`,
and `action_mask`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import AECEnv

from negotiation.gym.table import FIRST_OFFER, Observation, Table
from negotiation.scenario.analysis import OutcomeSpace
from negotiation.scenario.model import SEATS, Scenario

FEATURES = ("share of rounds played", "offer on the table", "own last offer", "no deal", "discount", "last turn")
"""What an observation says, in [-1, 1]. Worths are the agent's own, discounted to this round; -1 means no offer."""


class Bargaining(AECEnv):  # type: ignore[misc]
    """A negotiation between the agents `a` and `b`.

    The reward of each is its gain over its reservation value, paid when the negotiation ends.

    Args:
        scenario: What it is about.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "parley_v0", "render_modes": [], "is_parallelizable": False}

    def __init__(self, scenario: Scenario) -> None:
        super().__init__()
        self.scenario = scenario
        self.possible_agents: list[str] = list(SEATS)
        self.render_mode = None
        actions = FIRST_OFFER + len(OutcomeSpace(scenario))
        self.action_spaces: dict[str, spaces.Space[Any]] = {seat: spaces.Discrete(actions) for seat in SEATS}
        seen: dict[str, spaces.Space[Any]] = {
            "observation": spaces.Box(-1.0, 1.0, (len(FEATURES),), np.float64),
            "action_mask": spaces.Box(0, 1, (actions,), np.int8),
        }
        self.observation_spaces: dict[str, spaces.Space[Any]] = {seat: spaces.Dict(seen) for seat in SEATS}
        self._nothing: dict[str, NDArray[Any]] = {
            "observation": np.zeros(len(FEATURES)),
            "action_mask": np.zeros(actions, np.int8),
        }

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of an agent's observations."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of an agent's actions."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin a negotiation. The game has no chance of its own, so the seed only names the run."""
        self._table = Table(self.scenario, seed=1 if seed is None else seed)
        self.agents = list(self.possible_agents)
        self.rewards: dict[str, float] = dict.fromkeys(SEATS, 0.0)
        self._cumulative_rewards: dict[str, float] = dict.fromkeys(SEATS, 0.0)
        self.terminations: dict[str, bool] = dict.fromkeys(SEATS, False)
        self.truncations: dict[str, bool] = dict.fromkeys(SEATS, False)
        self.infos: dict[str, dict[str, Any]] = {seat: {} for seat in SEATS}
        self.agent_selection: str = self._to_move()

    def observe(self, agent: str) -> dict[str, NDArray[Any]]:
        """Return what an agent sees; only the agent that is to move may act."""
        seen = self._table.observation
        if seen is None or seen.seat != agent:
            return {name: array.copy() for name, array in self._nothing.items()}
        return {"observation": features(seen), "action_mask": seen.mask.astype(np.int8)}

    def step(self, action: int | None) -> None:
        """Make the move of the selected agent. Raises IllegalTurn if the mask forbids it."""
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        assert action is not None
        self._cumulative_rewards[agent] = 0.0
        self._table.move(int(action))
        over = self._table.ended is not None
        self.rewards = {seat: self._table.reward(seat) for seat in SEATS}
        self.terminations = dict.fromkeys(SEATS, over)
        self.agent_selection = next(seat for seat in SEATS if seat != agent) if over else self._to_move()
        self._accumulate_rewards()

    def _to_move(self) -> str:
        assert self._table.observation is not None
        return self._table.observation.seat


def features(seen: Observation) -> NDArray[np.float64]:
    """Return an observation as numbers, in the order of `FEATURES`."""
    view, state = seen.view, seen.view.state
    scenario, made = view.scenario, [turn.offer for turn in view.own if turn.offer is not None]

    def worth(offer: Any) -> float:
        return -1.0 if offer is None else scenario.discounted(scenario.utility(view.seat, offer), state.round)

    return np.array(
        [
            (state.round - 1) / scenario.rounds,
            worth(state.table),
            worth(made[-1] if made else None),
            view.role.reservation,
            scenario.discount,
            float(state.last_turn),
        ]
    )
