"""The planner: which tickets can be granted, which waiting weights get room, which are evicted, and the next job.

Pure functions over the tables, whose results the scheduler carries out. Claims are recomputed each time, so nothing is
claimed twice and no claim outlives its request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from manager.config.model_spec import WeightsKey
from manager.scheduling import jobs, policy
from manager.scheduling.messages import Job
from manager.scheduling.tables import LeaseTicket, Room, Tables, Weights
from manager.state import State


@dataclass
class LoadPlan:
    """The evictions and the loader job to begin now."""

    secured: set[WeightsKey] = field(default_factory=set)  # cold weights whose room is free or will be
    leaving: dict[WeightsKey, WeightsKey] = field(default_factory=dict)  # weights to drain -> for which others
    staying: list[Weights] = field(default_factory=list)  # draining for weights that no longer need it
    job: Job | None = None


def plan(tables: Tables, restore: list[WeightsKey]) -> LoadPlan:
    """Claim room for waiting requests in the policy's order, then for the weights to `restore`."""
    made = LoadPlan()
    todo: list[Job] = []
    rooms: dict[str, Room] = {}  # with all claims so far
    closed: set[str] = set()  # devices with a due request that found no room: no younger one gets ahead
    draining = [row for row in tables.present.values() if row.state is State.DRAINING]

    for ticket in policy.order(tables):
        row = tables.weights[ticket.weights]
        if not row.cold or row.device in closed:
            continue
        room = rooms.setdefault(row.device, tables.room(row.device))
        going_anyway = [d for d in draining if d.device == row.device and d.key not in made.leaving]
        leaving = _make_room(tables, ticket, room, going_anyway + policy.victims(tables, ticket, made.secured))
        if leaving is None:
            if policy.due(tables, ticket):
                closed.add(row.device)
            continue
        made.secured.add(row.key)
        made.leaving.update({victim.key: row.key for victim in leaving})
        todo += [jobs.leave(tables, victim) for victim in leaving if not _awaited(tables, victim)]
        if not leaving and tables.room(row.device).fits(row.need or 0):
            todo.append(jobs.arrive(tables, row))

    for row in draining:
        if row.drain == "room" and row.key not in made.leaving and row.key != tables.job:
            made.staying.append(row)
        elif not _awaited(tables, row):
            todo.append(jobs.leave(tables, row))
    for key in restore:
        row = tables.weights[key]
        room = rooms.setdefault(row.device, tables.room(row.device))
        if row.device not in closed and room.fits(row.need or 0) and tables.room(row.device).fits(row.need or 0):
            todo.append(jobs.arrive(tables, row))

    if tables.job is None:
        made.job = jobs.relief(tables) or (todo[0] if todo else jobs.housekeeping(tables))
    return made


def _awaited(tables: Tables, row: Weights) -> bool:
    """Return whether an owner holds these weights or an admitted ticket waits for them."""
    return bool(row.holders) or any(ticket.admitted for ticket in tables.waiters(row.key))


def _make_room(tables: Tables, ticket: LeaseTicket, room: Room, candidates: list[Weights]) -> list[Weights] | None:
    """Return which candidates must leave for the ticket's weights to fit, and claim that place in `room`.

    Earlier candidates are taken first. None if there is no room to be had now.
    """
    row = tables.weights[ticket.weights]
    planned = Room(room.slots, room.bytes)
    leaving: list[Weights] = []
    for victim in candidates:
        if not planned.fits(row.need or 0) or (row.greedy and not victim.holders):
            leaving.append(victim)
            planned.slots += 1
            planned.bytes += victim.used
    if not planned.fits(row.need or 0):
        return None
    for victim in reversed(
        [] if row.greedy else leaving.copy()
    ):  # larger victims may have made smaller ones unnecessary
        without = Room(planned.slots - 1, planned.bytes - victim.used)
        if without.fits(row.need or 0):
            leaving.remove(victim)
            planned = without
    room.slots, room.bytes = planned.slots - 1, planned.bytes - (row.need or 0)
    return leaving


def grantable(tables: Tables) -> Iterator[LeaseTicket]:
    """Yield the tickets that may be granted now, oldest first. A due one holds back younger ones on its device."""
    held_back: set[str] = set()
    for ticket in tables.waiting.values():
        row = tables.weights[ticket.weights]
        promised = ticket.admitted and row.state in (State.RESIDENT, State.DRAINING)
        open_to_all = row.state is State.RESIDENT and (row.remote or row.device not in held_back)
        if (promised or open_to_all) and tables.has_a_place(ticket):
            yield ticket
        elif tables.waits_for_room(ticket) and policy.due(tables, ticket):
            held_back.add(row.device)
