"""Comparisons in the background belong to an owner, grow, stop, and close."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from manager.manager import LLMManager
from negotiation.agents.catalog import AgentConfig, Catalog
from negotiation.background import Comparisons, Standing
from negotiation.comparison import Comparison
from negotiation.errors import UnknownAgent
from negotiation.scenario import load_scenario
from negotiation.store import RunFilter, Store

SCENARIO = load_scenario(Path(__file__).parents[3] / "configs" / "scenarios" / "company_car.yaml")
FIRST, SECOND, OPPONENT = AgentConfig("conceder"), AgentConfig("linear"), AgentConfig("boulware")
SLOW = {"slow": {"type": "fake", "tokens_per_second": 1.0}}


@pytest.fixture
def comparisons(tmp_path: Path) -> Iterator[Comparisons]:
    manager = LLMManager(SLOW)
    store = Store(f"sqlite:///{tmp_path / 'runs.db'}")
    kept = Comparisons(Catalog(manager), store)
    yield kept
    kept.close()
    manager.cleanup()
    store.close()


def asked(pairs: int = 2, **more: object) -> Comparison:
    return Comparison(SCENARIO, (FIRST, SECOND), OPPONENT, pairs, owner="me", **more)  # type: ignore[arg-type]


def ended(comparisons: Comparisons, owner: str = "me") -> Standing:
    for thread in threading.enumerate():
        if thread.name == "comparison":
            thread.join(60)
    standing = comparisons.standing(owner)
    assert standing is not None
    return standing


def test_pairs_are_run_and_more_of_them_go_on_with_the_next_seeds(comparisons: Comparisons) -> None:
    comparisons.start(asked(2))
    first = ended(comparisons)
    assert (first.done, first.goal, first.result.pairs, first.running) == (8, 8, 2, False)
    comparisons.start(asked(1))
    more = ended(comparisons)
    assert (more.done, more.goal, more.result.pairs, more.comparison.pairs) == (12, 12, 3, 3)
    runs = comparisons._store.summaries(RunFilter())
    assert {run.seed for run in runs} == {1, 2, 3}


def test_another_comparison_takes_its_place_and_others_see_nothing_of_it(comparisons: Comparisons) -> None:
    comparisons.start(asked(2))
    ended(comparisons)
    comparisons.start(asked(1, seed=5))
    other = ended(comparisons)
    assert (other.done, other.comparison.seed, other.result.pairs) == (4, 5, 1)
    assert comparisons.standing("somebody else") is None
    assert comparisons.standing(None) is None


def test_stopping_keeps_what_was_played(comparisons: Comparisons) -> None:
    slow = Comparison(SCENARIO, (AgentConfig("slow"), SECOND), OPPONENT, 3, owner="me")
    comparisons.start(slow)
    standing = comparisons.standing("me")
    assert standing is not None
    assert standing.running
    comparisons.stop("me", wait=True)
    after = ended(comparisons)
    assert not after.running
    assert after.done < after.goal


def test_an_unknown_agent_is_refused_at_once(comparisons: Comparisons) -> None:
    with pytest.raises(UnknownAgent):
        comparisons.start(Comparison(SCENARIO, (AgentConfig("nobody"), SECOND), OPPONENT, 1, owner="me"))
    assert comparisons.standing("me") is None
