"""How long those who wait still have to, against what then happens in a world where turns and loads take as long as
they always do."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

import pytest

from manager.config.model_spec import WeightsKey
from manager.scheduling import messages as msg
from manager.scheduling.scheduler import Scheduler
from manager.scheduling.tables import SchedulerLimits
from manager.state import LoadProgress, State
from manager.status.forecast import expected_waits

A, B, C, D = (WeightsKey("fake", name) for name in "ABCD")
TURN, LOAD = 5.0, 10.0


class World:
    """A scheduler whose loads take LOAD seconds and whose leases are held for TURN seconds, on a simulated clock."""

    def __init__(self, max_loaded: int = 1) -> None:
        self.scheduler = Scheduler(SchedulerLimits(max_loaded=max_loaded, budgets={"gpu": 1000}))
        self.now = 0.0
        self.granted: dict[int, float] = {}
        self._numbers = itertools.count(1)
        self._order = itertools.count()
        self._coming: list[tuple[float, int, Callable[[], None]]] = []

    def known(self, *keys: WeightsKey, need: int = 1, concurrency: int | None = None) -> None:
        for key in keys:
            self.tell(msg.Register(key, concurrency=concurrency))
            self.tell(msg.Prepared(key, need, "gpu", load_seconds=LOAD))
            row = self.scheduler.weights[key]
            row.turn_seconds, row.measured = TURN, True

    def request(self, key: WeightsKey) -> int:
        number = next(self._numbers)
        self.tell(msg.Request(number, key))
        return number

    def tell(self, message: msg.Input) -> None:
        for effect in self.scheduler.handle(message, self.now):
            match effect:
                case msg.Grant(ticket=number):
                    self.granted[number] = self.now
                    self._after(TURN, msg.Release(number))
                case msg.StartLoad(weights=key):
                    self._after(LOAD, msg.Loaded(key, self.scheduler.weights[key].need or 0))
                case msg.StartUnload(weights=key):
                    self._after(0.0, msg.Unloaded(key))

    def run(self, until: float = 1e9) -> None:
        while self._coming and self._coming[0][0] <= until:
            self.now, _, happen = heapq.heappop(self._coming)
            happen()
        self.now = max(self.now, min(until, 1e8))

    def expected(self, progress: dict[WeightsKey, LoadProgress] | None = None) -> dict[int, float | None]:
        return expected_waits(self.scheduler.tables, self.now, progress or {})

    def _after(self, seconds: float, message: msg.Input) -> None:
        heapq.heappush(self._coming, (self.now + seconds, next(self._order), lambda: self.tell(message)))

    def assert_comes_true(self) -> None:
        """Everybody who waits is granted exactly when it was foretold."""
        begun, expected = self.now, self.expected()
        assert expected, "no request waits"
        self.run()
        assert {number: begun + (wait or 0.0) for number, wait in expected.items()} == {
            number: self.granted[number] for number in expected
        }


@pytest.mark.parametrize("places", [1, 2, 3])
def test_each_waits_for_the_loads_before_its_own_and_for_a_place(places: int) -> None:
    world = World(places)
    world.known(A, B, C, D)
    for key in (A, B, C, D):
        world.request(key)
    world.assert_comes_true()


@pytest.mark.parametrize("held", [0.0, 2.0, 4.5])
def test_a_place_comes_free_when_the_turn_on_it_has_had_its_usual_length(held: float) -> None:
    world = World()
    world.known(A, B)
    world.request(A)
    world.run(until=LOAD + held)
    number = world.request(B)
    assert world.expected() == {number: TURN - held + LOAD}
    world.assert_comes_true()


def test_those_who_want_the_same_weights_wait_for_one_load() -> None:
    world = World(2)
    world.known(A, B)
    for key in (A, B, A, B):
        world.request(key)
    world.assert_comes_true()


def test_idle_weights_leave_at_once() -> None:
    world = World()
    world.known(A, B)
    world.request(A)
    world.run()
    number = world.request(B)
    assert world.expected() == {number: LOAD}


def test_what_is_left_of_a_load_is_known_from_its_progress_or_from_its_usual_length() -> None:
    world = World()
    world.known(A)
    number = world.request(A)
    assert world.scheduler.weights[A].state is State.LOADING
    world.now = 4.0
    assert world.expected() == {number: 6.0}
    assert world.expected({A: LoadProgress("loading", 90, 100, 4.0)}) == {number: pytest.approx(1.0)}
    world.now = 12.0
    assert world.expected() == {number: 0.0}, "it is late"


def test_limited_leases_are_waited_for_one_after_the_other() -> None:
    world = World()
    world.known(A, concurrency=2)
    for _ in range(7):
        world.request(A)
    world.assert_comes_true()
    for _ in range(5):
        world.request(A)
    world.now += 2
    assert list(world.expected().values()) == [3.0, 3.0, 8.0]


def test_larger_weights_wait_for_as_many_as_must_leave() -> None:
    world = World(max_loaded=3)
    world.known(A, B, need=400)
    world.known(C, need=900)
    world.request(A)
    world.run(until=LOAD + 1)
    world.request(B)
    world.run(until=2 * LOAD + 3)
    world.request(C)
    world.assert_comes_true()


def test_a_download_takes_as_long_again_as_its_progress_says() -> None:
    world = World()
    world.tell(msg.Register(A))
    number = world.request(A)
    assert world.expected() == {number: None}, "unknown as yet"
    load = world.scheduler.weights[A].load_seconds
    assert world.expected({A: LoadProgress("fetching", 25, 100, 20.0)}) == {number: 60.0 + load}


def test_the_wait_is_unknown_if_all_slots_are_pinned() -> None:
    world = World()
    world.known(A, B)
    world.request(A)
    world.run(until=LOAD)
    number = world.request(B)
    world.scheduler.weights[A].pinned = True
    assert world.expected() == {number: None}


def test_load_times_and_turn_lengths_are_measured() -> None:
    world = World()
    world.known(A)
    world.scheduler.weights[A].cold_seconds = 1.0
    world.request(A)
    world.run()
    assert world.scheduler.weights[A].load_seconds == LOAD
    assert world.scheduler.weights[A].turn_seconds == TURN
