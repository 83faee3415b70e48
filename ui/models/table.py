"""Draws the registry as a table: each model with the state of its weights and what it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from manager.config.model_spec import ModelSpec
from manager.placed import DEVICE
from manager.state import ANSWERS, State
from manager.status.snapshot import Snapshot, WeightsStatus
from negotiation.app.parley import Parley
from ui.drawing.model_strip import answering, device_line, look
from ui.kit import text as shared
from ui.kit.templates import render
from ui.kit.units import seconds, size
from ui.models import text
from ui.widgets.model_facts import model_facts, price_words


@dataclass(frozen=True)
class StateCell:
    """The state of a model's weights, in words; `fraction` is the progress of a load whose size is known."""

    look: str
    words: str
    stage: str = ""
    fraction: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class ModelRow:
    """One model of the table."""

    model_id: str
    label: str
    state: StateCell
    facts: tuple[str, ...]  # the columns after the state


def models_html(specs: Sequence[ModelSpec], snapshot: Snapshot, needs: Mapping[str, str]) -> Markup:
    """Draw the table; `needs` holds what each model needs, by id."""
    if not specs:
        return render("empty", words=shared.STATUS_NONE)
    return render(
        "models/table",
        label=shared.MODELS,
        columns=text.COLUMNS,
        rows=[_row(spec, snapshot.of(spec.model_id), needs[spec.model_id]) for spec in specs],
        devices=[device_line(device) for device in snapshot.devices],
    )


def needs(parley: Parley, spec: ModelSpec) -> str:
    """Return what a model needs before it can be used, or why it cannot be used here now."""
    availability = parley.availability.of(spec)
    if availability.reason:
        return text.UNUSABLE.format(reason=availability.reason)
    if spec.type == "openai":
        server = text.NEEDS_SERVER.format(address=spec.base_url)
        return " · ".join(filter(None, (server, price_words(spec.price))))
    if spec.type == "fake":
        return text.NEEDS_NOTHING
    if parley.catalog.zero_gpu:
        return text.NEEDS_GPU_TIME
    return ", ".join(model_facts(parley, spec.model_copy(update={"license": ""})))


def _row(spec: ModelSpec, row: WeightsStatus | None, needs: str) -> ModelRow:
    state = StateCell(str(State.COLD), shared.STATE[str(State.COLD)]) if row is None else _state(row)
    facts = (spec.size or text.NOT_GIVEN, _memory(row), spec.license or text.NOT_GIVEN, needs)
    return ModelRow(spec.model_id, spec.label or spec.model_id, state, facts)


def _state(row: WeightsStatus) -> StateCell:
    shown, words, stage, fraction = look(row), shared.STATE[str(row.state)], "", 0.0
    placed = row.device == DEVICE
    if row.remote and row.state is State.RESIDENT:
        words = answering(row)
    if placed and row.state is State.RESIDENT:
        words = shared.PLACED
    if row.leases:
        shown, words = "busy", (shared.ON_GPU if placed else shared.BUSY).format(count=row.leases)
    if row.progress is not None:
        stage = {"fetching": shared.FETCHING, "waking": shared.WAKING}.get(row.progress.stage, shared.LOADING)
        shown, words, fraction = "loading", stage, row.progress.fraction
    if row.pinned:
        words += f" · {text.PINNED}"
    if row.waiting:
        words += f" · {text.WAITING.format(count=row.waiting)}"
    wrong = row.state in (State.FAILED, State.COLD) or (row.remote and row.reason != ANSWERS)
    if row.state is State.FAILED and row.answered is not None:
        words += f" · {shared.ANSWERED.format(ago=seconds(row.answered))}"
    return StateCell(shown, words, stage, fraction, row.reason if wrong else "")


def _memory(row: WeightsStatus | None) -> str:
    if row is None:
        return text.UNKNOWN
    if row.device == DEVICE:
        return text.ON_DEVICE.format(size=size(row.need or 0), device=DEVICE)
    if row.remote:
        return text.REMOTE
    if row.bytes:
        return text.ON_DEVICE.format(size=size(row.bytes), device=row.device)
    if row.host:
        return text.IN_HOST.format(size=size(row.host))
    return text.WILL_NEED.format(size=size(row.need)) if row.need else text.UNKNOWN
