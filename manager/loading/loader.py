"""The loader: one thread that loads and unloads weights, and a helper thread for each preparation.

The manager decides what is done when; the loader answers with the scheduler's messages. It never takes the manager's
lock, and holds none of its own when it calls the manager. An aborted preparation is not waited for: its thread may hang
in a download, but its answer no longer counts.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from manager.backends.base import BaseLLMModel, Footprint, Progress, create_model, missing
from manager.config.model_spec import ModelSpec, WeightsKey
from manager.errors import Cancelled, Failure, LoadFailed, MissingPackage, ParleyError, Refused
from manager.loading.downloads import Downloads, Preparation
from manager.scheduling import messages as msg
from manager.state import LoadProgress

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.1
"""Shortest interval between two reports of progress."""
NO_THREAD = "the system cannot start another thread now; try again later"
LEAK_SECONDS = 1.0
"""How often leaked bytes are measured again."""
ABORTED = "no request is waiting for it"

Counts = Callable[[], bool]
"""Return whether an answer still counts. Called once per answer, with the manager's lock held."""


class Loader:
    """Does one job at a time, in the order in which they arrive, and preparations beside them.

    Args:
        cache_dir: Folder for files that backends make.
        done: Called with each answer, and a function that returns whether it still counts.
        progressed: Called with the progress of work on weights.
    """

    def __init__(
        self,
        cache_dir: Path,
        done: Callable[[msg.LoaderAnswer, Counts], None],
        progressed: Callable[[WeightsKey, LoadProgress], None],
    ) -> None:
        self._cache_dir = cache_dir
        self._done = done
        self._progressed = progressed
        self._models: dict[WeightsKey, BaseLLMModel] = {}
        self._bytes: dict[WeightsKey, int] = {}  # measured bytes of each load
        self._caches: dict[WeightsKey, int] = {}  # limits on cached conversations
        self._unwanted: set[WeightsKey] = set()
        self._footprints: dict[WeightsKey, Footprint] = {}
        self._leaks: dict[WeightsKey, int] = {}  # bytes reported as leaked and not yet as recovered
        self._jobs: queue.SimpleQueue[msg.Job | Callable[[], None] | None] = queue.SimpleQueue()
        self._preparing: dict[WeightsKey, Preparation] = {}
        self._downloads = Downloads()
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)
        self._thread.start()

    def model(self, key: WeightsKey) -> BaseLLMModel:
        """Return the backend object of prepared weights."""
        return self._models[key]

    def prepare(self, key: WeightsKey, spec: ModelSpec) -> None:
        """Locate, fetch and size the files of `key`; answers with Prepared or PrepareFailed."""
        work = self._preparing[key] = Preparation()
        thread = threading.Thread(target=self._prepare, args=(work, key, spec), name=f"prepare {key}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # answered by the loader thread, as our caller holds the manager's lock
            failed = msg.PrepareFailed(key, Failure(Refused, NO_THREAD))
            self._jobs.put(partial(self._prepared, work, failed, None))

    def start(self, job: msg.Job) -> None:
        """Queue a job, which gets exactly one answer."""
        self._unwanted.discard(job.weights)
        self._jobs.put(job)

    def abort(self, key: WeightsKey) -> None:
        """Abort the preparation of `key`, which then gets no answer, or make its load fail with Cancelled.

        The work itself ends at its next report of progress.
        """
        if work := self._preparing.pop(key, None):
            self._downloads.abort(work)
        else:
            self._unwanted.add(key)

    def forget(self, key: WeightsKey) -> None:
        """Close the backend object of weights that are gone, unless some of its bytes are still leaked."""
        if self._leaks.get(key, 0) == 0:
            model = self._models.pop(key, None)
            if model is not None:
                _close(key, model)

    def close(self, patience: float | None = None) -> None:
        """Finish the queued jobs and stop the loader thread. Preparations are aborted and not waited for.

        A job that hangs is left behind after `patience` seconds; its thread ends with the program.
        """
        for work in list(self._preparing.values()):
            self._downloads.abort(work)
        self._jobs.put(None)
        self._thread.join(patience)
        for key, model in self._models.items():
            _close(key, model)

    def _prepare(self, work: Preparation, key: WeightsKey, spec: ModelSpec) -> None:
        answer: msg.LoaderAnswer
        made: tuple[BaseLLMModel, Footprint] | None = None
        try:
            model = self._models.get(key)
            if model is None or (model.spec != spec and not model.host_bytes and not self._leaks.get(key)):
                model = create_model(spec, self._cache_dir)
            if not model.is_here():
                self._downloads.begin(work)
            found = model.prepare(self._reporter(key, lambda: work.aborted))
            made = model, found
            answer = msg.Prepared(
                key,
                need=found.bytes + found.working,
                device=found.device,
                remote=found.remote,
                load_seconds=found.load_seconds,
                allowance=found.allowance,
                capacity=found.capacity,
                parking=found.parking,
            )
        except BaseException as error:  # noqa: BLE001 (every request must end; panics of Rust extensions are no Exceptions)
            answer = msg.PrepareFailed(key, _failure(error, Refused))
        finally:
            self._downloads.end(work)
        self._prepared(work, answer, made)

    def _prepared(
        self, work: Preparation, answer: msg.LoaderAnswer, made: tuple[BaseLLMModel, Footprint] | None
    ) -> None:
        key = answer.weights

        def counts() -> bool:
            if self._preparing.get(key) is not work:
                return False
            del self._preparing[key]
            if made is not None:
                self._models[key], self._footprints[key] = made
            return True

        self._done(answer, counts)

    def _run(self) -> None:
        """Run the loader thread. It survives any error in a backend, as nothing else can load or unload weights."""
        while True:
            try:
                if not self._next():
                    return
            except BaseException:
                logger.exception("a loader answer could not be delivered; continuing with the next job")

    def _next(self) -> bool:
        """Do the next job, or check for leaks if there is none. Return False at the end."""
        try:
            job = self._jobs.get(timeout=LEAK_SECONDS if self._leaks else None)
        except queue.Empty:
            pass
        else:
            if job is None:
                return False
            if callable(job):
                job()
            else:
                self._done(self._do(job), _always)
        self._check_leaks()
        return True

    def _do(self, job: msg.Job) -> msg.LoaderAnswer:
        match job:
            case msg.StartLoad() | msg.StartWake():
                return self._load(job)
            case msg.StartPark():
                return self._park(job.weights)
            case msg.StartUnload():
                return self._unload(job.weights)
            case msg.StartDrop():
                return self._drop(job.weights)
            case msg.StartTrim():
                return self._trim(job)

    def _load(self, job: msg.StartLoad | msg.StartWake) -> msg.LoaderAnswer:
        key, model = job.weights, self._models[job.weights]
        bring = model.load if isinstance(job, msg.StartLoad) else model.wake
        loaded = False
        try:
            used = bring(self._reporter(key, lambda: key in self._unwanted))
            self._bytes[key] = used + self._footprints[key].working
            loaded = True
            model.trim_cache(job.cache)
        except BaseException as error:  # noqa: BLE001 (the loader must go on)
            failure = _failure(error, LoadFailed)
            leaked = self._remove(key) if loaded else self._new_leaks(key)
            return msg.LoadRolledBack(key, failure, leaked, self._measure(key, "host_bytes", 0))
        self._caches[key] = job.cache
        return msg.Loaded(key, self._bytes[key])

    def _park(self, key: WeightsKey) -> msg.LoaderAnswer:
        try:
            host = self._models[key].park()
        except BaseException:
            logger.exception("%s could not be parked, and is unloaded instead", key)
            return self._unload(key)
        return msg.Parked(key, host, self._new_leaks(key))

    def _unload(self, key: WeightsKey) -> msg.LoaderAnswer:
        return msg.Unloaded(key, self._remove(key))

    def _remove(self, key: WeightsKey) -> int:
        """Unload weights, and return the bytes that were not freed."""
        try:
            leaked = self._models[key].unload()
        except BaseException:
            logger.exception("%s could not be unloaded; all its bytes count as leaked", key)
            return self._bytes.get(key, 0)
        return max(leaked, self._new_leaks(key))

    def _drop(self, key: WeightsKey) -> msg.LoaderAnswer:
        try:
            self._models[key].drop()
        except BaseException as error:
            logger.exception("%s: its copy in host memory could not be freed; its bytes stay charged", key)
            return msg.Dropped(key, _failure(error, LoadFailed))
        return msg.Dropped(key)

    def _trim(self, job: msg.StartTrim) -> msg.LoaderAnswer:
        key, size = job.weights, job.to_bytes
        try:
            self._models[key].trim_cache(size)
            kept = self._models[key].cache_bytes
        except BaseException:
            logger.exception("%s could not trim its cached conversations; their bytes stay charged", key)
            kept = self._caches.get(key, 0)
        self._caches[key] = max(size, kept)
        return msg.Trimmed(key, self._caches[key])

    def _measure(self, key: WeightsKey, what: str, otherwise: int) -> int:
        """Return a backend's own count of its bytes, or `otherwise` if that fails."""
        try:
            return int(getattr(self._models[key], what))
        except BaseException:
            logger.exception("%s could not measure its %s", key, what)
            return otherwise

    def _new_leaks(self, key: WeightsKey) -> int:
        """Return the bytes that leaked since the last call, and watch them from now on."""
        before = self._leaks.get(key, 0)
        now = self._measure(key, "leaked_bytes", before)
        if now:
            self._leaks[key] = now
        return max(0, now - before)

    def _check_leaks(self) -> None:
        """Report leaked bytes that were freed after all."""
        for key, before in list(self._leaks.items()):
            now = self._measure(key, "leaked_bytes", before)
            if now < before:
                self._leaks[key] = now
                self._done(msg.Recovered(key, self._footprints[key].device, before - now), _always)
            if not now:
                del self._leaks[key]

    def _reporter(self, key: WeightsKey, unwanted: Callable[[], bool]) -> Progress:
        """Return the progress function of one piece of work. It aborts unwanted work and limits the rate of reports."""
        started = last = time.monotonic()

        def report(stage: str, done: int, total: int) -> None:
            nonlocal last
            if unwanted():
                raise Cancelled(ABORTED)
            now = time.monotonic()
            if now - last >= PROGRESS_SECONDS or done in (0, total):
                last = now
                self._progressed(key, LoadProgress(stage, done, total, now - started))

        return report


def _always() -> bool:
    return True


def _close(key: WeightsKey, model: BaseLLMModel) -> None:
    try:
        model.close()
    except BaseException:
        logger.exception("%s could not be closed", key)


def _failure(error: BaseException, otherwise: type[ParleyError]) -> Failure:
    if isinstance(error, ImportError):
        return Failure(MissingPackage, missing(error))
    if not isinstance(error, Cancelled):  # the page shows less of it than the log
        unexpected = None if isinstance(error, ParleyError) else error
        logger.error("weights could not be prepared or loaded: %s", error, exc_info=unexpected)
    return Failure.of(error, otherwise)
