"""The loader thread alone: one thing at a time, every piece of work answered, aborts that hit only what they mean."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from manager.backends.base import Footprint, Progress, register_backend
from manager.backends.fake import FakeModel
from manager.config.model_spec import ModelSpec, WeightsKey
from manager.errors import Cancelled, Failure, LoadFailed, MissingPackage, OutOfMemory, Refused
from manager.loading.downloads import DOWNLOADS
from manager.loading.loader import NO_THREAD, Counts, Loader
from manager.scheduling import messages as msg
from manager.state import LoadProgress
from tests.unit.manager.conftest import SECONDS, BenchModel, Workshop

SPEC_A = ModelSpec(model_id="a", type="bench", model_name="A", size_bytes=5)
SPEC_B = ModelSpec(model_id="b", type="bench", model_name="B", size_bytes=7)
SPEC_P = ModelSpec(model_id="p", type="parkable", model_name="P")
A, B, P = SPEC_A.weights, SPEC_B.weights, SPEC_P.weights


class LoaderUnderTest:
    """A loader, and what it answered."""

    def __init__(self, folder: Path) -> None:
        self.answers: queue.SimpleQueue[msg.LoaderAnswer] = queue.SimpleQueue()
        self.progress: list[tuple[WeightsKey, LoadProgress]] = []
        self.loader = Loader(folder, self.take, lambda key, progress: self.progress.append((key, progress)))
        self.turned_away = threading.Semaphore(0)

    def take(self, answer: msg.LoaderAnswer, counts: Counts) -> None:
        if counts():
            self.answers.put(answer)
        else:
            self.turned_away.release()

    def answer(self) -> msg.LoaderAnswer:
        return self.answers.get(timeout=SECONDS)

    def prepared(self, spec: ModelSpec) -> None:
        self.loader.prepare(spec.weights, spec)
        assert isinstance(self.answer(), msg.Prepared)


@pytest.fixture
def loading(tmp_path: Path, workshop: Workshop) -> Iterator[LoaderUnderTest]:
    loading = LoaderUnderTest(tmp_path)
    yield loading
    workshop.open_all()
    loading.loader.close()


def test_preparations_loads_and_unloads_are_answered(loading: LoaderUnderTest, workshop: Workshop) -> None:
    loading.loader.prepare(A, SPEC_A)
    assert loading.answer() == msg.Prepared(A, 5, "bench")
    loading.loader.start(msg.StartLoad(A))
    assert loading.answer() == msg.Loaded(A, 5)
    assert loading.loader.model(A).spec is SPEC_A
    loading.loader.start(msg.StartUnload(A))
    assert loading.answer() == msg.Unloaded(A)
    assert workshop.log == ["prepare A", "load A", "unload A"]


def test_a_preparation_fails_without_a_thread_and_can_be_retried(
    loading: LoaderUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", refuse)
        loading.loader.prepare(A, SPEC_A)
        assert loading.answer() == msg.PrepareFailed(A, Failure(Refused, NO_THREAD))
    loading.prepared(SPEC_A)


def test_loads_and_unloads_happen_one_at_a_time_in_order(loading: LoaderUnderTest, workshop: Workshop) -> None:
    loading.prepared(SPEC_A)
    loading.prepared(SPEC_B)
    gate = workshop.hold("load A")
    for job in (msg.StartLoad(A), msg.StartLoad(B), msg.StartUnload(A)):
        loading.loader.start(job)
    loading.prepared(SPEC_A)  # beside it
    assert "load B" not in workshop.log
    gate.set()
    assert [loading.answer() for _ in range(3)] == [msg.Loaded(A, 5), msg.Loaded(B, 7), msg.Unloaded(A)]


def test_everything_happens_on_the_loader_thread(loading: LoaderUnderTest, workshop: Workshop) -> None:
    loading.prepared(SPEC_A)
    model = loading.loader.model(A)
    names: list[str] = []
    load = model.load

    def noting(progress: Callable[[str, int, int], None]) -> int:
        names.append(threading.current_thread().name)
        return load(progress)

    model.load = noting  # type: ignore[method-assign]
    loading.loader.start(msg.StartLoad(A))
    loading.answer()
    assert names == ["loader"]


def test_failures_become_values_without_tracebacks(loading: LoaderUnderTest, workshop: Workshop) -> None:
    workshop.failing = {"prepare A": [Refused("no"), OSError("disk")], "load A": [LoadFailed("bad"), ValueError("x")]}
    loading.loader.prepare(A, SPEC_A)
    assert loading.answer() == msg.PrepareFailed(A, Failure(Refused, "no"))
    loading.loader.prepare(A, SPEC_A)
    assert loading.answer() == msg.PrepareFailed(A, Failure(Refused, "OSError: disk"))
    workshop.failing["prepare A"] = [ModuleNotFoundError("No module named 'gguf'", name="gguf")]
    loading.loader.prepare(A, SPEC_A)
    assert loading.answer() == msg.PrepareFailed(
        A, Failure(MissingPackage, "the package 'gguf' is not installed; run: pip install gguf")
    )
    loading.prepared(SPEC_A)
    loading.loader.start(msg.StartLoad(A))
    assert loading.answer() == msg.LoadRolledBack(A, Failure(LoadFailed, "bad"))
    loading.loader.start(msg.StartLoad(A))
    assert loading.answer() == msg.LoadRolledBack(A, Failure(LoadFailed, "ValueError: x"))


def test_a_failed_unload_counts_all_its_bytes_as_leaked(loading: LoaderUnderTest, workshop: Workshop) -> None:
    loading.prepared(SPEC_A)
    loading.loader.start(msg.StartLoad(A))
    loading.answer()
    workshop.failing["unload A"] = [RuntimeError("stuck")]
    loading.loader.start(msg.StartUnload(A))
    assert loading.answer() == msg.Unloaded(A, leaked=5)


def test_aborting_ends_a_load_in_flight(loading: LoaderUnderTest, workshop: Workshop) -> None:
    loading.prepared(SPEC_A)
    workshop.hold("load A")
    loading.loader.start(msg.StartLoad(A))
    loading.loader.abort(A)
    answer = loading.answer()
    assert isinstance(answer, msg.LoadRolledBack)
    assert answer.failure.kind is Cancelled


def test_an_aborted_preparation_gets_no_answer_but_a_new_one_does(loading: LoaderUnderTest, workshop: Workshop) -> None:
    workshop.hold("prepare A")
    loading.loader.prepare(A, SPEC_A)
    loading.loader.abort(A)
    assert loading.turned_away.acquire(timeout=SECONDS)
    workshop.open_all()
    loading.prepared(SPEC_A)
    assert loading.answers.empty()


class Stuck(BenchModel):
    """Its files are to be downloaded, and the download says nothing until the test ends it."""

    def is_here(self) -> bool:
        return False

    def prepare(self, progress: Progress) -> Footprint:
        self.shop.begin(f"prepare {self.name}", self)
        self.shop.pause(f"prepare {self.name}", lambda: None)
        return Footprint("bench", 1)


def stuck(loading: LoaderUnderTest, workshop: Workshop, number: int) -> WeightsKey:
    """A model whose download hangs."""
    register_backend("stuck", lambda spec, cache_dir: Stuck(spec, cache_dir, workshop))
    spec = ModelSpec(model_id=f"s{number}", type="stuck", model_name=f"S{number}")
    workshop.hold(f"prepare S{number}")
    loading.loader.prepare(spec.weights, spec)
    return spec.weights


def test_hanging_downloads_delay_neither_local_models_nor_the_end(loading: LoaderUnderTest, workshop: Workshop) -> None:
    for number in range(DOWNLOADS + 2):
        stuck(loading, workshop, number)
    loading.prepared(SPEC_A)
    loading.loader.close()
    assert not loading.loader._thread.is_alive()


def test_downloads_are_limited_and_an_aborted_one_makes_room(loading: LoaderUnderTest, workshop: Workshop) -> None:
    keys = [stuck(loading, workshop, number) for number in range(DOWNLOADS)]
    workshop.wait_for(*[f"prepare S{number}" for number in range(DOWNLOADS)])
    last = stuck(loading, workshop, DOWNLOADS)
    loading.loader.abort(keys[0])
    workshop.wait_for(f"prepare S{DOWNLOADS}")
    workshop.open_all()
    answered = {loading.answer().weights for _ in range(DOWNLOADS)}
    assert answered == {*keys[1:], last}


def test_a_queued_download_that_is_aborted_never_begins(loading: LoaderUnderTest, workshop: Workshop) -> None:
    for number in range(DOWNLOADS):
        stuck(loading, workshop, number)
    workshop.wait_for(*[f"prepare S{number}" for number in range(DOWNLOADS)])
    waiting = stuck(loading, workshop, DOWNLOADS)
    loading.loader.abort(waiting)
    assert loading.turned_away.acquire(timeout=SECONDS)
    assert len(workshop.log) == DOWNLOADS


class Panic(BaseException):
    """What a Rust extension raises when it breaks: no Exception."""


@pytest.mark.parametrize("stage", ["prepare", "load", "unload"])
def test_a_panic_ends_the_wait_but_not_the_loader(loading: LoaderUnderTest, workshop: Workshop, stage: str) -> None:
    workshop.failing[f"{stage} A"] = [Panic("index out of bounds")]
    loading.loader.prepare(A, SPEC_A)
    answer = loading.answer()
    for job in (msg.StartLoad(A), msg.StartUnload(A)):
        if isinstance(answer, msg.Prepared | msg.Loaded):
            loading.loader.start(job)
            answer = loading.answer()
    if stage == "unload":
        assert answer == msg.Unloaded(A, leaked=5)
    else:
        assert isinstance(answer, msg.PrepareFailed | msg.LoadRolledBack)
        assert answer.failure.message == "Panic: index out of bounds"
    loading.prepared(SPEC_B)


@pytest.mark.parametrize("stage", ["prepare", "load"])
def test_a_late_abort_does_not_hit_the_next_job(loading: LoaderUnderTest, workshop: Workshop, stage: str) -> None:
    loading.prepared(SPEC_A)
    loading.loader.abort(A)
    gate = workshop.hold(f"{stage} A")
    if stage == "load":
        loading.loader.start(msg.StartLoad(A))
    else:
        loading.loader.prepare(A, SPEC_A)
    gate.set()
    assert isinstance(loading.answer(), msg.Prepared | msg.Loaded)


@pytest.mark.parametrize(("seconds", "passed_on"), [(0.0, [0, 25, 50, 75, 100]), (3600.0, [0, 100])])
def test_progress_is_reported_at_intervals_and_at_both_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, passed_on: list[int]
) -> None:
    monkeypatch.setattr("manager.loading.loader.PROGRESS_SECONDS", seconds)
    loading = LoaderUnderTest(tmp_path)
    spec = ModelSpec(model_id="f", type="fake", size_bytes=100, load_seconds=0.08)
    loading.prepared(spec)
    loading.loader.start(msg.StartLoad(spec.weights))
    loading.answer()
    loading.loader.close()
    assert [progress.done for _, progress in loading.progress] == passed_on


def test_closing_finishes_what_is_queued(loading: LoaderUnderTest, workshop: Workshop) -> None:
    loading.prepared(SPEC_A)
    loading.loader.start(msg.StartLoad(A))
    loading.loader.start(msg.StartUnload(A))
    loading.loader.close()
    assert [loading.answers.get_nowait(), loading.answers.get_nowait()] == [msg.Loaded(A, 5), msg.Unloaded(A)]


# -- parking, caches and leaks ---------------------------------------------------------------------------------


class Parkable(FakeModel):
    """A fake that can be parked, and does as its test says."""

    breaks: ClassVar[dict[str, BaseException]] = {}

    def __init__(self, spec: ModelSpec, cache_dir: Path) -> None:
        super().__init__(spec, cache_dir)
        self.said: list[str] = []
        self.host = self.kept = self.leak = 0

    def _do(self, what: str) -> None:
        self.said.append(what)
        self._break(what)

    def _break(self, what: str) -> None:
        if what in self.breaks:
            raise self.breaks[what]

    def prepare(self, progress: Progress) -> Footprint:
        return Footprint("toy", 100, working=7, allowance=30, capacity=1000, parking=500)

    def park(self) -> int:
        self._do("park")
        self.host = 110
        return self.host

    def wake(self, progress: Progress) -> int:
        self._do("wake")
        progress("waking", 100, 100)
        return 100

    def drop(self) -> None:
        self._do("drop")
        self.host = 0

    def load(self, progress: Progress) -> int:
        self._do("load")
        return 101

    def unload(self) -> int:
        self._do("unload")
        self.host = 0
        return 0

    @property
    def host_bytes(self) -> int:
        return self.host

    @property
    def leaked_bytes(self) -> int:
        self._break("leaked")
        return self.leak

    @property
    def cache_bytes(self) -> int:
        self._break("cached")
        return self.kept

    def trim_cache(self, to_bytes: int) -> None:
        self.said.append(f"trim {to_bytes}")
        self._break("trim")

    def close(self) -> None:
        self._break("close")


@pytest.fixture
def parkable(loading: LoaderUnderTest, monkeypatch: pytest.MonkeyPatch) -> Parkable:
    monkeypatch.setattr(Parkable, "breaks", {})
    register_backend("parkable", Parkable)
    loading.loader.prepare(P, SPEC_P)
    assert loading.answer() == msg.Prepared(P, 107, "toy", allowance=30, capacity=1000, parking=500)
    loading.loader.start(msg.StartLoad(P, cache=20))
    assert loading.answer() == msg.Loaded(P, 108), "what was measured, and what writing takes"
    model = loading.loader.model(P)
    assert isinstance(model, Parkable)
    assert model.said == ["load", "trim 20"]
    return model


def test_parking_waking_and_dropping_are_answered(loading: LoaderUnderTest, parkable: Parkable) -> None:
    loading.loader.start(msg.StartPark(P))
    assert loading.answer() == msg.Parked(P, 110)
    loading.loader.start(msg.StartWake(P, cache=5))
    assert loading.answer() == msg.Loaded(P, 107)
    loading.loader.start(msg.StartDrop(P))
    assert loading.answer() == msg.Dropped(P)
    assert parkable.said[2:] == ["park", "wake", "trim 5", "drop"]


def test_what_cannot_be_parked_is_unloaded(loading: LoaderUnderTest, parkable: Parkable) -> None:
    parkable.breaks["park"] = RuntimeError("no pinned memory")
    loading.loader.start(msg.StartPark(P))
    assert loading.answer() == msg.Unloaded(P)
    assert parkable.said[2:] == ["park", "unload"]


def test_a_wake_that_fails_says_whether_there_is_still_a_copy(loading: LoaderUnderTest, parkable: Parkable) -> None:
    loading.loader.start(msg.StartPark(P))
    loading.answer()
    parkable.breaks["wake"] = OutOfMemory("full")
    loading.loader.start(msg.StartWake(P))
    assert loading.answer() == msg.LoadRolledBack(P, Failure(OutOfMemory, "full"), host=110)


@pytest.mark.parametrize(("kept", "answered"), [(0, 10), (10, 10), (25, 25)])
def test_trimming_reports_the_actual_cache_size(
    loading: LoaderUnderTest, parkable: Parkable, kept: int, answered: int
) -> None:
    parkable.kept = kept
    loading.loader.start(msg.StartTrim(P, 10))
    assert loading.answer() == msg.Trimmed(P, answered)
    assert parkable.said[-1] == "trim 10"


def test_a_failed_load_reports_leaks_and_later_their_recovery(
    loading: LoaderUnderTest, parkable: Parkable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("manager.loading.loader.LEAK_SECONDS", 0.01)
    parkable.breaks["load"] = LoadFailed("broke")
    parkable.leak = 40
    loading.loader.start(msg.StartLoad(P))
    assert loading.answer() == msg.LoadRolledBack(P, Failure(LoadFailed, "broke"), leaked=40)
    parkable.leak = 25
    assert loading.answer() == msg.Recovered(P, "toy", 15)
    loading.loader.start(msg.StartUnload(P))
    assert loading.answer() == msg.Unloaded(P), "an earlier leak is reported once"
    parkable.leak = 0
    assert loading.answer() == msg.Recovered(P, "toy", 25)


@pytest.mark.parametrize("error", [RuntimeError("stuck"), Panic("native code gave up")])
def test_a_copy_that_cannot_be_freed_is_reported_and_the_loader_goes_on(
    loading: LoaderUnderTest, parkable: Parkable, error: BaseException
) -> None:
    parkable.breaks["drop"] = error
    loading.loader.start(msg.StartPark(P))
    loading.loader.start(msg.StartDrop(P))
    assert loading.answer() == msg.Parked(P, 110)
    assert loading.answer() == msg.Dropped(P, Failure(LoadFailed, f"{type(error).__name__}: {error}"))
    loading.loader.start(msg.StartLoad(P))
    assert loading.answer() == msg.Loaded(P, 108)


@pytest.mark.parametrize("breaks", ["trim", "cached"])
@pytest.mark.parametrize("error", [RuntimeError("stuck"), Panic("native code gave up")])
def test_a_cache_that_cannot_be_trimmed_stays_charged_and_the_loader_goes_on(
    loading: LoaderUnderTest, parkable: Parkable, breaks: str, error: BaseException
) -> None:
    parkable.breaks[breaks] = error
    loading.loader.start(msg.StartTrim(P, 5))
    assert loading.answer() == msg.Trimmed(P, 20), "as much as it was allowed before"
    del parkable.breaks[breaks]
    loading.loader.start(msg.StartTrim(P, 5))
    assert loading.answer() == msg.Trimmed(P, 5)


def test_a_load_whose_cache_cannot_be_limited_is_rolled_back(loading: LoaderUnderTest, parkable: Parkable) -> None:
    loading.loader.start(msg.StartUnload(P))
    loading.answer()
    parkable.breaks["trim"] = RuntimeError("stuck")
    loading.loader.start(msg.StartLoad(P, cache=5))
    assert loading.answer() == msg.LoadRolledBack(P, Failure(LoadFailed, "RuntimeError: stuck"))
    assert parkable.said[-3:] == ["load", "trim 5", "unload"]


def test_a_backend_that_cannot_measure_leaks_does_not_end_the_loader(
    loading: LoaderUnderTest, parkable: Parkable
) -> None:
    parkable.breaks.update({"leaked": Panic("native code gave up"), "close": RuntimeError("stuck")})
    loading.loader.start(msg.StartUnload(P))
    assert loading.answer() == msg.Unloaded(P)
    loading.loader.forget(P)
    loading.prepared(SPEC_B)


def test_an_answer_that_cannot_be_delivered_does_not_end_the_loader(
    loading: LoaderUnderTest, workshop: Workshop
) -> None:
    loading.prepared(SPEC_A)
    told = loading.loader._done

    def fails_once(*_: object) -> None:
        loading.loader._done = told
        raise Panic("native code gave up")

    loading.loader._done = fails_once
    loading.loader.start(msg.StartLoad(A))
    loading.loader.start(msg.StartUnload(A))
    assert loading.answer() == msg.Unloaded(A)
