"""A whole program without its page, a backend with scripted faults, and the invariants after every bad day."""

from __future__ import annotations

import html
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from manager.backends.base import Footprint, Progress, register_backend
from manager.backends.fake import FakeModel
from manager.config.model_spec import ModelSpec
from manager.generation.request import GenerationRequest
from manager.generation.stream import TokenStream, cancelled
from manager.manager import LLMManager
from manager.state import State
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.game.events import Ended, Event, Halted, TurnTaken
from negotiation.live.feed import Watch, stored_events
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.record import Run
from negotiation.runs.store import HEARTBEAT_SECONDS, Store
from negotiation.scenario.model import Scenario, Seat, load_scenarios
from tests.support.hubserver import Hub, serving_hub
from tests.support.server import ROOT
from ui.drawing.outcome_space import space_of
from ui.drawing.table_and_verdict import verdict_html
from ui.widgets.follow import stored_view

PATIENCE = 60.0
"""Seconds after which an expected event counts as missing."""
MODELS: dict[str, dict[str, Any]] = {
    "steady": {"type": "faulty", "model_name": "steady", "size_bytes": 10},
    "victim": {"type": "faulty", "model_name": "victim", "size_bytes": 20},
    "other": {"type": "faulty", "model_name": "other", "size_bytes": 30},
}


class Clock:
    """A clock that runs normally and can be moved ahead."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    def skip(self, seconds: float) -> None:
        self._ahead += seconds


class Faults:
    """The faults of a test's models: an error to raise at a stage ("load victim"), or an event to wait for."""

    def __init__(self) -> None:
        self.at: dict[str, BaseException | threading.Event] = {}
        self._reached = threading.Condition()
        self._log: list[str] = []

    def reach(self, stage: str) -> None:
        """Called by the models; raises the error of the stage, or waits for its event."""
        with self._reached:
            self._log.append(stage)
            self._reached.notify_all()
        fault = self.at.get(stage)
        if isinstance(fault, threading.Event):
            fault.wait(PATIENCE)
        elif fault is not None:
            raise fault

    def hang(self, stage: str) -> threading.Event:
        """Make models hang at a stage until the event is set."""
        event = self.at[stage] = threading.Event()
        return event

    def wait_for(self, stage: str, times: int = 1) -> None:
        with self._reached:
            assert self._reached.wait_for(lambda: self._log.count(stage) >= times, PATIENCE), (stage, self._log)

    def end(self) -> None:
        for fault in self.at.values():
            if isinstance(fault, threading.Event):
                fault.set()


class FaultyModel(FakeModel):
    """A fake with scripted faults; it notices cancellation only where it does not hang."""

    def __init__(self, spec: ModelSpec, cache_dir: Path, faults: Faults) -> None:
        super().__init__(spec, cache_dir)
        self.name, self.faults, self.host = spec.model_name, faults, 0

    def prepare(self, progress: Progress) -> Footprint:
        self.faults.reach(f"prepare {self.name}")
        return Footprint("bench", self.spec.size_bytes, allowance=5, capacity=1000, parking=500)

    def load(self, progress: Progress) -> int:
        progress("loading", 0, self.spec.size_bytes)
        self.faults.reach(f"load {self.name}")
        return super().load(progress)

    def unload(self) -> int:
        self.faults.reach(f"unload {self.name}")
        self.host = 0
        return 0

    def park(self) -> int:
        self.faults.reach(f"park {self.name}")
        self.host = self.spec.size_bytes
        return self.host

    def wake(self, progress: Progress) -> int:
        return self.load(progress)

    def drop(self) -> None:
        self.faults.reach(f"drop {self.name}")
        self.host = 0

    @property
    def host_bytes(self) -> int:
        return self.host

    def trim_cache(self, to_bytes: int) -> None:
        self.faults.reach(f"trim {self.name}")

    def _write(self, request: GenerationRequest, stream: TokenStream) -> None:
        with stream.producing():
            self.faults.reach(f"write {self.name}")
            if stream.cancel_token.cancelled:
                raise cancelled()
            super()._write(request, stream)


class House:
    """Manager, store and running negotiations, and their state before anything happened."""

    def __init__(self, folder: Path, url: str, models: Mapping[str, Any], faults: Faults, **options: Any) -> None:
        self.threads = set(threading.enumerate())
        self.faults, self.clock = faults, Clock()
        self.store = Store(url)
        self.manager = LLMManager({**MODELS, **models}, cache_dir=folder / "cache", clock=self.clock, **options)
        self.live = LiveRuns(Catalog(self.manager), self.store, clock=self.clock)
        self.scenario: Scenario = load_scenarios(ROOT / "configs" / "scenarios")["company_car"]
        self.watches: dict[str, Watch] = {}
        self.seen: dict[str, list[Event]] = {}
        self._open, self._held = True, threading.Event()

    def start(self, a: str, b: str = "boulware", seed: int = 1, **options: Any) -> str:
        """Start a watched negotiation; `options` are b's."""
        run_id = self.live.start(self.run(a, b, seed, **options))
        watch = self.live.watch(run_id)
        if watch is None:  # it has already ended
            self.seen[run_id] = stored_events(self.store.run(run_id))
        else:
            self.watches[run_id], self.seen[run_id] = watch, []
        return run_id

    def run(self, a: str, b: str = "boulware", seed: int = 1, **options: Any) -> Run:
        """Return a run to start."""
        agents: dict[Seat, AgentConfig] = {"a": AgentConfig(a), "b": AgentConfig(b, options)}
        return Run(run_id="", scenario=self.scenario, agents=agents, seed=seed)

    def until(self, run_id: str, wanted: Callable[[Event], bool] | type) -> Event:
        """Return the event that a watcher waits for."""
        seen = self.seen[run_id]
        while True:
            for event in seen:
                if isinstance(event, wanted) if isinstance(wanted, type) else wanted(event):
                    return event
            new = self.watches[run_id].poll(PATIENCE)
            assert new, f"nothing more came after {seen[-3:]}"
            seen += new

    def beside(self) -> str:
        """Start another lane, which takes its first turn and is held in its second until `go_on`."""
        self._held = self.faults.hang("write steady")
        run_id = self.start("conceder", "steady", seed=2)
        self.until(run_id, TurnTaken)
        self.faults.wait_for("write steady")
        return run_id

    def go_on(self) -> None:
        """Let the other lane continue."""
        self._held.set()

    def recorded(self, run_id: str) -> None:
        """Wait until the ending of a run is stored; a failed attempt is repeated later."""
        ends = time.monotonic() + PATIENCE
        while self.store.run(run_id).status == "running":
            assert time.monotonic() < ends
            self.clock.skip(HEARTBEAT_SECONDS)
            threading.Event().wait(0.05)

    def rest(self) -> None:
        """Unload everything and wait until it is gone."""
        events = self.manager.subscribe()
        for model_id in self.manager.list_models():
            self.manager.unload_model(model_id)
        away = (State.COLD, State.FAILED)
        while not all(row.state in away or row.remote for row in self.manager.snapshot().weights):
            assert events.get(PATIENCE) is not None, self.manager.snapshot()
        events.close()

    def close(self) -> None:
        if self._open:
            self._open = False
            for watch in self.watches.values():
                watch.close()
            self.live.close()
            self.manager.cleanup()
            self.store.close()

    def aftermath(
        self, failed: Mapping[str, str], *finished: str, status: str = "failed", leaked: int = 0, parked: int = 0
    ) -> None:
        """Check the invariants after a bad day, and close everything.

        Runs that `failed` say why, where a visitor sees it (what matches the given text); the others finish. What
        was shown as final is stored. No lease, no waiter and no thread is left, and no memory but what was announced.
        """
        self.go_on()
        for run_id in finished:
            self.until(run_id, Ended)
            assert self.store.run(run_id).status == "done"
        for run_id, reason in failed.items():
            told = self.until(run_id, Halted)
            assert isinstance(told, Halted)
            stored = self.store.run(run_id)
            assert (stored.status, stored.reason) == (told.status, told.reason)
            assert stored.status == status
            assert re.search(reason, stored.reason), stored.reason
            assert re.search(reason, html.unescape(verdict_html(stored_view(stored), space_of(stored.scenario))))
        for run_id, events in self.seen.items():
            taken = [event.turn for event in events if isinstance(event, TurnTaken)]
            assert list(self.store.run(run_id).turns) == taken
        self.rest()
        snapshot = self.manager.snapshot()
        assert (snapshot.queue, sum(row.leases for row in snapshot.weights)) == ((), 0)
        assert sum(device.bytes for device in snapshot.devices) == leaked
        assert sum(device.leaked for device in snapshot.devices) == leaked
        assert snapshot.parked == parked
        self.close()
        self.threads_ended()

    def threads_ended(self) -> None:
        """Check that no thread started here remains."""
        begun = [thread for thread in set(threading.enumerate()) - self.threads if not re.search(HELPERS, thread.name)]
        for thread in begun:
            thread.join(PATIENCE)
        assert [thread.name for thread in begun if thread.is_alive()] == []


HELPERS = "remote servers|processor_|asyncio_|tqdm_monitor|process_request_thread"
"""Threads that managers, libraries or the stand-in for the Hub keep for reuse."""


@pytest.fixture
def faults() -> Iterator[Faults]:
    made = Faults()
    register_backend("faulty", lambda spec, cache_dir: FaultyModel(spec, cache_dir, made))
    yield made
    made.end()


@pytest.fixture
def houses(tmp_path: Path, faults: Faults) -> Iterator[Callable[..., House]]:
    """Makes houses with the models of MODELS and others, and closes them."""
    with ExitStack() as stack:

        def make(models: Mapping[str, Any] | None = None, url: str = "", **options: Any) -> House:
            url = url or f"sqlite:///{tmp_path / 'parley.db'}"
            house = House(tmp_path, url, models or {}, faults, **options)
            stack.callback(house.close)
            stack.callback(faults.end)
            return house

        yield make


@pytest.fixture
def house(houses: Callable[..., House]) -> House:
    return houses()


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serving_hub(monkeypatch, tmp_path) as server:
        yield server
