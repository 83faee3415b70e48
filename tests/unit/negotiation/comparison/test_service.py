"""Comparisons in the background belong to an owner, grow, stop, and close."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from manager.errors import Busy
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.comparison.comparison import Comparison
from negotiation.comparison.service import Comparisons, ComparisonStatus
from negotiation.errors import UnknownAgent
from negotiation.runs.store import RunFilter, Store
from negotiation.scenario.model import load_scenario

SCENARIO = load_scenario(Path(__file__).parents[4] / "configs" / "scenarios" / "company_car.yaml")
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


def ended(comparisons: Comparisons, owner: str = "me") -> ComparisonStatus:
    for thread in threading.enumerate():
        if thread.name == "comparison":
            thread.join(60)
    standing = comparisons.status(owner)
    assert standing is not None
    return standing


def test_more_pairs_continue_with_the_next_seeds(comparisons: Comparisons) -> None:
    comparisons.start(asked(2))
    first = ended(comparisons)
    assert (first.done, first.goal, first.result.pairs, first.running) == (8, 8, 2, False)
    comparisons.start(asked(1))
    more = ended(comparisons)
    assert (more.done, more.goal, more.result.pairs, more.comparison.pairs) == (12, 12, 3, 3)
    runs = comparisons._store.summaries(RunFilter())
    assert {run.seed for run in runs} == {1, 2, 3}


def test_a_new_comparison_replaces_the_last_and_stays_private(comparisons: Comparisons) -> None:
    comparisons.start(asked(2))
    ended(comparisons)
    comparisons.start(asked(1, seed=5))
    other = ended(comparisons)
    assert (other.done, other.comparison.seed, other.result.pairs) == (4, 5, 1)
    assert comparisons.status("somebody else") is None
    assert comparisons.status(None) is None


def test_finished_negotiations_count_after_stopping(comparisons: Comparisons) -> None:
    slow = Comparison(SCENARIO, (AgentConfig("slow"), SECOND), OPPONENT, 3, owner="me")
    comparisons.start(slow)
    standing = comparisons.status("me")
    assert standing is not None
    assert standing.running
    comparisons.stop("me", wait=True)
    after = ended(comparisons)
    assert not after.running
    assert after.done < after.goal


def test_an_unknown_agent_is_refused_at_once(comparisons: Comparisons) -> None:
    with pytest.raises(UnknownAgent):
        comparisons.start(Comparison(SCENARIO, (AgentConfig("nobody"), SECOND), OPPONENT, 1, owner="me"))
    assert comparisons.status("me") is None


class Refusing:
    """Makes threads of a name fail to start."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        begin = threading.Thread.start

        def start(thread: threading.Thread) -> None:
            if thread.name.startswith(name):
                raise RuntimeError("can't start new thread")
            begin(thread)

        monkeypatch.setattr(threading.Thread, "start", start)


def test_without_a_thread_it_is_refused_and_starts_later(
    comparisons: Comparisons, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparisons.start(asked(1))
    assert ended(comparisons).goal == 4
    with monkeypatch.context() as broken:
        Refusing("comparison", broken)
        for seed in (1, 9):
            with pytest.raises(Busy, match="no room for more work now"):
                comparisons.start(asked(1, seed=seed))
    standing = ended(comparisons)
    assert (standing.done, standing.goal, standing.running) == (4, 4, False)
    comparisons.start(asked(1))
    assert {run.seed for run in comparisons._store.summaries(RunFilter())} <= {1, 2}
    assert ended(comparisons).result.pairs == 2


def test_without_threads_its_negotiations_fail_and_it_ends(
    comparisons: Comparisons, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        Refusing("negotiation", broken)
        comparisons.start(asked(2))
        standing = ended(comparisons)
    assert (standing.done, standing.running, standing.result.pairs) == (8, False, 0)
    assert set(standing.result.failed) == {"the server has no room for more work now; try again later"}


def test_simultaneous_starts_run_one_after_the_other(comparisons: Comparisons, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second starts between the first one's check and its start."""
    stop, presses = comparisons.stop, iter([True])

    def stop_and_press(owner: str | None, *, wait: bool = False) -> None:
        stop(owner, wait=wait)
        if next(presses, False):
            comparisons.start(asked(1, seed=5))

    monkeypatch.setattr(comparisons, "stop", stop_and_press)
    comparisons.start(asked(1))
    standing = ended(comparisons)
    assert (standing.comparison.seed, standing.running) == (1, False)
    assert not [thread for thread in threading.enumerate() if thread.name == "comparison"]
