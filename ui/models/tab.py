"""Models: what is registered and what becomes of it, what the manager did of late, and the operator's buttons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from manager.config.registry import ModelSpec
from manager.placed import DEVICE
from manager.status.snapshot import Snapshot, WeightsStatus
from negotiation.app.parley import Parley
from ui.drawing.model_strip import device_line
from ui.drawing.timeline import timeline_html
from ui.kit import text
from ui.kit.html import QUIET, esc, meter, script, size, tag
from ui.models.operator_actions import Desk
from ui.server.operator import operators_of
from ui.server.visitor import address_of, visitor_of
from ui.widgets.agent_picker import labels, needed

TICK_SECONDS = 1.0


def build_models(parley: Parley, page: gr.Blocks, tab: gr.Tab) -> None:
    """Create the tab's content where it is called."""
    Models(parley).connect(tab)


class Models:
    """Builds the tab where it is created and connects its parts."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._operators = operators_of(parley)
        self._desk = Desk(parley)
        self.version = gr.State(-1)
        self.table = gr.HTML(self._table(parley.manager.snapshot()), elem_id="models-table", js_on_load=None)
        gr.HTML(tag("h3", esc(text.TIMELINE)), js_on_load=None)
        self.timeline = gr.HTML(elem_id="models-timeline", js_on_load=script("folds"))
        self.timer = gr.Timer(TICK_SECONDS)
        with gr.Column(elem_classes="operator", elem_id="operator"):
            gr.HTML(tag("h3", esc(text.OPERATOR)) + tag("p", esc(text.OPERATOR_ABOUT), "note"), js_on_load=None)
            possible = self._operators.possible
            with gr.Row(visible=possible) as self.door:
                self.password = gr.Textbox(
                    label=text.PASSWORD, type="password", max_lines=1, elem_id="operator-password", min_width=200
                )
                self.enter = gr.Button(text.SIGN_IN, scale=0, min_width=110, elem_id="operator-enter")
            gr.HTML(tag("p", esc(text.OPERATOR_NONE), "empty"), visible=not possible, js_on_load=None)
            with gr.Column(visible=False) as self.desk:
                self._build_desk()

    def _build_desk(self) -> None:
        """What the operator can do."""
        small: dict[str, Any] = {"scale": 0, "min_width": 90}
        with gr.Row(elem_classes="desk"):
            self.model = gr.Dropdown(self._ids(), label=text.MODEL, elem_id="operator-model", min_width=220)
            self.load = gr.Button(text.LOAD, variant="primary", elem_id="operator-load", **small)
            self.unload = gr.Button(text.UNLOAD, elem_id="operator-unload", **small)
            self.pin = gr.Button(text.PIN, elem_id="operator-pin", **small)
            self.unpin = gr.Button(text.UNPIN, elem_id="operator-unpin", **small)
            self.leave = gr.Button(text.SIGN_OUT, elem_id="operator-leave", **small)
        with gr.Row(elem_classes="desk"):
            self.name = gr.Textbox(
                label=text.HUB_ID, placeholder="Qwen/Qwen3-0.6B", max_length=200, elem_id="operator-name", min_width=200
            )
            self.label = gr.Textbox(label=text.MODEL_LABEL, max_length=80, min_width=160)
            self.file = gr.Textbox(label=text.GGUF_FILE, placeholder=text.GGUF_HINT, max_length=200, min_width=160)
            self.add = gr.Button(text.ADD, elem_id="operator-add", **small)

    def connect(self, tab: gr.Tab) -> None:
        """Connect the parts."""
        live = [self.table, self.timeline, self.version]
        tab.select(lambda: self._look(-1), None, live, **QUIET)
        tab.select(self._rights, None, [self.door, self.desk, self.model], **QUIET)
        self.timer.tick(self._look, [self.version], live, queue=False, **QUIET)
        doors = [self.password, self.door, self.desk, self.model]
        for event in (self.enter.click, self.password.submit):
            event(self._enter, [self.password], doors, **QUIET)
        self.leave.click(self._leave, None, doors, **QUIET)
        desk = self._desk
        deeds = [(self.load, desk.load), (self.unload, desk.unload), (self.pin, desk.pin), (self.unpin, desk.unpin)]
        for button, deed in deeds:
            button.click(deed, [self.model], None, **QUIET)
        added = [self.name, self.label, self.file, self.model]
        self.add.click(self._add, [self.name, self.label, self.file], added, **QUIET)

    # -- what is shown -----------------------------------------------------------------------------------------

    def _look(self, seen: int) -> Any:
        snapshot = self._parley.manager.snapshot()
        moving = any(entry.ended is None for entry in snapshot.timeline)
        if snapshot.version == seen and not moving:
            return gr.skip(), gr.skip(), gr.skip()
        names = labels(self._parley)
        return (
            self._table(snapshot),
            timeline_html(snapshot.timeline, snapshot.at, names),
            snapshot.version,
        )

    def _table(self, snapshot: Snapshot) -> str:
        specs = self._specs()
        return models_html(specs, snapshot, {spec.model_id: needs(self._parley, spec) for spec in specs})

    def _specs(self) -> list[ModelSpec]:
        manager = self._parley.manager
        return [manager.spec(model_id) for model_id in manager.list_models()]

    def _ids(self) -> list[tuple[str, str]]:
        return [(spec.label or spec.model_id, spec.model_id) for spec in self._specs()]

    def _rights(self, request: gr.Request) -> dict[Any, Any]:
        inside = self._operators.is_operator(request)
        return {
            self.door: gr.update(visible=self._operators.possible and not inside),
            self.desk: gr.update(visible=inside),
            self.model: gr.update(choices=self._ids()),
        }

    # -- what only the operator may do -------------------------------------------------------------------------

    def _enter(self, request: gr.Request, password: str) -> dict[Any, Any]:
        if refused := self._operators.sign_in(visitor_of(request), address_of(request), password):
            raise gr.Error(refused, print_exception=False)
        return {self.password: "", **self._rights(request)}

    def _leave(self, request: gr.Request) -> dict[Any, Any]:
        self._operators.sign_out(visitor_of(request))
        return {self.password: "", **self._rights(request)}

    def _add(self, request: gr.Request, name: str, label: str, file: str) -> dict[Any, Any]:
        added = self._desk.add(request, name, label, file)
        return {self.name: "", self.label: "", self.file: "", self.model: gr.update(choices=self._ids(), value=added)}


# -- the table -------------------------------------------------------------------------------------------------


def models_html(specs: list[ModelSpec], snapshot: Snapshot, needs: Mapping[str, str]) -> str:
    """The registry with the state of each model's weights; `needs` says what each model needs."""
    if not specs:
        return tag("p", esc(text.STATUS_NONE), "empty")
    head = "".join(tag("th", esc(name), scope="col") for name in text.MODEL_COLUMNS)
    body = "".join(_row(spec, snapshot.of(spec.model_id), needs[spec.model_id]) for spec in specs)
    table = tag("table", tag("thead", tag("tr", head)) + tag("tbody", body), "history models")
    devices = "".join(tag("span", esc(device_line(device))) for device in snapshot.devices)
    shown = tag("div", table, "scroll", tabindex=0, role="region", aria_label=text.MODELS)
    return shown + tag("p", devices, "note devices-line")


def _row(spec: ModelSpec, row: WeightsStatus | None, needs: str) -> str:
    cells = [
        tag("b", esc(spec.label or spec.model_id)) + tag("small", esc(spec.model_id)),
        _state(row),
        esc(spec.size or text.NOTHING_SAID),
        esc(_memory(row)),
        esc(spec.license or text.NOTHING_SAID),
        esc(needs),
    ]
    names = text.MODEL_COLUMNS
    return tag(
        "tr",
        "".join(tag("td", cell, data_name=name) for name, cell in zip(names, cells, strict=True)),
        data_model=spec.model_id,
    )


def _state(row: WeightsStatus | None) -> str:
    state = str(row.state) if row else "cold"
    placed = row is not None and row.device == DEVICE
    words = text.PLACED if placed and state == "resident" else text.STATE[state]
    extra = ""
    if row is not None:
        if row.leases:
            state, words = "busy", (text.LENT if placed else text.BUSY).format(count=row.leases)
        if row.progress is not None:
            state, words = (
                "loading",
                {"fetching": text.FETCHING, "waking": text.WAKING}.get(row.progress.stage, text.LOADING),
            )
            extra += meter(row.progress.fraction, words)
        if row.pinned:
            words += f" · {text.PINNED}"
        if row.waiting:
            words += f" · {text.WAITING_COUNT.format(count=row.waiting)}"
        if row.reason and str(row.state) in ("failed", "cold"):
            extra += tag("small", esc(row.reason))
    mark = tag("i", "", "dot", aria_hidden="true")
    return tag("span", mark + tag("span", esc(words)), f"chip {state}", data_state=state) + extra


def _memory(row: WeightsStatus | None) -> str:
    if row is None:
        return text.UNKNOWN
    if row.device == DEVICE:
        return text.ON_DEVICE.format(size=size(row.need or 0), device=DEVICE)
    if row.remote:
        return text.ELSEWHERE
    if row.bytes:
        return text.ON_DEVICE.format(size=size(row.bytes), device=row.device)
    if row.host:
        return text.IN_HOST.format(size=size(row.host))
    return text.WILL_NEED.format(size=size(row.need)) if row.need else text.UNKNOWN


def needs(parley: Parley, spec: ModelSpec) -> str:
    """What a model needs before it can be used, or why it is not offered."""
    if spec.type == "openai":
        return text.NEEDS_SERVER
    if spec.type == "fake":
        return text.NEEDS_NOTHING
    if reason := parley.catalog.misfit(spec):
        return text.MISFIT.format(reason=reason)
    if parley.catalog.zero_gpu and spec.type == "huggingface":
        return text.NEEDS_LENT
    return needed(parley, spec) or text.NEEDS_DOWNLOAD
