"""Run negotiations between models, scripted strategies and people, and measure how they went.

A negotiation is a generator of typed events, which ends with `Ended` or `Halted`:

>>> from pathlib import Path
>>> from negotiation import STRATEGIES, Ended, Negotiation, TurnTaken, load_scenario, negotiate
>>> scenario = load_scenario(Path("configs/scenarios/company_car.yaml"))
>>> agents = {"a": STRATEGIES["conceder"], "b": STRATEGIES["linear"]}
>>> for event in negotiate(Negotiation("example", scenario, agents)):
...     match event:
...         case TurnTaken(turn):
...             print(f"{turn.agent}: {turn.message}")
...         case Ended():
...             print(event.ending, event.measures.utility_a, event.measures.utility_b)
conceder: Price: €24,000, if you don't mind. Please say you don't mind.
linear: €14,000, to begin with. From here on I keep time.
...
linear: €18,000 is on my route. Agreed.
agreement 0.4 0.633333333

`load_family` and `draw_scenario` make new scenarios of a kind from a seed:

>>> from negotiation import draw_scenario, load_family
>>> draw_scenario(load_family("integrative"), seed=3).title
'Jugglers at the fair'

`Catalog` creates agents that are played by the models of a `manager.LLMManager`. Importing this package imports neither
torch nor Gradio.
"""

from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.errors import IllegalTurn, ScenarioError, UnknownAgent
from negotiation.families.family import Family, load_family
from negotiation.families.generate import draw_scenario, draw_scenarios
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import (
    Asked,
    Ended,
    Event,
    Halted,
    Measures,
    Queued,
    Rejected,
    Started,
    Turn,
    TurnStarted,
    TurnTaken,
    Waiting,
    Writing,
)
from negotiation.game.protocol import Action, Ending
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import Scenario, load_scenario, load_scenarios

__version__ = "0.1.0"

__all__ = [
    "STRATEGIES",
    "Action",
    "Agent",
    "AgentConfig",
    "Analyser",
    "Asked",
    "Catalog",
    "Decision",
    "Ended",
    "Ending",
    "Event",
    "Family",
    "Halted",
    "IllegalTurn",
    "Measures",
    "Negotiation",
    "Queued",
    "Rejected",
    "Scenario",
    "ScenarioError",
    "Started",
    "Turn",
    "TurnStarted",
    "TurnTaken",
    "UnknownAgent",
    "View",
    "Waiting",
    "Writing",
    "draw_scenario",
    "draw_scenarios",
    "load_family",
    "load_scenario",
    "load_scenarios",
    "negotiate",
]
