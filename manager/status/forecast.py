"""How long those who wait still have to: a guess from measured load times and turn lengths. Reads the tables only.

Loads happen one at a time, in the policy's order. Each takes as long as it last took (or is guessed to), and needs a
place: one that is free, that idle weights leave at once, or that busy weights leave when the last lease on them ends,
which is a turn's usual length after it was granted. Weights that come earlier keep their place for one turn. With

    begin(w) = max(loader free, places free for w)        loader free = end(w) = begin(w) + load seconds(w)

for each w in turn (list scheduling, R. L. Graham 1966), a request for cold weights waits until end(w), one for weights
that are coming for what is left of that, and one for weights whose leases are limited until one of them ends.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from manager.config.registry import WeightsKey
from manager.scheduling import policy
from manager.scheduling.tables import Room, Tables, Ticket, Weights
from manager.state import LoadProgress, State


def expected_waits(tables: Tables, now: float, progress: Mapping[WeightsKey, LoadProgress]) -> dict[int, float | None]:
    """Ticket -> seconds from `now` until it is granted, for all that wait; None where nobody can say."""
    plan = _Plan(tables, now, progress)
    ready = {ticket.weights: plan.ready(ticket) for ticket in policy.order(tables)}
    waits: dict[int, float | None] = {}
    places: dict[WeightsKey, list[float]] = {}  # when each of a row's limited leases ends
    for ticket in tables.waiting.values():
        row, begins = tables.weights[ticket.weights], ready[ticket.weights]
        if begins is not None and row.concurrency is not None:
            if row.key not in places:
                ends = sorted(_lease_left(tables.leases[number], row, now) for number in row.holders)
                places[row.key] = [0.0] * (row.concurrency - len(ends)) + ends
            begins = max(begins, places[row.key][0])
            heapq.heapreplace(places[row.key], begins + row.turn_seconds)
        waits[ticket.number] = begins
    return waits


class _Plan:
    """Who comes when, if nothing else happens. Times are seconds from now."""

    def __init__(self, tables: Tables, now: float, progress: Mapping[WeightsKey, LoadProgress]) -> None:
        self._tables, self._now, self._progress = tables, now, progress
        job = tables.weights.get(tables.job) if tables.job is not None else None
        self._loader_free = (self._left(job) or 0.0) if job is not None else 0.0
        self._rooms: dict[str, Room] = {}
        self._leaving: dict[str, list[tuple[float, int]]] = {}  # device -> when how many bytes come free

    def ready(self, ticket: Ticket) -> float | None:
        """When the weights of a ticket can be leased; to be asked in the order in which they are loaded."""
        row = self._tables.weights[ticket.weights]
        if row.working:
            return self._left(row)
        if row.cold or (row.state is State.DRAINING and not ticket.admitted):
            return self._load(row)
        if row.need is None or row.elsewhere or row.concurrency is not None or ticket.admitted:
            return 0.0 if row.need is not None else None
        places = self._places(row.device)  # it is held back until somebody who is due has one
        return places[0][0] if places else 0.0

    def _load(self, row: Weights) -> float | None:
        places, room, need = self._places(row.device), self._rooms[row.device], row.need or 0
        begin = self._loader_free
        while not room.fits(need):
            if not places:
                return None
            free_at, size = heapq.heappop(places)
            begin = max(begin, free_at)
            room.slots, room.bytes = room.slots + 1, room.bytes + size
        room.slots, room.bytes = room.slots - 1, room.bytes - need
        self._loader_free = begin + row.load_seconds
        heapq.heappush(places, (self._loader_free + row.turn_seconds, need))
        return self._loader_free

    def _places(self, device: str) -> list[tuple[float, int]]:
        """What comes free on a device, soonest first."""
        if device not in self._leaving:
            rows = [row for row in self._tables.on_device(device) if not row.pinned]
            self._leaving[device] = sorted((self._free_at(row), row.used) for row in rows)
            self._rooms[device] = self._tables.room(device)
        return self._leaving[device]

    def _free_at(self, row: Weights) -> float:
        if row.working:
            return (self._left(row) or 0.0) + row.turn_seconds
        return max((_lease_left(self._tables.leases[n], row, self._now) for n in row.holders), default=0.0)

    def _left(self, row: Weights) -> float | None:
        """What is left of work in flight on weights; None for a download of unknown length."""
        progress = self._progress.get(row.key)
        done = progress.fraction if progress is not None else 0.0
        if row.preparing:
            rest = progress.seconds * (1 - done) / done if progress is not None and done else None
            return rest + row.load_seconds if rest is not None else None
        if not row.working:
            return 0.0
        return row.load_seconds * (1 - done) if done else max(row.load_seconds - (self._now - row.started), 0.0)


def _lease_left(lease: Ticket, row: Weights, now: float) -> float:
    """How long a lease will still be held, if it is held as long as usual."""
    return max(row.turn_seconds - (now - lease.granted), 0.0)
