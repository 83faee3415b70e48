"""Where weights are prepared, loaded and unloaded: one loader thread, and helpers that look for files.

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
from manager.backends.base import BaseLLMModel, Progress, create_model, missing
from manager.errors import Cancelled, Failure, LoadFailed, MissingPackage, ParleyError, Refused
from manager.registry import ModelSpec, WeightsKey
from manager.status import LoadProgress

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.1
"""Progress is passed on at most this often."""


class Loader:
    """Does one load or unload at a time, in the order asked for; preparing runs beside it."""

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
        self._bytes: dict[WeightsKey, int] = {}  # what each load said that it took
        self._unwanted: set[WeightsKey] = set()
        self._jobs: queue.SimpleQueue[h.StartLoad | h.StartUnload | None] = queue.SimpleQueue()
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

    def start(self, job: h.StartLoad | h.StartUnload) -> None:
        """Queue a load or unload; ends with Loaded, LoadFailed or Unloaded."""
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
            footprint = model.prepare(self._reporter(key))
            self._models[key] = model
            happening = h.Prepared(key, footprint.bytes, footprint.device, footprint.elsewhere, footprint.load_seconds)
        except Exception as error:  # noqa: BLE001 (whoever waits must hear of it)
            happening = h.PrepareFailed(key, _failure(error, Refused))
        self._done(happening)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            work = self._load if isinstance(job, h.StartLoad) else self._unload
            self._done(work(job.weights))

    def _load(self, key: WeightsKey) -> h.LoaderAnswer:
        try:
            self._bytes[key] = self._models[key].load(self._reporter(key))
        except Exception as error:  # noqa: BLE001 (the loader must go on)
            return h.LoadFailed(key, _failure(error, LoadFailed))
        return h.Loaded(key, self._bytes[key])

    def _unload(self, key: WeightsKey) -> h.LoaderAnswer:
        try:
            return h.Unloaded(key, self._models[key].unload())
        except Exception:
            logger.exception("unloading %s failed; all its bytes count as leaked", key)
            return h.Unloaded(key, self._bytes[key])

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
    if isinstance(error, ImportError):
        return Failure(MissingPackage, missing(error))
    if not isinstance(error, ParleyError):
        logger.error("unexpected error while weights were prepared or loaded", exc_info=error)
    return Failure.of(error, otherwise)
