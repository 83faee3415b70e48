"""Negotiation as an environment for programs that learn: observe, move, and be paid what a deal is worth.

>>> from pathlib import Path
>>> from negotiation import load_scenario
>>> from negotiation.gym import ACCEPT, SeatEnvironment
>>> environment = SeatEnvironment()
>>> scenario = load_scenario(Path("configs/scenarios/company_car.yaml"))
>>> observation = environment.reset(scenario, seat="b", opponent="conceder", seed=7)
>>> bool(observation.mask[ACCEPT])
True
>>> step = environment.step(ACCEPT)
>>> step.terminated, round(step.reward, 3)
(True, -0.2)

Importing this package imports neither torch nor Gradio. `negotiation.gym.pettingzoo` and `negotiation.gym.verifiers`
need the extras of these names, and `negotiation.gym.inspect_task` the extra `inspect`.
"""

from negotiation.gym.environment import SeatEnvironment, Step, VectorEnvironment
from negotiation.gym.table import ACCEPT, FIRST_OFFER, WALK_AWAY, Episode, Observation, Table

__all__ = [
    "ACCEPT",
    "FIRST_OFFER",
    "WALK_AWAY",
    "Episode",
    "Observation",
    "SeatEnvironment",
    "Step",
    "Table",
    "VectorEnvironment",
]
