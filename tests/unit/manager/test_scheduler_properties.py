"""What the scheduler promises under every order of requests, releases, failures, cancellations and time."""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from manager import happenings as h
from manager import policy
from manager.errors import Cancelled, Failure, LoadFailed, OutOfMemory, ParleyError
from manager.happenings import State
from manager.registry import WeightsKey
from manager.scheduler import Scheduler
from manager.tables import Limits

KEYS = [WeightsKey("fake", name) for name in "ABCDEF"]
DEVICES = {KEYS[4]: "cpu", KEYS[5]: "cpu"}
SIZES = {KEYS[0]: 3, KEYS[1]: 4, KEYS[2]: 5, KEYS[3]: 9, KEYS[4]: 1, KEYS[5]: 2}
BUDGET = 10


class SchedulerMachine(RuleBasedStateMachine):
    """Plays manager, loader and callers against a real scheduler, and checks every promise after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.scheduler = Scheduler(Limits(max_loaded=2, budgets={"gpu": BUDGET}, max_queue=12, max_wait=60))
        self.numbers = 0
        self.waiting: dict[int, str | None] = {}
        self.held: dict[int, WeightsKey] = {}
        self.ended: Counter[int] = Counter()
        self.preparing: list[WeightsKey] = []
        self.job: h.StartLoad | h.StartUnload | None = None
        for key in KEYS:
            self.tell(h.Register(key, idle_seconds=30 if key is KEYS[2] else None))

    def tell(self, happening: h.Happening) -> None:
        for effect in self.scheduler.handle(happening, self.now):
            match effect:
                case h.Grant(ticket=number, weights=key):
                    self.waiting.pop(number)
                    assert number not in self.held
                    self.held[number] = key
                case h.Refuse(ticket=number):
                    self.waiting.pop(number)
                    self.ended[number] += 1
                case h.Prepare(weights=key):
                    assert key not in self.preparing
                    self.preparing.append(key)
                case h.StartLoad() | h.StartUnload():
                    assert self.job is None, "one job at a time"
                    self.job = effect
                    if isinstance(effect, h.StartUnload):
                        assert effect.weights not in self.held.values(), "nothing leased is unloaded"
                case h.Abort(weights=key):
                    assert self.job == h.StartLoad(key) or key in self.preparing

    @rule(
        key=st.sampled_from(KEYS),
        owner=st.sampled_from([None, "x", "y", "z"]),
        following=st.sampled_from([None, *KEYS]),
    )
    def request(self, key: WeightsKey, owner: str | None, following: WeightsKey | None) -> None:
        if key not in self.scheduler.weights:
            self.tell(h.Register(key))
        self.numbers += 1
        self.waiting[self.numbers] = owner
        self.tell(h.Request(self.numbers, key, owner, following))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.held)))
        del self.held[number]
        self.ended[number] += 1
        self.tell(h.Release(number))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.tell(h.Cancel(data.draw(st.sampled_from(sorted(self.waiting)))))

    @precondition(lambda self: self.preparing)
    @rule(kind=st.sampled_from([LoadFailed, Cancelled]))
    def prepare_fails(self, kind: type[ParleyError]) -> None:
        self.tell(h.PrepareFailed(self.preparing.pop(0), Failure(kind, "gone")))

    @precondition(lambda self: self.preparing)
    @rule()
    def prepared_well(self) -> None:
        key = self.preparing.pop(0)
        self.tell(h.Prepared(key, SIZES[key], DEVICES.get(key, "gpu")))

    @precondition(lambda self: self.job)
    @rule(outcome=st.sampled_from(["well", "well", "well", "oom", "broken", "leak"]), seconds=st.floats(0, 5))
    def loader_ends(self, outcome: str, seconds: float) -> None:
        assert self.job is not None
        self.now += seconds
        job, self.job = self.job, None
        key = job.weights
        if isinstance(job, h.StartUnload):
            self.tell(h.Unloaded(key, leaked=1 if outcome == "leak" and sum(self.scheduler.leaked.values()) < 1 else 0))
        elif self.scheduler.weights[key].aborting:
            self.tell(h.LoadFailed(key, Failure(Cancelled, "aborted")))
        elif outcome in ("oom", "broken"):
            self.tell(h.LoadFailed(key, Failure(OutOfMemory if outcome == "oom" else LoadFailed, outcome)))
        else:
            self.tell(h.Loaded(key, SIZES[key]))

    @rule(seconds=st.floats(0.1, 40))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.tell(h.Tick())
        wake = self.scheduler.next_tick()
        assert wake is None or wake > self.now, "a tick leaves nothing overdue"

    @rule(seconds=st.floats(0.1, 40))
    def time_passes_unnoticed(self, seconds: float) -> None:
        self.now += seconds

    @rule(owner=st.sampled_from("xyz"))
    def forget(self, owner: str) -> None:
        self.tell(h.Forget(owner))

    @rule(key=st.sampled_from(KEYS))
    def retire(self, key: WeightsKey) -> None:
        self.tell(h.Retire(key))

    @rule(key=st.sampled_from(KEYS), pinned=st.booleans())
    def register_again(self, key: WeightsKey, pinned: bool) -> None:
        self.tell(h.Register(key, pinned=pinned and key in KEYS[:1]))

    @rule(key=st.sampled_from(KEYS))
    def unload(self, key: WeightsKey) -> None:
        self.tell(h.Unload(key))

    @invariant()
    def nothing_leased_is_away(self) -> None:
        for key in self.held.values():
            assert self.scheduler.weights[key].state in (State.RESIDENT, State.DRAINING)

    @invariant()
    def limits_hold(self) -> None:
        for device in ("gpu", "cpu"):
            assert len(self.scheduler.on_device(device)) <= 2
        assert self.scheduler.used_bytes("gpu") <= BUDGET + self.scheduler.leaked.get("gpu", 0)

    @invariant()
    def every_ticket_is_somewhere_once(self) -> None:
        assert set(self.scheduler.waiting) == set(self.waiting)
        assert set(self.scheduler.leases) == set(self.held)
        assert all(count == 1 for count in self.ended.values())

    @invariant()
    def the_clock_is_told_of_every_deadline(self) -> None:
        wake = self.scheduler.next_tick()
        assert all(wake is not None and wake <= ticket.deadline for ticket in self.scheduler.waiting.values())

    @invariant()
    def nobody_waits_for_what_cannot_be(self) -> None:
        for ticket in self.scheduler.waiting.values():
            row = self.scheduler.weights[ticket.weights]
            pinned = [other for other in self.scheduler.on_device(row.device) if other.pinned and other is not row]
            assert not row.cold or self.scheduler.room(row.device, pinned).fits(row.need or 0)

    @invariant()
    def nobody_is_bypassed_without_bound(self) -> None:
        assert all(ticket.bypassed <= policy.BYPASS_BOUND for ticket in self.scheduler.waiting.values())

    def teardown(self) -> None:
        """Whatever happened, once everybody gives back what they hold and the loader works, all tickets end."""
        for _ in range(1000):
            if not (self.waiting or self.held or self.job or self.preparing):
                break
            if self.preparing:
                self.prepared_well()
            elif self.job:
                self.loader_ends("well", 0.5)
            elif self.held:
                number = min(self.held)
                del self.held[number]
                self.tell(h.Release(number))
            else:
                wake = self.scheduler.next_tick()
                assert wake is not None, f"tickets {sorted(self.waiting)} wait for nothing"
                self.now = max(self.now, wake)
                self.tell(h.Tick())
        assert not self.waiting
        assert not self.held


STRESS_STEPS = int(os.environ.get("PARLEY_STRESS_STEPS", "0"))
TestScheduler = SchedulerMachine.TestCase
TestScheduler.settings = settings(
    max_examples=max(60, STRESS_STEPS // 50), stateful_step_count=50, deadline=None, derandomize=not STRESS_STEPS
)
