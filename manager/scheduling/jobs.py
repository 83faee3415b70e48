"""The loader's next job towards loading or evicting given weights, including what must happen first.

Pure functions over the tables. The planner decides which weights are loaded and evicted.
"""

from __future__ import annotations

from collections.abc import Iterator

from manager.scheduling.messages import Job, StartDrop, StartLoad, StartPark, StartTrim, StartUnload, StartWake
from manager.scheduling.tables import Tables, Weights
from manager.state import State


def arrive(tables: Tables, row: Weights) -> Job:
    """Return the next job towards bringing `row` to its device, where it fits once cached conversations are trimmed.

    Weights with a copy in host memory are woken; others are loaded.
    """
    need = row.need or 0
    free = tables.ledger.free(row.device)
    if free < need:
        return _trim(tables, row.device, int(need - free))
    cache = int(min(row.allowance, free - need))
    return StartWake(row.key, cache) if row.account.host else StartLoad(row.key, cache)


def leave(tables: Tables, row: Weights) -> Job:
    """Return the next job towards removing `row` from its device: parked if it can be and there is room, else unloaded.

    Less recently used copies make room. Copies of weights that are on their device go first, since losing one costs
    only the time to copy it again. Parked weights with waiting requests stay.
    """
    if row.drain == "asked" or not row.parks:
        return StartUnload(row.key)
    if row.account.host:
        return StartPark(row.key)
    short = row.account.fixed - tables.ledger.parking_free()
    if short <= 0:
        return StartPark(row.key)
    copies = sorted(_spare_copies(tables, row), key=lambda other: (not other.on_device, other.last_used))
    if sum(other.account.host for other in copies) < short:
        return StartUnload(row.key)
    return StartDrop(copies[0].key)


def _spare_copies(tables: Tables, row: Weights) -> Iterator[Weights]:
    for other in tables.weights.values():
        if other is row or not other.account.host or other.state is State.WAKING:
            continue
        if other.on_device or (other.last_used <= row.last_used and not tables.waiters(other.key)):
            yield other


def _with_caches(tables: Tables, device: str) -> list[Weights]:
    return [row for row in tables.on_device(device) if row.account.cache > row.account.stuck]


def _trim(tables: Tables, device: str, short: int) -> StartTrim:
    """Free up to `short` bytes of the least recently used weights with cached conversations; there must be some."""
    row = min(_with_caches(tables, device), key=lambda row: row.last_used)
    return StartTrim(row.key, max(row.account.stuck, row.account.cache - short))


def relief(tables: Tables) -> Job | None:
    """Return a job that trims cached conversations on a device that exceeds its budget, if there is one."""
    for device in tables.ledger.overdrawn():
        if _with_caches(tables, device):
            return _trim(tables, device, int(-tables.ledger.free(device)))
    return None


def housekeeping(tables: Tables) -> Job | None:
    """Return a job for idle times, if there is one: drop unwanted copies, let caches grow into free memory."""
    for key in tables.discard:
        return StartDrop(key)
    for row in tables.present.values():
        account = row.account
        wanted = row.allowance - account.cache
        if row.state is State.RESIDENT and wanted > 0:
            gain = int(min(wanted, tables.ledger.free(row.device)))
            if gain == wanted or gain > row.allowance // 4:  # small gains are not worth a job
                return StartTrim(row.key, account.cache + gain)
    return None
