"""What the domain's tests share: a small scenario worked out by hand, random ones, views, and fake models."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from manager.manager import LLMManager
from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import Event, Turn, TurnTaken
from negotiation.game.protocol import Action
from negotiation.game.session import Negotiation, negotiate, replay, view_of
from negotiation.runs.record import Run
from negotiation.runs.store import Store
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import Offer, Scenario, Seat, load_scenarios, parse_scenario

SHIPPED = Path(__file__).resolve().parents[3] / "configs" / "scenarios"

BIKE: dict[str, Any] = {
    "title": "A used bicycle",
    "story": "A student leaves the town and sells a bicycle to another one.",
    "rounds": 4,
    "issues": {
        "price": {"title": "Price", "unit": "€", "range": {"min": 100, "max": 200, "step": 10}},
        "lock": {"options": ["with", "without"]},
    },
    "roles": {
        "a": {
            "name": "Seller",
            "briefing": "The shop round the corner pays a little for it.",
            "reservation": 0.2,
            "weights": {"price": 0.75, "lock": 0.25},
            "values": {"price": {100: 0.0, 200: 1.0}, "lock": {"with": 0.0, "without": 1.0}},
        },
        "b": {
            "name": "Buyer",
            "briefing": "Walking is an option, but a slow one.",
            "reservation": 0.3,
            "weights": {"price": 0.5, "lock": 0.5},
            "values": {"price": {100: 1.0, 150: 0.8, 200: 0.0}, "lock": {"with": 1.0, "without": 0.0}},
        },
    },
}


@pytest.fixture
def bike_data() -> dict[str, Any]:
    """The bicycle as plain data, to be changed at will."""
    return copy.deepcopy(BIKE)


@pytest.fixture(scope="session")
def bike() -> Scenario:
    """The bicycle: 11 prices with or without a lock, four rounds."""
    return parse_scenario("bike", BIKE, "bike.yaml")


@pytest.fixture(scope="session")
def shipped() -> dict[str, Scenario]:
    """The scenarios that Parley comes with."""
    return load_scenarios(SHIPPED)


@pytest.fixture(scope="session")
def of_points() -> Callable[..., Scenario]:
    """Makes a scenario whose outcomes 0, 1, 2, ... have given utilities to a and b."""

    def make(
        *points: tuple[float, float],
        reservation: tuple[float, float] = (0.0, 0.0),
        rounds: int = 4,
        discount: float = 1.0,
    ) -> Scenario:
        options = [f"o{number}" for number in range(len(points))]
        roles = {
            seat: {
                "name": name,
                "briefing": "None.",
                "reservation": reservation[side],
                "weights": {"deal": 1.0},
                "values": {"deal": {option: point[side] for option, point in zip(options, points, strict=True)}},
            }
            for side, (seat, name) in enumerate([("a", "Left"), ("b", "Right")])
        }
        data = {
            "title": "Points",
            "story": "Some points.",
            "rounds": rounds,
            "discount": discount,
            "issues": {"deal": {"options": options}},
            "roles": roles,
        }
        return parse_scenario("points", data, "points.yaml")

    return make


@pytest.fixture(scope="session")
def scenarios() -> st.SearchStrategy[Scenario]:
    """Scenarios of any form: named options and ranges, one to three issues, any preferences."""
    return _scenarios()


@st.composite
def _scenarios(draw: st.DrawFn) -> Scenario:
    issues = draw(st.lists(_issues(), min_size=1, max_size=3))
    named = {f"issue_{number}": issue for number, issue in enumerate(issues)}
    data = {
        "title": "Any",
        "story": "Any story.",
        "rounds": draw(st.integers(1, 6)),
        "discount": draw(st.sampled_from([1.0, 1.0, 0.95, 0.7])),
        "issues": named,
        "roles": {"a": draw(_roles("Left", named)), "b": draw(_roles("Right", named))},
    }
    return parse_scenario("any", data, "any.yaml")


@st.composite
def _issues(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.booleans()):
        return {"options": [f"option {number}" for number in range(draw(st.integers(2, 5)))]}
    low, step, steps = draw(st.integers(-9, 9)), draw(st.integers(1, 7)), draw(st.integers(1, 6))
    return {"range": {"min": low * step, "max": (low + steps) * step, "step": step}}


@st.composite
def _roles(draw: st.DrawFn, name: str, issues: Mapping[str, Any]) -> dict[str, Any]:
    hundredths = st.integers(0, 100).map(lambda number: number / 100)
    shares = draw(st.lists(st.integers(1, 9), min_size=len(issues), max_size=len(issues)))
    values: dict[str, dict[str | int, float]] = {}
    for issue, about in issues.items():
        if "options" in about:
            points: list[str | int] = list(about["options"])
        else:
            span = about["range"]
            between = range(span["min"] + span["step"], span["max"], span["step"])
            given = draw(st.sets(st.sampled_from(between), max_size=2)) if between else set()
            points = [span["min"], *sorted(given), span["max"]]
        values[issue] = {point: draw(hundredths) for point in points}
    return {
        "name": name,
        "briefing": f"Nobody but {name} knows this.",
        "reservation": draw(hundredths),
        "weights": {issue: share / sum(shares) for issue, share in zip(issues, shares, strict=True)},
        "values": values,
    }


class Script:
    """An agent that makes given moves, one a turn, and keeps the views it was shown."""

    def __init__(self, *moves: Decision | Exception, name: str = "script") -> None:
        self.name = name
        self.views: list[View] = []
        self._moves = moves

    def act(self, view: View) -> Generator[Any, None, Decision]:
        yield from ()
        self.views.append(view)
        move = self._moves[len(view.own)]
        if isinstance(move, Exception):
            raise move
        return move


@pytest.fixture(scope="session")
def script() -> type[Script]:
    """The class of agents with given moves."""
    return Script


Move = tuple[Action, Offer | None, str]


@pytest.fixture(scope="session")
def make_view() -> Callable[..., View]:
    """Makes the view of the seat that is to move after given moves: `(action, offer, message)` each."""

    def make(scenario: Scenario, moves: Sequence[Move] = (), *, seed: int = 1, run_id: str = "run") -> View:
        turns: list[Turn] = []
        for action, offer, message in moves:
            state = replay(scenario, tuple(turns))
            raw, prompt = f"reply {state.turn}", ({"role": "user", "content": f"told {state.turn}"},)
            turns.append(
                Turn(state.turn, state.round, state.seat, "any", action, offer, message, raw=raw, prompt=prompt)  # type: ignore[arg-type]
            )
        agents: dict[Seat, Agent] = {"a": STRATEGIES["boulware"], "b": STRATEGIES["boulware"]}
        negotiation = Negotiation(run_id, scenario, agents, seed, tuple(turns))
        return view_of(negotiation, Analyser(scenario), replay(scenario, tuple(turns)), turns)

    return make


@pytest.fixture
def managers() -> Iterator[Callable[..., LLMManager]]:
    """Makes managers of fake models, {model id: settings}, and cleans them up."""
    with ExitStack() as stack:

        def make(models: Mapping[str, Mapping[str, Any]], **options: Any) -> LLMManager:
            return stack.enter_context(
                LLMManager({name: {"type": "fake", **about} for name, about in models.items()}, **options)
            )

        yield make


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of a database file that is not there yet."""
    return f"sqlite:///{tmp_path / 'parley.db'}"


@pytest.fixture
def stores(database: str) -> Iterator[Callable[..., Store]]:
    """Opens the database, as often as is wanted; each is closed in the end."""
    with ExitStack() as stack:

        def open_store(url: str = database) -> Store:
            store = Store(url)
            stack.callback(store.close)
            return store

        yield open_store


@pytest.fixture
def store(stores: Callable[..., Store]) -> Store:
    """A store in a new database file."""
    return stores()


@pytest.fixture(scope="session")
def make_run(bike: Scenario) -> Callable[..., Run]:
    """Makes a run between two agents by name."""

    def make(run_id: str = "", a: str = "boulware", b: str = "conceder", **about: Any) -> Run:
        about.setdefault("scenario", bike)
        about.setdefault("seed", 1)
        return Run(run_id=run_id, agents={"a": AgentConfig(a), "b": AgentConfig(b)}, **about)

    return make


@pytest.fixture(scope="session")
def run_through() -> Callable[[Negotiation], list[Event]]:
    """Runs a negotiation to its end."""
    return lambda negotiation: list(negotiate(negotiation))


@pytest.fixture(scope="session")
def turns_of() -> Callable[[Sequence[Event]], tuple[Turn, ...]]:
    """The turns among events."""
    return lambda events: tuple(event.turn for event in events if isinstance(event, TurnTaken))
