"""Negotiations on a Ray cluster, with one worker per GPU, or per machine without one. An Executor (executor.py).

A worker is a Ray actor with its own LLMManager: it receives a run and returns it with its turns. Only the program that
drives the tournament writes to the database, so a lost worker leaves no partial results; its games are played again.
Needs the extra `ray`.
"""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from manager.cancel import CancelToken
from manager.config.model_spec import ModelSpec
from manager.config.registry import Registry
from manager.errors import ConfigError
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.batch.executor import ExpectedModels, play
from negotiation.runs.record import Run

try:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as missing:
    raise ConfigError(f"--executor ray needs Ray ({missing}); install it with `pip install 'parley[ray]'`") from None

logger = logging.getLogger(__name__)
LOOK_SECONDS = 5.0
"""How often to look for machines that joined or left the cluster."""
STOP_SECONDS = 10.0
"""How long workers have to stop their negotiations."""


@dataclass(frozen=True)
class WorkerSettings:
    """Settings of a worker's manager. `budgets` are bytes by device; `max_wait` is in seconds."""

    specs: tuple[ModelSpec, ...]
    max_loaded_models: int
    budgets: Mapping[str, int]
    max_queue: int
    max_wait: float
    cache_dir: str


class Worker:
    """A Ray actor with a manager of its own and a thread for every negotiation."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._manager = LLMManager(
            Registry({spec.model_id: spec for spec in settings.specs}),
            settings.max_loaded_models,
            budgets=settings.budgets,
            max_queue=settings.max_queue,
            max_wait=settings.max_wait,
            cache_dir=Path(settings.cache_dir).expanduser(),
        )
        self._catalog = Catalog(self._manager)
        self._expected = ExpectedModels(self._manager)
        self._cancel = CancelToken()

    def play(self, run: Run) -> Run:
        """Run a negotiation to its end and return it."""
        return play(self._catalog, run, self._cancel)

    def expect(self, models: Collection[str]) -> None:
        """Announce the models that will be needed here."""
        self._expected.replace(models)

    def process(self) -> int:
        """Return the id of this worker's process."""
        return os.getpid()

    def stop(self) -> None:
        """Stop everything at its next token and unload everything."""
        self._cancel.cancel()
        self._manager.cleanup()


@dataclass
class _Hired:
    """A worker and the node that it runs on."""

    actor: Any
    node: str


class RayWorkers:
    """Workers on all machines of the cluster that this process is connected to; machines may join and leave."""

    def __init__(self, settings: WorkerSettings, slots: int) -> None:
        self._settings = settings
        self._slots = slots
        self._hired: dict[str, _Hired] = {}
        self._playing: dict[Any, tuple[Run, str]] = {}
        self._numbers = itertools.count(1)
        self._looked = -LOOK_SECONDS

    def workers(self) -> Mapping[str, int]:
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            self._hire()
        return dict.fromkeys(self._hired, self._slots)

    def submit(self, run: Run, worker: str) -> None:
        self._playing[self._hired[worker].actor.play.remote(run)] = run, worker

    def expect(self, worker: str, models: Collection[str]) -> None:
        self._hired[worker].actor.expect.remote(tuple(models))

    def take(self, timeout: float) -> Run | None:
        if not self._playing:
            time.sleep(timeout)
            return None
        ready, _ = ray.wait(list(self._playing), num_returns=1, timeout=timeout)
        if not ready:
            return None
        run, worker = self._playing.pop(ready[0])
        try:
            done: Run = ray.get(ready[0])
        except ray.exceptions.RayActorError as error:
            if self._hired.pop(worker, None):
                logger.warning("worker %s was lost: %s", worker, str(error).strip().partition("\n")[0])
                self._looked = -LOOK_SECONDS  # look for a replacement at once
            return replace(run, status="failed", reason=f"worker {worker} was lost during this negotiation")
        except ray.exceptions.RayError as error:
            logger.exception("run %s failed with an internal error", run.run_id)
            reason = str(error).strip().rpartition("\n")[2]
            return replace(run, status="failed", reason=f"an internal error ({reason}); the log has the details")
        return done

    def close(self) -> None:
        stopping = [hired.actor.stop.remote() for hired in self._hired.values()]
        if stopping:
            ray.wait(stopping, num_returns=len(stopping), timeout=STOP_SECONDS)
        for hired in self._hired.values():
            ray.kill(hired.actor)
        self._hired.clear()
        self._playing.clear()

    def actor(self, worker: str) -> Any:
        """Return the Ray actor of a worker."""
        return self._hired[worker].actor

    def _hire(self) -> None:
        """Start workers so that every machine has one per GPU, or one if it has no GPU."""
        for node in ray.nodes():
            if not node["Alive"]:
                continue
            gpus = int(node["Resources"].get("GPU", 0))
            there = sum(hired.node == node["NodeID"] for hired in self._hired.values())
            for _ in range(max(gpus, 1) - there):
                name = f"{node['NodeManagerHostname']}-{next(self._numbers)}"
                where = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
                actor = (
                    ray.remote(Worker)
                    .options(
                        num_cpus=0,
                        num_gpus=1 if gpus else 0,
                        max_concurrency=self._slots + 2,  # two more calls for `expect` and `stop`
                        scheduling_strategy=where,
                    )
                    .remote(self._settings)
                )
                self._hired[name] = _Hired(actor, node["NodeID"])


@contextmanager
def ray_workers(settings: WorkerSettings, slots: int) -> Iterator[RayWorkers]:
    """Yield workers on the cluster in RAY_ADDRESS, or on this machine alone; each plays `slots` games at a time."""
    ours = not ray.is_initialized()
    if ours:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    try:
        yield RayWorkers(settings, slots)
    finally:
        if ours:
            ray.shutdown()
