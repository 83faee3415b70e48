"""The model status strip: what is loaded, loading, busy, waiting and failed, at a glance."""

from __future__ import annotations

from collections import Counter

from manager.placed import DEVICE
from manager.state import State
from manager.status.snapshot import DeviceStatus, Snapshot, WeightsStatus
from ui.kit import text
from ui.kit.html import esc, meter, size, tag

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
    snapshot: Snapshot, labels: dict[str, str], details: bool = False, lends: bool = False, closing: bool = False
) -> str:
    """The strip for a snapshot; `labels` are the models' names for people, `details` offers the Models tab.

    Models that nobody asked for are only counted, and left out where none can be loaded (`lends`). `closing` says that
    the server is about to end.
    """
    rows = sorted(snapshot.weights, key=lambda row: (not row.leases, row.progress is None, _ORDER[row.state]))
    if not rows:
        return tag("p", esc(text.STATUS_NONE), "empty")
    shown = [row for row in rows if row.state is not State.COLD or row.progress or row.waiting or row.reason]
    chips = "".join(_chip(row, labels) for row in shown)
    if lends:
        chips = tag("span", esc(text.ZERO_GPU), "lends") + chips
    elif unasked := sum(len(row.model_ids) or 1 for row in rows if row not in shown):
        form = text.MORE_COLD if shown else text.ALL_COLD
        chips += _pill("cold", tag("span", esc(form.format(count=unasked))))
    if closing:
        chips = tag("span", esc(text.CLOSING), "closing") + chips
    extras = ""
    if snapshot.queue:
        waiting = Counter(labels.get(entry.model_id, entry.model_id) for entry in snapshot.queue)
        names = ", ".join(f"{name} × {count}" if count > 1 else name for name, count in waiting.items())
        extras += tag("span", esc(text.QUEUE.format(names=names)), "queue")
    extras += "".join(tag("span", esc(device_line(device)), "device") for device in snapshot.devices)
    if snapshot.parked:
        used, budget = size(snapshot.parked), size(snapshot.parking or 0)
        extras += tag("span", esc(text.PARKED.format(used=used, budget=budget)), "device")
    parts = tag("div", chips + tag("span", extras, "devices"), "chips", tabindex=0)
    if details:
        parts += tag("button", esc(text.STATUS_DETAILS), "plain", type="button", data_tab="models")
    return tag("div", parts, "strip", role="region", aria_label=text.STATUS_LABEL)


def _chip(row: WeightsStatus, labels: dict[str, str]) -> str:
    names = _joined([labels.get(model_id, model_id) for model_id in row.model_ids]) or row.weights
    placed = row.device == DEVICE
    state = text.STATE[str(row.state)]
    if row.elsewhere and row.state is State.RESIDENT:
        state = text.PLACED if placed else text.ANSWERS
    if row.retry_in:
        state = text.AGAIN_IN.format(state=state, seconds=row.retry_in)
    if row.leases:
        state = (text.LENT if placed else text.BUSY).format(count=row.leases)
    bar = ""
    if row.progress is not None:
        words = {"fetching": text.FETCHING, "waking": text.WAKING}.get(row.progress.stage, text.LOADING)
        state = f"{words}: {size(row.progress.done)}"
        if row.progress.total:
            state = text.BYTES.format(done=state, total=size(row.progress.total))
            bar = meter(row.progress.fraction, words)
    elif row.state in (State.RESIDENT, State.DRAINING) and row.bytes:
        state += f", {size(row.bytes)}"
    elif row.state is State.PARKED:
        state += f", {size(row.host)}"
    look = "busy" if row.leases else ("loading" if row.progress is not None else str(row.state))
    content = tag("b", esc(names)) + tag("span", esc(state)) + bar
    wrong = row.state in (State.FAILED, State.COLD) or (row.elsewhere and row.reason != text.ANSWERS)
    if row.reason and wrong:  # a failure is still told after the cool-down
        content += tag("em", esc(row.reason))
    return _pill(look, content, row.reason or None)


def _pill(look: str, content: str, hint: str | None = None) -> str:
    return tag("span", tag("i", "", "dot", aria_hidden="true") + content, f"chip {look}", data_state=look, title=hint)


def _joined(names: list[str]) -> str:
    """The names of aliases in short: what they begin with alike, and how they go on."""
    if len(names) < 2:
        return "".join(names)
    words = [name.split() for name in names]
    alike = 0
    while all(len(w) > alike + 1 for w in words) and len({w[alike] for w in words}) == 1:
        alike += 1
    if not alike:
        return ", ".join(names)
    rest = ", ".join(" ".join(w[alike:]) for w in words)
    return f"{' '.join(words[0][:alike]).rstrip(',')} ({rest})"


def device_line(device: DeviceStatus) -> str:
    """What a device holds, in a line."""
    form = text.DEVICE if device.budget is None else text.DEVICE_BUDGET
    return form.format(
        device=device.device,
        loaded=device.loaded,
        most=device.max_loaded,
        used=size(device.bytes),
        budget=size(device.budget or 0),
    )
