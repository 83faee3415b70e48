"""The best possible order of turns and loads, for cases small enough to search exactly.

Turns last 1 and loads a whole number of turns, so some best schedule does everything at whole times. An A* search
over the states at those times knows all turns in advance (no scheduler does) and keeps the scheduler's rules: only
what somebody waits for is loaded, one at a time, and nobody who waits for cold weights is overtaken by younger
requests more often than `bound` allows.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import combinations, count
from typing import NamedTuple

from manager.scheduling.policy import BYPASS_BOUND


class _State(NamedTuple):
    """State at a whole time, between turns: all unfinished sessions wait, the oldest request first."""

    queue: tuple[tuple[int, int], ...]  # (session, how often it was bypassed)
    done: tuple[int, ...]  # turns played, by session
    resident: frozenset[int]
    loading: tuple[int, int] | None  # model, time left


def best(sessions: Sequence[Sequence[int]], places: int, load: int, measure: str, bound: int = BYPASS_BOUND) -> int:
    """Return the least `makespan`, sum of all `waits`, or number of `loads`; a session lists the models of its turns.

    Raises ValueError if nothing keeps the bound, which cannot happen with two places or more.
    """
    start = _State(tuple((s, 0) for s in range(len(sessions))), (0,) * len(sessions), frozenset(), None)
    seen = {start: 0}
    tie = count()
    heap = [(_at_least(start, sessions, measure), next(tie), 0, start)]
    while heap:
        _, _, cost, state = heapq.heappop(heap)
        if not state.queue:
            return cost
        if cost > seen[state]:
            continue
        for following, granted, loads in _choices(state, sessions, places, load, bound):
            waited = len(state.queue) - granted
            reached = cost + {"makespan": 1, "waits": waited, "loads": loads}[measure]
            if reached < seen.get(following, reached + 1):
                seen[following] = reached
                at_least = reached + _at_least(following, sessions, measure)
                heapq.heappush(heap, (at_least, next(tie), reached, following))
    raise ValueError("no order keeps the bound")


def _at_least(state: _State, sessions: Sequence[Sequence[int]], measure: str) -> int:
    """Return a lower bound of the remaining cost."""
    if measure == "makespan":
        return max((len(sessions[s]) - state.done[s] for s, _ in state.queue), default=0)
    away = {sessions[s][state.done[s]] for s, _ in state.queue} - state.resident
    if state.loading is not None:
        away.discard(state.loading[0])
    return len(away)


def _choices(
    state: _State, sessions: Sequence[Sequence[int]], places: int, load: int, bound: int
) -> Iterator[tuple[_State, int, int]]:
    """Yield all states one turn later, with the numbers of grants and of loads begun."""
    wanted = {s: sessions[s][state.done[s]] for s, _ in state.queue}
    ready = [s for s, _ in state.queue if wanted[s] in state.resident]
    for number in range(len(ready), -1, -1):
        for granted in combinations(ready, number):
            used = {wanted[s] for s in granted}
            for resident, loading in _loads(state, used, set(wanted.values()), places, load):
                if not granted and loading is None and state.loading is None:
                    continue  # waiting for nothing
                queue = _overtake(state.queue, granted, wanted, resident, loading)
                if max((times for _, times in queue), default=0) > bound:
                    continue
                done = tuple(turns + (s in granted) for s, turns in enumerate(state.done))
                queue += tuple((s, 0) for s in granted if done[s] < len(sessions[s]))
                begun = int(state.loading is None and loading is not None)
                if loading is not None:
                    model, left = loading
                    loading = (model, left - 1) if left > 1 else None
                    resident = resident if left > 1 else resident | {model}
                yield _State(queue, done, resident, loading), number, begun


def _loads(
    state: _State, used: set[int], wanted: set[int], places: int, load: int
) -> Iterator[tuple[frozenset[int], tuple[int, int] | None]]:
    """Yield what may be resident and loading next: continue, or start a load in place of an idle model."""
    yield state.resident, state.loading
    if state.loading is not None:
        return
    for model in wanted - state.resident:
        if len(state.resident) < places:
            yield state.resident, (model, load)
        else:
            for victim in state.resident - used:
                yield state.resident - {victim}, (model, load)


def _overtake(
    queue: tuple[tuple[int, int], ...],
    granted: tuple[int, ...],
    wanted: dict[int, int],
    resident: frozenset[int],
    loading: tuple[int, int] | None,
) -> tuple[tuple[int, int], ...]:
    """Return the queue without the granted sessions, each of which bypassed earlier waiters for cold weights."""
    left: list[tuple[int, int]] = []
    younger = len(granted)
    coming = resident if loading is None else resident | {loading[0]}
    for session, times in queue:
        if session in granted:
            younger -= 1
        else:
            left.append((session, times + (younger if wanted[session] not in coming else 0)))
    return tuple(left)
