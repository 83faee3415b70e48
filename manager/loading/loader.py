"""Where weights are prepared, and come and go: one loader thread, and a helper thread for each preparation.

Knows backends and threads; what is done when is told by the manager, whom it answers with happenings. It takes no
lock of the manager's, and calls it with none of its own held. A preparation that was given up is not waited for: its
thread may hang on in a download, but what it answers no longer counts.
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
from manager.config.registry import ModelSpec, WeightsKey
from manager.errors import Cancelled, Failure, LoadFailed, MissingPackage, ParleyError, Refused
from manager.loading.downloads import Downloads, Preparation
from manager.scheduling import messages as h
from manager.state import LoadProgress

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.1
"""Progress is passed on at most this often."""
NO_THREAD = "the system gives no more threads now; try again later"
LEAK_SECONDS = 1.0
"""How often it is looked whether leaked bytes came back."""

Counts = Callable[[], bool]
"""Whether an answer still counts; to be asked once, with the manager's lock held."""


class Loader:
    """Does one job at a time, in the order asked for; preparing runs beside it."""

    def __init__(
        self,
        cache_dir: Path,
        done: Callable[[h.LoaderAnswer, Counts], None],
        progressed: Callable[[WeightsKey, LoadProgress], None],
    ) -> None:
        self._cache_dir = cache_dir
        self._done = done
        self._progressed = progressed
        self._models: dict[WeightsKey, BaseLLMModel] = {}
        self._bytes: dict[WeightsKey, int] = {}  # what each load was measured to take
        self._caches: dict[WeightsKey, int] = {}  # what each was last told to keep of conversations
        self._unwanted: set[WeightsKey] = set()
        self._footprints: dict[WeightsKey, Footprint] = {}
        self._leaks: dict[WeightsKey, int] = {}  # bytes that were told of as leaked and not as recovered
        self._jobs: queue.SimpleQueue[h.Job | Callable[[], None] | None] = queue.SimpleQueue()
        self._preparing: dict[WeightsKey, Preparation] = {}
        self._downloads = Downloads()
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)
        self._thread.start()

    def model(self, key: WeightsKey) -> BaseLLMModel:
        """The backend object of weights that were prepared."""
        return self._models[key]

    def prepare(self, key: WeightsKey, spec: ModelSpec) -> None:
        """Look for the files of `key`, fetch and size them; ends with Prepared or PrepareFailed."""
        work = self._preparing[key] = Preparation()
        thread = threading.Thread(target=self._prepare, args=(work, key, spec), name=f"prepare {key}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # said by the thread that there is: here the caller holds the manager's lock
            failed = h.PrepareFailed(key, Failure(Refused, NO_THREAD))
            self._jobs.put(partial(self._prepared, work, failed, None))

    def start(self, job: h.Job) -> None:
        """Queue a piece of work on weights; it ends with exactly one answer about them."""
        self._unwanted.discard(job.weights)
        self._jobs.put(job)

    def abort(self, key: WeightsKey) -> None:
        """Give up the preparing of `key`, which then is not answered, or make its load fail with Cancelled.

        The work itself ends at its next report of progress.
        """
        if work := self._preparing.pop(key, None):
            self._downloads.give_up(work)
        else:
            self._unwanted.add(key)

    def forget(self, key: WeightsKey) -> None:
        """Nothing is left of these weights, and nothing will be asked of them before they are prepared anew."""
        if self._leaks.get(key, 0) == 0:
            model = self._models.pop(key, None)
            if model is not None:
                _close(key, model)

    def close(self, patience: float | None = None) -> None:
        """Finish the queued jobs and stop the loader thread; preparations are given up and not waited for.

        Nor is a job that hangs, once `patience` seconds are over: its thread ends with the program.
        """
        for work in list(self._preparing.values()):
            self._downloads.give_up(work)
        self._jobs.put(None)
        self._thread.join(patience)
        for key, model in self._models.items():
            _close(key, model)

    def _prepare(self, work: Preparation, key: WeightsKey, spec: ModelSpec) -> None:
        happening: h.LoaderAnswer
        made: tuple[BaseLLMModel, Footprint] | None = None
        try:
            model = self._models.get(key)
            if model is None or (model.spec != spec and not model.host_bytes and not self._leaks.get(key)):
                model = create_model(spec, self._cache_dir)
            if not model.is_here():
                self._downloads.begin(work)
            found = model.prepare(self._reporter(key, lambda: work.unwanted))
            made = model, found
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
        except BaseException as error:  # noqa: BLE001 (panics of Rust extensions are no Exceptions; whoever waits must hear of it)
            happening = h.PrepareFailed(key, _failure(error, Refused))
        finally:
            self._downloads.end(work)
        self._prepared(work, happening, made)

    def _prepared(self, work: Preparation, answer: h.LoaderAnswer, made: tuple[BaseLLMModel, Footprint] | None) -> None:
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
        """The loader thread. It outlives whatever backends do, for nothing else can load or unload weights."""
        while True:
            try:
                if not self._next():
                    return
            except BaseException:
                logger.exception("an answer about weights could not be told; the loader goes on with its next job")

    def _next(self) -> bool:
        """Do the next job, or look for leaks where there is none yet; False at the end."""
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
        self._look_for_leaks()
        return True

    def _do(self, job: h.Job) -> h.LoaderAnswer:
        match job:
            case h.StartLoad() | h.StartWake():
                return self._load(job)
            case h.StartPark():
                return self._park(job.weights)
            case h.StartUnload():
                return self._unload(job.weights)
            case h.StartDrop():
                return self._drop(job.weights)
            case h.StartTrim():
                return self._trim(job)

    def _load(self, job: h.StartLoad | h.StartWake) -> h.LoaderAnswer:
        key, model = job.weights, self._models[job.weights]
        bring = model.load if isinstance(job, h.StartLoad) else model.wake
        loaded = False
        try:
            used = bring(self._reporter(key, lambda: key in self._unwanted))
            self._bytes[key] = used + self._footprints[key].working
            loaded = True
            model.trim_cache(job.cache)
        except BaseException as error:  # noqa: BLE001 (the loader must go on)
            failure = _failure(error, LoadFailed)
            leaked = self._removed(key) if loaded else self._leak_of(key)
            return h.LoadFailed(key, failure, leaked, self._told(key, "host_bytes", 0))
        self._caches[key] = job.cache
        return h.Loaded(key, self._bytes[key])

    def _park(self, key: WeightsKey) -> h.LoaderAnswer:
        try:
            host = self._models[key].park()
        except BaseException:
            logger.exception("%s cannot be parked and is unloaded", key)
            return self._unload(key)
        return h.Parked(key, host, self._leak_of(key))

    def _unload(self, key: WeightsKey) -> h.LoaderAnswer:
        return h.Unloaded(key, self._removed(key))

    def _removed(self, key: WeightsKey) -> int:
        """Remove weights; the bytes that did not come back."""
        try:
            leaked = self._models[key].unload()
        except BaseException:
            logger.exception("unloading %s failed; all its bytes count as leaked", key)
            return self._bytes.get(key, 0)
        return max(leaked, self._leak_of(key))

    def _drop(self, key: WeightsKey) -> h.LoaderAnswer:
        try:
            self._models[key].drop()
        except BaseException as error:
            logger.exception("%s: its copy in host memory cannot be given up; its bytes stay charged", key)
            return h.Dropped(key, _failure(error, LoadFailed))
        return h.Dropped(key)

    def _trim(self, job: h.StartTrim) -> h.LoaderAnswer:
        key, size = job.weights, job.to_bytes
        try:
            self._models[key].trim_cache(size)
            kept = self._models[key].cache_bytes
        except BaseException:
            logger.exception("%s does not trim what it keeps of conversations; its bytes stay charged", key)
            kept = self._caches.get(key, 0)
        self._caches[key] = max(size, kept)
        return h.Trimmed(key, self._caches[key])

    def _told(self, key: WeightsKey, what: str, otherwise: int) -> int:
        """What a backend says of its own bytes; `otherwise` where even that breaks."""
        try:
            return int(getattr(self._models[key], what))
        except BaseException:
            logger.exception("%s cannot say its %s", key, what)
            return otherwise

    def _leak_of(self, key: WeightsKey) -> int:
        """Bytes that leaked since it was last asked; from now on they are watched."""
        before = self._leaks.get(key, 0)
        now = self._told(key, "leaked_bytes", before)
        if now:
            self._leaks[key] = now
        return max(0, now - before)

    def _look_for_leaks(self) -> None:
        """Tell of leaked bytes that came back after all."""
        for key, before in list(self._leaks.items()):
            now = self._told(key, "leaked_bytes", before)
            if now < before:
                self._leaks[key] = now
                self._done(h.Recovered(key, self._footprints[key].device, before - now), _always)
            if not now:
                del self._leaks[key]

    def _reporter(self, key: WeightsKey, unwanted: Callable[[], bool]) -> Progress:
        """The progress function of one piece of work: aborts it when asked, and thins out what is passed on."""
        started = last = time.monotonic()

        def report(stage: str, done: int, total: int) -> None:
            nonlocal last
            if unwanted():
                raise Cancelled("nobody waits for it any more")
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
        logger.exception("closing %s", key)


def _failure(error: BaseException, otherwise: type[ParleyError]) -> Failure:
    if isinstance(error, ImportError):
        return Failure(MissingPackage, missing(error))
    if not isinstance(error, ParleyError):
        logger.error("unexpected error while weights were prepared or loaded", exc_info=error)
    return Failure.of(error, otherwise)
