"""The model status strip: models that are loaded, loading, busy, waiting and failed, at a glance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from manager.placed import DEVICE
from manager.state import FRESH_SECONDS, State
from manager.status.snapshot import DeviceStatus, Snapshot, WeightsStatus
from ui.kit import text
from ui.kit.templates import render
from ui.kit.units import seconds, size

_ORDER = {
    State.LOADING: 0,
    State.WAKING: 0,
    State.RESIDENT: 1,
    State.DRAINING: 2,
    State.PARKED: 3,
    State.FAILED: 4,
    State.COLD: 5,
}


def strip_html(
    snapshot: Snapshot, labels: dict[str, str], details: bool = False, zero_gpu: bool = False, closing: bool = False
) -> str:
    """Draw the strip for a snapshot.

    Models that nobody uses are only counted. A failed attempt is shown only until the model may be tried again: whoever
    asked for the model has been told, and the Models tab has the reason.

    Args:
        labels: The models' display names, by id.
        details: Whether to link to the Models tab.
        zero_gpu: Whether all models are placed at startup, as on ZeroGPU.
        closing: Whether the server is shutting down.
    """
    rows = sorted(snapshot.weights, key=lambda row: (not row.leases, row.progress is None, _ORDER[row.state]))
    if not rows:
        return render("empty", words=text.STATUS_NONE)
    shown = [row for row in rows if _is_shown(row)]
    unasked = 0 if zero_gpu else sum(len(row.model_ids) or 1 for row in rows if row not in shown)
    waiting = Counter(labels.get(entry.model_id, entry.model_id) for entry in snapshot.queue)
    names = ", ".join(f"{name} × {count}" if count > 1 else name for name, count in waiting.items())
    devices = [device_line(device) for device in snapshot.devices]
    if snapshot.parked:
        devices.append(text.PARKED.format(used=size(snapshot.parked), budget=size(snapshot.parking or 0)))
    return render(
        "model_strip",
        chips=[_chip(row, labels) for row in shown],
        unasked=_unasked(unasked, among_others=bool(shown)),
        waiting=text.QUEUE.format(names=names) if names else "",
        devices=devices,
        details=details,
        zero_gpu=zero_gpu,
        closing=closing,
    )


@dataclass(frozen=True)
class Chip:
    """One chip of the strip."""

    names: str
    state: str
    look: str
    reason: str
    shows_reason: bool
    stage: str = ""
    fraction: float | None = None


def _chip(row: WeightsStatus, labels: dict[str, str]) -> Chip:
    state, stage, fraction = text.STATE[str(row.state)], "", None
    placed = row.device == DEVICE
    if row.remote and row.state is State.RESIDENT:
        state = text.PLACED if placed else answering(row)
    if row.retry_in:
        state = text.AGAIN_IN.format(state=state, seconds=row.retry_in)
    if row.leases:
        state = (text.ON_GPU if placed else text.BUSY).format(count=row.leases)
    if row.progress is not None:
        stage = {"fetching": text.FETCHING, "waking": text.WAKING}.get(row.progress.stage, text.LOADING)
        state = f"{stage}: {size(row.progress.done)}"
        if row.progress.total:
            state = text.BYTES.format(done=state, total=size(row.progress.total))
            fraction = row.progress.fraction
    elif row.state in (State.RESIDENT, State.DRAINING) and row.bytes:
        state += f", {size(row.bytes)}"
    elif row.state is State.PARKED:
        state += f", {size(row.host)}"
    return Chip(
        names=_joined([labels.get(model_id, model_id) for model_id in row.model_ids]) or row.weights,
        state=state,
        look="busy" if row.leases else "loading" if row.progress is not None else look(row),
        reason=row.reason,
        shows_reason=bool(row.reason) and row.state is State.FAILED,
        stage=stage,
        fraction=fraction,
    )


def _unasked(count: int, *, among_others: bool) -> str:
    if not count:
        return ""
    return text.MORE_COLD.format(count=count) if among_others else text.all_cold(count)


def _is_shown(row: WeightsStatus) -> bool:
    unused = row.state in (State.COLD, State.FAILED)
    return not unused or bool(row.progress or row.waiting or row.retry_in)


def answering(row: WeightsStatus) -> str:
    """Return whether a remote server responds, or when it last did if that was a while ago."""
    if row.answered is None or row.answered < FRESH_SECONDS:
        return text.ANSWERS
    return text.ANSWERED.format(ago=seconds(row.answered))


def look(row: WeightsStatus) -> str:
    """Return the look of a state; a remote server that was not asked for a while does not look healthy."""
    stale = row.state is State.RESIDENT and row.answered is not None and row.answered >= FRESH_SECONDS
    return str(State.COLD if stale else row.state)


def _joined(names: list[str]) -> str:
    """Return the names of aliases in short: their common beginning, then how each continues."""
    if len(names) < 2:
        return "".join(names)
    words = [name.split() for name in names]
    shared = 0
    while all(len(w) > shared + 1 for w in words) and len({w[shared] for w in words}) == 1:
        shared += 1
    if not shared:
        return ", ".join(names)
    rest = ", ".join(" ".join(w[shared:]) for w in words)
    return f"{' '.join(words[0][:shared]).rstrip(',')} ({rest})"


def device_line(device: DeviceStatus) -> str:
    """Describe a device's models and memory in a line."""
    form = text.DEVICE if device.budget is None else text.DEVICE_BUDGET
    return form.format(
        device=device.device,
        loaded=device.loaded,
        most=device.max_loaded,
        used=size(device.bytes),
        budget=size(device.budget or 0),
    )
