"""Where weights are prepared, and come and go: one loader thread, and helpers that look for files.

Knows backends and threads; what is done when is told by the manager, whom it answers with happenings. It takes no
lock of the manager's, and calls it with none of its own held.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from manager import happenings as h
from manager.backends.base import BaseLLMModel, Footprint, Progress, create_model
from manager.errors import Cancelled, Failure, LoadFailed, ParleyError, Refused
from manager.registry import ModelSpec, WeightsKey
from manager.status import LoadProgress

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.1
"""Progress is passed on at most this often."""
LEAK_SECONDS = 1.0
"""How often it is looked whether leaked bytes came back."""


class Loader:
    """Does one job at a time, in the order asked for; preparing runs beside it."""

    def __init__(
        self,
        cache_dir: Path,
        done: Callable[[h.LoaderAnswer], None],
        progressed: Callable[[WeightsKey, LoadProgress], None],
    ) -> None:
        self._cache_dir = cache_dir
        self._done = done
        self._progressed = progressed
        self._models: dict[WeightsKey, BaseLLMModel] = {}
        self._bytes: dict[WeightsKey, int] = {}  # what each load was measured to take
        self._unwanted: set[WeightsKey] = set()
        self._footprints: dict[WeightsKey, Footprint] = {}
        self._leaks: dict[WeightsKey, int] = {}  # bytes that were told of as leaked and not as recovered
        self._jobs: queue.SimpleQueue[h.Job | None] = queue.SimpleQueue()
        self._helpers = ThreadPoolExecutor(4, thread_name_prefix="prepare")
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)
        self._thread.start()

    def model(self, key: WeightsKey) -> BaseLLMModel:
        """The backend object of weights that were prepared."""
        return self._models[key]

    def prepare(self, key: WeightsKey, spec: ModelSpec) -> None:
        """Look for the files of `key`, fetch and size them; ends with Prepared or PrepareFailed."""
        self._unwanted.discard(key)
        self._helpers.submit(self._prepare, key, spec)

    def start(self, job: h.Job) -> None:
        """Queue a piece of work on weights; it ends with exactly one answer about them."""
        self._unwanted.discard(job.weights)
        self._jobs.put(job)

    def abort(self, key: WeightsKey) -> None:
        """Make the preparing or loading of `key` in flight fail with Cancelled at its next report of progress."""
        self._unwanted.add(key)

    def close(self) -> None:
        """Finish what is queued and stop the threads."""
        self._helpers.shutdown(wait=True, cancel_futures=True)
        self._jobs.put(None)
        self._thread.join()

    def _prepare(self, key: WeightsKey, spec: ModelSpec) -> None:
        happening: h.LoaderAnswer
        try:
            model = self._models.get(key) or create_model(spec, self._cache_dir)
            found = model.prepare(self._reporter(key))
            self._models[key], self._footprints[key] = model, found
            happening = h.Prepared(
                key,
                found.bytes + found.working,
                found.device,
                found.elsewhere,
                found.load_seconds,
                found.allowance,
                found.capacity,
                found.parking,
            )
        except Exception as error:  # noqa: BLE001 (whoever waits must hear of it)
            happening = h.PrepareFailed(key, _failure(error, Refused))
        self._done(happening)

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=LEAK_SECONDS if self._leaks else None)
            except queue.Empty:
                self._look_for_leaks()
                continue
            if job is None:
                return
            self._done(self._do(job))
            self._look_for_leaks()

    def _do(self, job: h.Job) -> h.LoaderAnswer:
        key = job.weights
        match job:
            case h.StartLoad() | h.StartWake():
                return self._load(job)
            case h.StartPark():
                return self._park(key)
            case h.StartUnload():
                return self._unload(key)
            case h.StartDrop():
                self._models[key].drop()
                return h.Dropped(key)
            case h.StartTrim(to_bytes=size):
                self._models[key].trim_cache(size)
                return h.Trimmed(key, max(size, self._models[key].cache_bytes))

    def _load(self, job: h.StartLoad | h.StartWake) -> h.LoaderAnswer:
        key, model = job.weights, self._models[job.weights]
        bring = model.load if isinstance(job, h.StartLoad) else model.wake
        try:
            self._bytes[key] = bring(self._reporter(key)) + self._footprints[key].working
            model.trim_cache(job.cache)
        except Exception as error:  # noqa: BLE001 (the loader must go on)
            return h.LoadFailed(key, _failure(error, LoadFailed), self._leak_of(key), model.host_bytes)
        return h.Loaded(key, self._bytes[key])

    def _park(self, key: WeightsKey) -> h.LoaderAnswer:
        try:
            host = self._models[key].park()
        except Exception:
            logger.exception("%s cannot be parked and is unloaded", key)
            return self._unload(key)
        return h.Parked(key, host, self._leak_of(key))

    def _unload(self, key: WeightsKey) -> h.LoaderAnswer:
        try:
            leaked = self._models[key].unload()
        except Exception:
            logger.exception("unloading %s failed; all its bytes count as leaked", key)
            return h.Unloaded(key, self._bytes[key])
        return h.Unloaded(key, max(leaked, self._leak_of(key)))

    def _leak_of(self, key: WeightsKey) -> int:
        """Bytes that leaked since it was last asked; from now on they are watched."""
        before, now = self._leaks.get(key, 0), self._models[key].leaked_bytes
        if now:
            self._leaks[key] = now
        return max(0, now - before)

    def _look_for_leaks(self) -> None:
        """Tell of leaked bytes that came back after all."""
        for key, before in list(self._leaks.items()):
            now = self._models[key].leaked_bytes
            if now < before:
                self._leaks[key] = now
                self._done(h.Recovered(key, self._footprints[key].device, before - now))
            if not now:
                del self._leaks[key]

    def _reporter(self, key: WeightsKey) -> Progress:
        """The progress function of one piece of work: aborts it when asked, and thins out what is passed on."""
        started = last = time.monotonic()

        def report(stage: str, done: int, total: int) -> None:
            nonlocal last
            if key in self._unwanted:
                raise Cancelled("nobody waits for it any more")
            now = time.monotonic()
            if now - last >= PROGRESS_SECONDS or done in (0, total):
                last = now
                self._progressed(key, LoadProgress(stage, done, total, now - started))

        return report


def _failure(error: Exception, otherwise: type[ParleyError]) -> Failure:
    if not isinstance(error, ParleyError):
        logger.error("unexpected error while weights were prepared or loaded", exc_info=error)
    return Failure.of(error, otherwise)
