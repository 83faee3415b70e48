"""Expected waits of queued requests, estimated from measured load times and turn lengths. Only reads the tables.

Loads happen one at a time, in the policy's order. Each takes as long as last time (or as estimated) and needs a slot
that is free, that idle weights vacate at once, or that busy weights vacate when their last lease ends, a usual turn
length after it was granted. Weights that are loaded earlier occupy their slot for one turn. With

    begin(w) = max(loader free, slot free for w)        loader free = end(w) = begin(w) + load seconds(w)

for each w in order (list scheduling, R. L. Graham 1966), a request for cold weights waits until end(w), one for weights
being loaded for the rest of their load, and one for weights with a limit on leases until a lease ends.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from manager.config.model_spec import WeightsKey
from manager.scheduling import policy
from manager.scheduling.tables import LeaseTicket, Room, Tables, Weights
from manager.state import LoadProgress, State


def expected_waits(tables: Tables, now: float, progress: Mapping[WeightsKey, LoadProgress]) -> dict[int, float | None]:
    """Return the expected seconds from `now` until each waiting ticket is granted, by number; None where unknown."""
    plan = _Plan(tables, now, progress)
    ready = {ticket.weights: plan.ready(ticket) for ticket in policy.order(tables)}
    waits: dict[int, float | None] = {}
    places: dict[tuple[WeightsKey, str | None], list[float]] = {}  # when each of a payer's limited leases ends
    for ticket in tables.waiting.values():
        row, begins = tables.weights[ticket.weights], ready[ticket.weights]
        if begins is not None and row.concurrency is not None:
            whose = row.key, ticket.payer
            if whose not in places:
                held = [tables.leases[number] for number in row.holders]
                ends = sorted(_lease_left(lease, row, now) for lease in held if lease.payer == ticket.payer)
                places[whose] = [0.0] * (row.concurrency - len(ends)) + ends
            begins = max(begins, places[whose][0])
            heapq.heapreplace(places[whose], begins + row.turn_seconds)
        waits[ticket.number] = begins
    return waits


class _Plan:
    """When each set of weights will be ready if nothing else happens. Times are in seconds from now."""

    def __init__(self, tables: Tables, now: float, progress: Mapping[WeightsKey, LoadProgress]) -> None:
        self._tables, self._now, self._progress = tables, now, progress
        job = tables.weights.get(tables.job) if tables.job is not None else None
        self._loader_free = (self._left(job) or 0.0) if job is not None else 0.0
        self._rooms: dict[str, Room] = {}
        self._leaving: dict[str, list[tuple[float, int]]] = {}  # device -> (when, bytes) that become free

    def ready(self, ticket: LeaseTicket) -> float | None:
        """Return when a ticket's weights can be leased. Call this in the order in which weights are loaded."""
        row = self._tables.weights[ticket.weights]
        if row.working:
            return self._left(row)
        if row.cold or (row.state is State.DRAINING and not ticket.admitted):
            return self._load(row)
        if row.need is None or row.remote or row.concurrency is not None or ticket.admitted:
            return 0.0 if row.need is not None else None
        places = self._places(row.device)  # it is held back until a due ticket has its room
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
        """Return the slots that become free on a device, soonest first."""
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
        """Return the remaining seconds of work on weights; None for a download of unknown length."""
        progress = self._progress.get(row.key)
        done = progress.fraction if progress is not None else 0.0
        if row.preparing:
            rest = progress.seconds * (1 - done) / done if progress is not None and done else None
            return rest + row.load_seconds if rest is not None else None
        if not row.working:
            return 0.0
        return row.load_seconds * (1 - done) if done else max(row.load_seconds - (self._now - row.started), 0.0)


def _lease_left(lease: LeaseTicket, row: Weights, now: float) -> float:
    """Return the remaining seconds of a lease, if it lasts as long as usual."""
    return max(row.turn_seconds - (now - lease.granted), 0.0)
