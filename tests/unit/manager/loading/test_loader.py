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
from manager.scheduling import messages as h
from manager.state import LoadProgress
from tests.unit.manager.conftest import SECONDS, BenchModel, Workshop

SPEC_A = ModelSpec(model_id="a", type="bench", model_name="A", size_bytes=5)
SPEC_B = ModelSpec(model_id="b", type="bench", model_name="B", size_bytes=7)
SPEC_P = ModelSpec(model_id="p", type="parkable", model_name="P")
A, B, P = SPEC_A.weights, SPEC_B.weights, SPEC_P.weights


class Desk:
    """A loader, and what it answered."""

    def __init__(self, folder: Path) -> None:
        self.answers: queue.SimpleQueue[h.LoaderAnswer] = queue.SimpleQueue()
        self.progress: list[tuple[WeightsKey, LoadProgress]] = []
        self.loader = Loader(folder, self.take, lambda key, progress: self.progress.append((key, progress)))
        self.turned_away = threading.Semaphore(0)

    def take(self, answer: h.LoaderAnswer, counts: Counts) -> None:
        if counts():
            self.answers.put(answer)
        else:
            self.turned_away.release()

    def answer(self) -> h.LoaderAnswer:
        return self.answers.get(timeout=SECONDS)

    def prepared(self, spec: ModelSpec) -> None:
        self.loader.prepare(spec.weights, spec)
        assert isinstance(self.answer(), h.Prepared)


@pytest.fixture
def desk(tmp_path: Path, workshop: Workshop) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    workshop.open_all()
    desk.loader.close()


def test_preparations_loads_and_unloads_are_answered(desk: Desk, workshop: Workshop) -> None:
    desk.loader.prepare(A, SPEC_A)
    assert desk.answer() == h.Prepared(A, 5, "bench")
    desk.loader.start(h.StartLoad(A))
    assert desk.answer() == h.Loaded(A, 5)
    assert desk.loader.model(A).spec is SPEC_A
    desk.loader.start(h.StartUnload(A))
    assert desk.answer() == h.Unloaded(A)
    assert workshop.log == ["prepare A", "load A", "unload A"]


def test_a_preparation_fails_without_a_thread_and_can_be_retried(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", refuse)
        desk.loader.prepare(A, SPEC_A)
        assert desk.answer() == h.PrepareFailed(A, Failure(Refused, NO_THREAD))
    desk.prepared(SPEC_A)


def test_loads_and_unloads_happen_one_at_a_time_in_order(desk: Desk, workshop: Workshop) -> None:
    desk.prepared(SPEC_A)
    desk.prepared(SPEC_B)
    gate = workshop.hold("load A")
    for job in (h.StartLoad(A), h.StartLoad(B), h.StartUnload(A)):
        desk.loader.start(job)
    desk.prepared(SPEC_A)  # beside it
    assert "load B" not in workshop.log
    gate.set()
    assert [desk.answer() for _ in range(3)] == [h.Loaded(A, 5), h.Loaded(B, 7), h.Unloaded(A)]


def test_everything_happens_on_the_loader_thread(desk: Desk, workshop: Workshop) -> None:
    desk.prepared(SPEC_A)
    model = desk.loader.model(A)
    names: list[str] = []
    load = model.load

    def noting(progress: Callable[[str, int, int], None]) -> int:
        names.append(threading.current_thread().name)
        return load(progress)

    model.load = noting  # type: ignore[method-assign]
    desk.loader.start(h.StartLoad(A))
    desk.answer()
    assert names == ["loader"]


def test_failures_become_values_without_tracebacks(desk: Desk, workshop: Workshop) -> None:
    workshop.failing = {"prepare A": [Refused("no"), OSError("disk")], "load A": [LoadFailed("bad"), ValueError("x")]}
    desk.loader.prepare(A, SPEC_A)
    assert desk.answer() == h.PrepareFailed(A, Failure(Refused, "no"))
    desk.loader.prepare(A, SPEC_A)
    assert desk.answer() == h.PrepareFailed(A, Failure(Refused, "OSError: disk"))
    workshop.failing["prepare A"] = [ModuleNotFoundError("No module named 'gguf'", name="gguf")]
    desk.loader.prepare(A, SPEC_A)
    assert desk.answer() == h.PrepareFailed(
        A, Failure(MissingPackage, "the package 'gguf' is not installed; run: pip install gguf")
    )
    desk.prepared(SPEC_A)
    desk.loader.start(h.StartLoad(A))
    assert desk.answer() == h.LoadRolledBack(A, Failure(LoadFailed, "bad"))
    desk.loader.start(h.StartLoad(A))
    assert desk.answer() == h.LoadRolledBack(A, Failure(LoadFailed, "ValueError: x"))


def test_a_failed_unload_counts_all_its_bytes_as_leaked(desk: Desk, workshop: Workshop) -> None:
    desk.prepared(SPEC_A)
    desk.loader.start(h.StartLoad(A))
    desk.answer()
    workshop.failing["unload A"] = [RuntimeError("stuck")]
    desk.loader.start(h.StartUnload(A))
    assert desk.answer() == h.Unloaded(A, leaked=5)


def test_aborting_ends_a_load_in_flight(desk: Desk, workshop: Workshop) -> None:
    desk.prepared(SPEC_A)
    workshop.hold("load A")
    desk.loader.start(h.StartLoad(A))
    desk.loader.abort(A)
    answer = desk.answer()
    assert isinstance(answer, h.LoadRolledBack)
    assert answer.failure.kind is Cancelled


def test_an_aborted_preparation_gets_no_answer_but_a_new_one_does(desk: Desk, workshop: Workshop) -> None:
    workshop.hold("prepare A")
    desk.loader.prepare(A, SPEC_A)
    desk.loader.abort(A)
    assert desk.turned_away.acquire(timeout=SECONDS)
    workshop.open_all()
    desk.prepared(SPEC_A)
    assert desk.answers.empty()


class Stuck(BenchModel):
    """Its files are to be downloaded, and the download says nothing until the test ends it."""

    def is_here(self) -> bool:
        return False

    def prepare(self, progress: Progress) -> Footprint:
        self.shop.begin(f"prepare {self.name}", self)
        self.shop.pause(f"prepare {self.name}", lambda: None)
        return Footprint("bench", 1)


def stuck(desk: Desk, workshop: Workshop, number: int) -> WeightsKey:
    """A model whose download hangs."""
    register_backend("stuck", lambda spec, cache_dir: Stuck(spec, cache_dir, workshop))
    spec = ModelSpec(model_id=f"s{number}", type="stuck", model_name=f"S{number}")
    workshop.hold(f"prepare S{number}")
    desk.loader.prepare(spec.weights, spec)
    return spec.weights


def test_hanging_downloads_delay_neither_local_models_nor_the_end(desk: Desk, workshop: Workshop) -> None:
    for number in range(DOWNLOADS + 2):
        stuck(desk, workshop, number)
    desk.prepared(SPEC_A)
    desk.loader.close()
    assert not desk.loader._thread.is_alive()


def test_downloads_are_limited_and_an_aborted_one_makes_room(desk: Desk, workshop: Workshop) -> None:
    keys = [stuck(desk, workshop, number) for number in range(DOWNLOADS)]
    workshop.wait_for(*[f"prepare S{number}" for number in range(DOWNLOADS)])
    last = stuck(desk, workshop, DOWNLOADS)
    desk.loader.abort(keys[0])
    workshop.wait_for(f"prepare S{DOWNLOADS}")
    workshop.open_all()
    answered = {desk.answer().weights for _ in range(DOWNLOADS)}
    assert answered == {*keys[1:], last}


def test_a_queued_download_that_is_aborted_never_begins(desk: Desk, workshop: Workshop) -> None:
    for number in range(DOWNLOADS):
        stuck(desk, workshop, number)
    workshop.wait_for(*[f"prepare S{number}" for number in range(DOWNLOADS)])
    waiting = stuck(desk, workshop, DOWNLOADS)
    desk.loader.abort(waiting)
    assert desk.turned_away.acquire(timeout=SECONDS)
    assert len(workshop.log) == DOWNLOADS


class Panic(BaseException):
    """What a Rust extension raises when it breaks: no Exception."""


@pytest.mark.parametrize("stage", ["prepare", "load", "unload"])
def test_a_panic_ends_the_wait_but_not_the_loader(desk: Desk, workshop: Workshop, stage: str) -> None:
    workshop.failing[f"{stage} A"] = [Panic("index out of bounds")]
    desk.loader.prepare(A, SPEC_A)
    answer = desk.answer()
    for job in (h.StartLoad(A), h.StartUnload(A)):
        if isinstance(answer, h.Prepared | h.Loaded):
            desk.loader.start(job)
            answer = desk.answer()
    if stage == "unload":
        assert answer == h.Unloaded(A, leaked=5)
    else:
        assert isinstance(answer, h.PrepareFailed | h.LoadRolledBack)
        assert answer.failure.message == "Panic: index out of bounds"
    desk.prepared(SPEC_B)


@pytest.mark.parametrize("stage", ["prepare", "load"])
def test_a_late_abort_does_not_hit_the_next_job(desk: Desk, workshop: Workshop, stage: str) -> None:
    desk.prepared(SPEC_A)
    desk.loader.abort(A)
    gate = workshop.hold(f"{stage} A")
    if stage == "load":
        desk.loader.start(h.StartLoad(A))
    else:
        desk.loader.prepare(A, SPEC_A)
    gate.set()
    assert isinstance(desk.answer(), h.Prepared | h.Loaded)


@pytest.mark.parametrize(("seconds", "passed_on"), [(0.0, [0, 25, 50, 75, 100]), (3600.0, [0, 100])])
def test_progress_is_reported_at_intervals_and_at_both_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, passed_on: list[int]
) -> None:
    monkeypatch.setattr("manager.loading.loader.PROGRESS_SECONDS", seconds)
    desk = Desk(tmp_path)
    spec = ModelSpec(model_id="f", type="fake", size_bytes=100, load_seconds=0.08)
    desk.prepared(spec)
    desk.loader.start(h.StartLoad(spec.weights))
    desk.answer()
    desk.loader.close()
    assert [progress.done for _, progress in desk.progress] == passed_on


def test_closing_finishes_what_is_queued(desk: Desk, workshop: Workshop) -> None:
    desk.prepared(SPEC_A)
    desk.loader.start(h.StartLoad(A))
    desk.loader.start(h.StartUnload(A))
    desk.loader.close()
    assert [desk.answers.get_nowait(), desk.answers.get_nowait()] == [h.Loaded(A, 5), h.Unloaded(A)]


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
def parkable(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Parkable:
    monkeypatch.setattr(Parkable, "breaks", {})
    register_backend("parkable", Parkable)
    desk.loader.prepare(P, SPEC_P)
    assert desk.answer() == h.Prepared(P, 107, "toy", allowance=30, capacity=1000, parking=500)
    desk.loader.start(h.StartLoad(P, cache=20))
    assert desk.answer() == h.Loaded(P, 108), "what was measured, and what writing takes"
    model = desk.loader.model(P)
    assert isinstance(model, Parkable)
    assert model.said == ["load", "trim 20"]
    return model


def test_parking_waking_and_dropping_are_answered(desk: Desk, parkable: Parkable) -> None:
    desk.loader.start(h.StartPark(P))
    assert desk.answer() == h.Parked(P, 110)
    desk.loader.start(h.StartWake(P, cache=5))
    assert desk.answer() == h.Loaded(P, 107)
    desk.loader.start(h.StartDrop(P))
    assert desk.answer() == h.Dropped(P)
    assert parkable.said[2:] == ["park", "wake", "trim 5", "drop"]


def test_what_cannot_be_parked_is_unloaded(desk: Desk, parkable: Parkable) -> None:
    parkable.breaks["park"] = RuntimeError("no pinned memory")
    desk.loader.start(h.StartPark(P))
    assert desk.answer() == h.Unloaded(P)
    assert parkable.said[2:] == ["park", "unload"]


def test_a_wake_that_fails_says_whether_there_is_still_a_copy(desk: Desk, parkable: Parkable) -> None:
    desk.loader.start(h.StartPark(P))
    desk.answer()
    parkable.breaks["wake"] = OutOfMemory("full")
    desk.loader.start(h.StartWake(P))
    assert desk.answer() == h.LoadRolledBack(P, Failure(OutOfMemory, "full"), host=110)


@pytest.mark.parametrize(("kept", "answered"), [(0, 10), (10, 10), (25, 25)])
def test_trimming_reports_the_actual_cache_size(desk: Desk, parkable: Parkable, kept: int, answered: int) -> None:
    parkable.kept = kept
    desk.loader.start(h.StartTrim(P, 10))
    assert desk.answer() == h.Trimmed(P, answered)
    assert parkable.said[-1] == "trim 10"


def test_a_failed_load_reports_leaks_and_later_their_recovery(
    desk: Desk, parkable: Parkable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("manager.loading.loader.LEAK_SECONDS", 0.01)
    parkable.breaks["load"] = LoadFailed("broke")
    parkable.leak = 40
    desk.loader.start(h.StartLoad(P))
    assert desk.answer() == h.LoadRolledBack(P, Failure(LoadFailed, "broke"), leaked=40)
    parkable.leak = 25
    assert desk.answer() == h.Recovered(P, "toy", 15)
    desk.loader.start(h.StartUnload(P))
    assert desk.answer() == h.Unloaded(P), "an earlier leak is reported once"
    parkable.leak = 0
    assert desk.answer() == h.Recovered(P, "toy", 25)


@pytest.mark.parametrize("error", [RuntimeError("stuck"), Panic("native code gave up")])
def test_a_copy_that_cannot_be_freed_is_reported_and_the_loader_goes_on(
    desk: Desk, parkable: Parkable, error: BaseException
) -> None:
    parkable.breaks["drop"] = error
    desk.loader.start(h.StartPark(P))
    desk.loader.start(h.StartDrop(P))
    assert desk.answer() == h.Parked(P, 110)
    assert desk.answer() == h.Dropped(P, Failure(LoadFailed, f"{type(error).__name__}: {error}"))
    desk.loader.start(h.StartLoad(P))
    assert desk.answer() == h.Loaded(P, 108)


@pytest.mark.parametrize("breaks", ["trim", "cached"])
@pytest.mark.parametrize("error", [RuntimeError("stuck"), Panic("native code gave up")])
def test_a_cache_that_cannot_be_trimmed_stays_charged_and_the_loader_goes_on(
    desk: Desk, parkable: Parkable, breaks: str, error: BaseException
) -> None:
    parkable.breaks[breaks] = error
    desk.loader.start(h.StartTrim(P, 5))
    assert desk.answer() == h.Trimmed(P, 20), "as much as it was allowed before"
    del parkable.breaks[breaks]
    desk.loader.start(h.StartTrim(P, 5))
    assert desk.answer() == h.Trimmed(P, 5)


def test_a_load_whose_cache_cannot_be_limited_is_rolled_back(desk: Desk, parkable: Parkable) -> None:
    desk.loader.start(h.StartUnload(P))
    desk.answer()
    parkable.breaks["trim"] = RuntimeError("stuck")
    desk.loader.start(h.StartLoad(P, cache=5))
    assert desk.answer() == h.LoadRolledBack(P, Failure(LoadFailed, "RuntimeError: stuck"))
    assert parkable.said[-3:] == ["load", "trim 5", "unload"]


def test_a_backend_that_cannot_measure_leaks_does_not_end_the_loader(desk: Desk, parkable: Parkable) -> None:
    parkable.breaks.update({"leaked": Panic("native code gave up"), "close": RuntimeError("stuck")})
    desk.loader.start(h.StartUnload(P))
    assert desk.answer() == h.Unloaded(P)
    desk.loader.forget(P)
    desk.prepared(SPEC_B)


def test_an_answer_that_cannot_be_delivered_does_not_end_the_loader(desk: Desk, workshop: Workshop) -> None:
    desk.prepared(SPEC_A)
    told = desk.loader._done

    def fails_once(*_: object) -> None:
        desk.loader._done = told
        raise Panic("native code gave up")

    desk.loader._done = fails_once
    desk.loader.start(h.StartLoad(A))
    desk.loader.start(h.StartUnload(A))
    assert desk.answer() == h.Unloaded(A)
