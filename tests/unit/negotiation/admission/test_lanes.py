"""Lanes and their queue: fair between visitors, bounded, and visible."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import pytest

from negotiation.admission.lanes import BYPASS_BOUND, Lanes
from negotiation.admission.limits import Caller, LimitReached, Limits
from negotiation.admission.tickets import LaneTicket, QueuePosition, Stage

A, B = Caller("anne"), Caller("ben")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class House:
    """Lanes, and the tickets that started in them, in order."""

    def __init__(self, **limits: int | None) -> None:
        self.clock = Clock()
        self.lanes = Lanes(Limits(**limits), self.clock)  # type: ignore[arg-type]
        self.begun: list[LaneTicket] = []

    def come(self, caller: Caller = A, *, background: bool = False) -> LaneTicket:
        ticket = self.lanes.enter(caller, background=background)
        self.lanes.wait(ticket, partial(self.begun.append, ticket))
        return ticket

    def end(self, ticket: LaneTicket, seconds: float = 0.0) -> None:
        self.clock.now += seconds
        self.lanes.leave(ticket)

    def play(self, turns: int) -> None:
        """End this many running tickets, the oldest first."""
        for _ in range(turns):
            self.end(next(ticket for ticket in self.begun if ticket.stage is Stage.RUNNING))

    @property
    def running(self) -> list[LaneTicket]:
        return [ticket for ticket in self.begun if ticket.stage is Stage.RUNNING]


@pytest.fixture
def house() -> Callable[..., House]:
    return House


# -- fairness --------------------------------------------------------------------------------------------------


def test_with_free_lanes_everything_starts_at_once(house: Callable[..., House]) -> None:
    there = house(lanes=3)
    tickets = [there.come(A), there.come(A), there.come(B)]
    assert there.begun == tickets


@pytest.mark.parametrize("lanes", [1, 2, 8])
def test_one_lane_is_not_starved_by_fifty(house: Callable[..., House], lanes: int) -> None:
    there = house(lanes=lanes, lanes_per_visitor=lanes)
    for _ in range(50):
        there.come(A)
    single = there.come(B)
    there.play(2)
    assert single in there.begun  # the second of the next two at the latest
    there.play(51 - 2)
    assert len(there.begun) == 51
    assert not there.lanes.positions()


def test_a_visitors_lanes_are_bounded_so_that_others_start_at_once(house: Callable[..., House]) -> None:
    there = house(lanes=8, lanes_per_visitor=2)
    mine = [there.come(A) for _ in range(50)]
    assert there.running == mine[:2]
    assert there.come(B).stage is Stage.RUNNING


@pytest.mark.parametrize("visitors", [2, 5, 20])
def test_visitors_take_turns_and_their_own_runs_start_in_order(house: Callable[..., House], visitors: int) -> None:
    there = house(lanes=1)
    last = there.come(Caller("first"))
    callers = [Caller(f"visitor {number}") for number in range(visitors)]
    mine = {caller: [there.come(caller) for _ in range(visitors - place)] for place, caller in enumerate(callers)}
    assert last.stage is Stage.RUNNING
    there.play(sum(map(len, mine.values())))
    for caller in callers:
        assert [ticket for ticket in there.begun if ticket.caller == caller] == mine[caller]
    expected = [mine[c][turn] for turn in range(visitors) for c in callers if turn < len(mine[c])]
    assert there.begun[1:] == expected


def test_a_returning_visitor_waits_for_a_turn(house: Callable[..., House]) -> None:
    there = house(lanes=1)
    there.come(A)
    waiting = [there.come(Caller(f"visitor {number}")) for number in range(3)]
    for _ in range(3):
        there.come(A)
        there.play(1)
    assert all(ticket in there.begun for ticket in waiting)


def test_background_work_waits_for_watched_runs_but_not_forever(house: Callable[..., House]) -> None:
    there = house(lanes=1)
    there.come(A)
    behind = there.come(B, background=True)
    for _ in range(BYPASS_BOUND):
        there.come(A)
        there.play(1)
        assert behind.stage is Stage.WAITING
    there.come(A)
    there.play(1)
    assert behind.stage is Stage.RUNNING


def test_the_last_quarter_of_the_lanes_is_for_watched_runs(house: Callable[..., House]) -> None:
    there = house(lanes=8, lanes_per_visitor=8)
    for number in range(4):
        for _ in range(8):
            there.come(Caller(f"visitor {number}"), background=True)
    assert len(there.running) == 6
    assert there.come(A).stage is there.come(B).stage is Stage.RUNNING


def test_background_work_gets_half_of_its_visitors_lanes(house: Callable[..., House]) -> None:
    there = house(lanes=20, lanes_per_visitor=4)
    for _ in range(10):
        there.come(A, background=True)
    assert len(there.running) == 2
    watched = [there.come(A) for _ in range(3)]
    assert [ticket.stage for ticket in watched] == [Stage.RUNNING, Stage.RUNNING, Stage.WAITING]


def test_no_lane_is_given_twice_and_none_is_lost(house: Callable[..., House]) -> None:
    """All events of a ticket in random order; afterwards there are as many lanes as before."""
    ways = ("leave", "withdraw", "aside", "twice")
    for order in itertools.permutations(ways):
        there = house(lanes=2, lanes_per_visitor=2)
        tickets = dict(zip(order, (there.come(A) for _ in order), strict=True))
        for way, ticket in tickets.items():
            assert len(there.running) <= 2
            if way == "withdraw":
                there.lanes.withdraw(ticket)
            elif way == "aside" and ticket.stage is Stage.RUNNING:
                there.lanes.step_aside(ticket)
                there.lanes.wait(ticket, partial(there.begun.append, ticket), first=True)
            there.lanes.leave(ticket)
            if way == "twice":
                there.lanes.leave(ticket)
        fresh = [there.come(B), there.come(B), there.come(B)]
        assert [ticket.stage for ticket in fresh] == [Stage.RUNNING, Stage.RUNNING, Stage.WAITING]
        assert there.lanes.visitors() == 1


# -- people ----------------------------------------------------------------------------------------------------


def test_an_answered_run_goes_before_its_visitors_others(
    house: Callable[..., House],
) -> None:
    there = house(lanes=1)
    mine = there.come(A)
    there.lanes.step_aside(mine)
    other = there.come(B)
    later = there.come(A)
    assert (other.stage, later.stage) == (Stage.RUNNING, Stage.WAITING)
    there.lanes.wait(mine, partial(there.begun.append, mine), first=True)
    there.end(other)
    assert (mine.stage, later.stage) == (Stage.RUNNING, Stage.WAITING)


def test_a_withdrawn_ticket_does_not_start(house: Callable[..., House]) -> None:
    there = house(lanes=1)
    first, second = there.come(A), there.come(A)
    assert there.lanes.withdraw(second)
    assert not there.lanes.withdraw(second)
    assert not there.lanes.withdraw(first)
    there.end(first)
    assert there.begun == [first]


# -- positions and waits ----------------------------------------------------------------------------------------------


def test_positions_count_those_ahead_and_estimate_the_wait(house: Callable[..., House]) -> None:
    there = house(lanes=2)
    there.end(there.come(A), 40.0)
    running = [there.come(A), there.come(A)]
    others = [there.come(Caller("carl")), there.come(Caller("dora"))]
    mine, again = there.come(B), there.come(B)
    places = there.lanes.positions()
    assert places[mine] == QueuePosition(visitors=2, ahead=2, expected_seconds=60.0)
    assert places[again] == QueuePosition(visitors=2, ahead=3, expected_seconds=80.0)
    there.end(running[0], 40.0)
    assert others[0].stage is Stage.RUNNING
    assert there.lanes.positions()[mine] == QueuePosition(visitors=1, ahead=1, expected_seconds=40.0)


def test_the_waiting_time_of_watched_runs_is_reported() -> None:
    clock, waited = Clock(), list[float]()
    lanes = Lanes(Limits(lanes=1), clock, waited.append)
    tickets = [lanes.enter(A), lanes.enter(B), lanes.enter(B, background=True)]
    for ticket in tickets:
        lanes.wait(ticket, lambda: None)
    for ticket in tickets:
        clock.now += 7.0
        lanes.leave(ticket)
    assert waited == [0.0, 7.0]


def test_long_running_negotiations_raise_the_estimate(house: Callable[..., House]) -> None:
    there = house(lanes=1)
    there.end(there.come(A), 10.0)
    there.come(A)
    mine = there.come(B)
    assert there.lanes.positions()[mine].expected_seconds == 10.0
    there.clock.now += 60.0
    assert there.lanes.positions()[mine].expected_seconds == 60.0


def test_there_is_no_estimate_before_the_first_ending(house: Callable[..., House]) -> None:
    there = house(lanes=1)
    there.come(A)
    mine = there.come(B)
    assert there.lanes.positions() == {mine: QueuePosition(0, 0, None)}


def test_a_position_says_whether_it_waits_for_the_same_visitor(house: Callable[..., House]) -> None:
    there = house(lanes=8, lanes_per_visitor=1)
    there.end(there.come(A), 30.0)
    there.come(A)
    mine = there.come(A)
    assert there.lanes.positions() == {mine: QueuePosition(0, 0, 30.0, own=True)}


# -- limits ----------------------------------------------------------------------------------------------------


def test_the_queue_is_bounded_and_says_so(house: Callable[..., House]) -> None:
    there = house(lanes=1, queue=2)
    there.end(there.come(A), 100.0)
    for number in range(3):
        there.come(Caller(f"visitor {number}"))
    with pytest.raises(LimitReached, match=r"2 negotiations are waiting .* try again in about 3 min"):
        there.come(B)
    there.play(1)
    there.come(B)


def test_a_visitors_open_negotiations_are_limited(house: Callable[..., House]) -> None:
    there = house(lanes=10, lanes_per_visitor=2, queue_per_visitor=3)
    for _ in range(5):
        there.come(A)
    with pytest.raises(LimitReached, match=r"you have 5 negotiations running or waiting \(limit: 5\)"):
        there.come(A)
    there.come(B)


def test_negotiations_that_start_together_are_refused_together(house: Callable[..., House]) -> None:
    there = house(lanes=2, lanes_per_visitor=2, queue=1, queue_per_visitor=1, starts_per_minute=4)
    there.lanes.check(B, 2)
    there.lanes.check(B, 3)  # two at once, and one that waits
    with pytest.raises(LimitReached, match=r"0 negotiations are waiting \(limit: 1\)"):
        there.lanes.check(B, 4)
    there.come(A)
    there.come(A)
    with pytest.raises(LimitReached, match=r"0 negotiations are waiting \(limit: 1\)"):
        there.lanes.check(B, 2)
    there.lanes.check(A)
    there.play(2)
    there.come(A)
    with pytest.raises(LimitReached, match="the limit for a visitor here is 4 negotiations per minute"):
        there.lanes.check(A, 2)
    there.lanes.check(A)
    assert there.lanes.refused == 3


def test_dropping_cookies_does_not_help(house: Callable[..., House]) -> None:
    there = house(open_per_address=3)
    for number in range(3):
        there.come(Caller(f"visitor {number}", "192.0.2.1"))
    with pytest.raises(LimitReached, match=r"3 negotiations from your network address .* \(limit: 3\); try again"):
        there.come(Caller("fresh", "192.0.2.1"))
    there.come(Caller("fresh", "192.0.2.2"))
    there.come(Caller("fresh"))  # where addresses are not known


def test_starts_are_counted_by_the_minute(house: Callable[..., House]) -> None:
    there = house(starts_per_minute=2)
    there.come(A)
    there.clock.now = 20.0
    there.come(A)
    with pytest.raises(LimitReached, match=r"the limit for a visitor here is 2 negotiations per minute; .* about 40 s"):
        there.come(A)
    there.come(B)
    there.clock.now = 60.0
    there.come(A)


def test_an_address_has_four_times_the_starts_of_a_visitor(house: Callable[..., House]) -> None:
    there = house(starts_per_minute=1)
    for number in range(4):
        there.come(Caller(f"visitor {number}", "192.0.2.1"))
    with pytest.raises(LimitReached, match="the limit for a network address here is 4 negotiations per minute"):
        there.come(Caller("fresh", "192.0.2.1"))


def test_tokens_are_counted_by_the_hour(house: Callable[..., House]) -> None:
    there = house(tokens_per_hour=1000)
    there.come(A)
    there.lanes.spend(A, 600)
    there.come(A)
    there.clock.now = 600.0
    there.lanes.spend(A, 400)
    with pytest.raises(LimitReached, match=r"a visitor here is 1,000 tokens per hour; .* in about 50 min"):
        there.come(A)
    there.clock.now = 3600.0
    there.come(A)


def test_old_entries_are_dropped_even_without_limits(house: Callable[..., House]) -> None:
    there = house()
    for there.clock.now in range(0, 36_000, 100):
        there.end(there.come(A))
        there.lanes.spend(A, 10)
    rates = there.lanes._rates
    assert (len(rates._starts._entries), len(rates._tokens._entries)) == (1, 36)


def test_the_operator_is_limited_by_the_lanes_only(house: Callable[..., House]) -> None:
    there = house(lanes=3, lanes_per_visitor=1, queue_per_visitor=1, starts_per_minute=1, tokens_per_hour=1)
    operator = Caller("anne", operator=True)
    there.lanes.spend(operator, 100)
    tickets = [there.come(operator) for _ in range(5)]
    assert there.running == tickets[:3]


def test_nothing_starts_after_closing(house: Callable[..., House]) -> None:
    there = house(lanes=1)
    first, second = there.come(A), there.come(A)
    there.lanes.close()
    there.end(first)
    assert second.stage is Stage.WAITING
    with pytest.raises(LimitReached, match="the server is restarting"):
        there.come(B)


# -- beginning -------------------------------------------------------------------------------------------------


def test_a_thousand_instant_negotiations_do_not_recurse(house: Callable[..., House]) -> None:
    """Like negotiations without a thread; they must not start recursively."""
    there = house(lanes=1, queue=2000, queue_per_visitor=2000)
    first, ended = there.come(A), []

    def end(ticket: LaneTicket) -> None:
        ended.append(ticket)
        there.lanes.leave(ticket)

    waiting = [there.lanes.enter(A) for _ in range(1000)]
    for ticket in waiting:
        there.lanes.wait(ticket, partial(end, ticket))
    there.end(first)
    assert ended == waiting
    assert there.lanes.wait_until_idle(0)


def test_a_ticket_that_cannot_start_frees_its_lane(
    house: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    there = house(lanes=1)
    first, broken = there.come(A), there.lanes.enter(A)

    def refuse() -> None:
        raise MemoryError("no room")

    there.lanes.wait(broken, refuse)
    following = there.come(A)
    there.end(first)
    assert (broken.stage, following.stage) == (Stage.GONE, Stage.RUNNING)
    assert "MemoryError: no room" in caplog.text


def test_a_ticket_that_arrives_during_a_start_is_not_lost(house: Callable[..., House]) -> None:
    there = house(lanes=2)
    ticket, came = there.lanes.enter(A), []
    there.lanes.wait(ticket, lambda: came.append(there.come(B)))
    assert [other.stage for other in came] == [Stage.RUNNING]
