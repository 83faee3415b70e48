"""The Models tab: the registered models and their state, recent loads and waits, and the operator's controls."""

from __future__ import annotations

from typing import Any

import gradio as gr

from manager.config.model_spec import ModelSpec
from manager.status.snapshot import Snapshot
from negotiation.app.parley import Parley
from ui.drawing.timeline import timeline_html
from ui.kit import text as shared
from ui.kit.components import QUIET, Updates, script
from ui.kit.templates import render
from ui.models import text
from ui.models.operator_actions import OperatorActions
from ui.models.table import models_html, needs
from ui.server import text as server_text
from ui.server.operator import operators_of
from ui.server.visitor import address_of, visitor_of
from ui.widgets.agent_picker import labels


def build_models(parley: Parley, page: gr.Blocks, tab: gr.Tab) -> None:
    """Create the tab's content where it is called."""
    ModelsTab(parley).connect(tab)


class ModelsTab:
    """Builds the tab where it is created and connects its parts."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._operators = operators_of(parley)
        self._actions = OperatorActions(parley)
        self.version = gr.State(-1)  # of the snapshot that is shown
        if parley.catalog.zero_gpu:
            gr.HTML(render("note", words=shared.GPU_TIME_ABOUT), js_on_load=None)
        self.table = gr.HTML(self._table(parley.manager.snapshot()), elem_id="models-table", js_on_load=script("tick"))
        gr.HTML(render("heading", words=shared.TIMELINE), js_on_load=None)
        self.timeline = gr.HTML(elem_id="models-timeline", js_on_load=script("folds"))
        with gr.Column(elem_classes="operator", elem_id="operator"):
            about = render("models/operator", title=text.OPERATOR, about=text.OPERATOR_ABOUT)
            gr.HTML(about, js_on_load=None)
            possible = self._operators.possible
            with gr.Row(visible=possible) as self.sign_in:
                self.password = gr.Textbox(
                    label=text.PASSWORD, type="password", max_lines=1, elem_id="operator-password", min_width=200
                )
                self.enter = gr.Button(text.SIGN_IN, scale=0, min_width=110, elem_id="operator-enter")
            gr.HTML(render("empty", words=server_text.OPERATOR_NONE), visible=not possible, js_on_load=None)
            with gr.Column(visible=False) as self.controls:
                self._build_controls()

    def _build_controls(self) -> None:
        small: dict[str, Any] = {"scale": 0, "min_width": 90}
        with gr.Row():
            self.model = gr.Dropdown(self._ids(), label=text.MODEL, elem_id="operator-model", min_width=220)
            self.load = gr.Button(text.LOAD, variant="primary", elem_id="operator-load", **small)
            self.unload = gr.Button(text.UNLOAD, elem_id="operator-unload", **small)
            self.pin = gr.Button(text.PIN, elem_id="operator-pin", **small)
            self.unpin = gr.Button(text.UNPIN, elem_id="operator-unpin", **small)
            self.leave = gr.Button(text.SIGN_OUT, elem_id="operator-leave", scale=0, min_width=120)
        with gr.Row():
            self.name = gr.Textbox(
                label=text.HUB_ID, placeholder="Qwen/Qwen3-0.6B", max_length=200, elem_id="operator-name", min_width=200
            )
            self.label = gr.Textbox(label=text.LABEL, max_length=80, min_width=160)
            self.file = gr.Textbox(label=text.GGUF_FILE, placeholder=text.GGUF_HINT, max_length=200, min_width=160)
            self.add = gr.Button(text.ADD, elem_id="operator-add", **small)

    def connect(self, tab: gr.Tab) -> None:
        """Connect the parts."""
        live = [self.table, self.timeline, self.version]
        rights = [self.sign_in, self.controls, self.model]
        tab.select(lambda: self._look(-1), None, live, **QUIET)
        tab.select(self._rights, None, rights, **QUIET)
        self.table.tick(self._look, [self.version], live, queue=False, **QUIET)
        for event in (self.enter.click, self.password.submit):
            event(self._enter, [self.password], [self.password, *rights], **QUIET)
        self.leave.click(self._leave, None, [self.password, *rights], **QUIET)
        actions = self._actions
        buttons = (self.load, self.unload, self.pin, self.unpin)
        for button, act in zip(buttons, (actions.load, actions.unload, actions.pin, actions.unpin), strict=True):
            button.click(act, [self.model], None, **QUIET)
        given = [self.name, self.label, self.file]
        self.add.click(self._add, given, [*given, self.model], **QUIET)

    # -- what is shown -----------------------------------------------------------------------------------------

    def _look(self, seen: int) -> Updates:
        """Return updates if anything changed since version `seen`, or if a time on display still grows."""
        snapshot = self._parley.manager.snapshot()
        growing = any(entry.ended is None for entry in snapshot.timeline)
        growing |= any(row.answered is not None for row in snapshot.weights)
        if snapshot.version == seen and not growing:
            return {self.version: gr.skip()}
        return {
            self.table: self._table(snapshot),
            self.timeline: timeline_html(snapshot.timeline, snapshot.at, labels(self._parley)),
            self.version: snapshot.version,
        }

    def _table(self, snapshot: Snapshot) -> str:
        specs = self._specs()
        return models_html(specs, snapshot, {spec.model_id: needs(self._parley, spec) for spec in specs})

    def _specs(self) -> list[ModelSpec]:
        manager = self._parley.manager
        return [manager.spec(model_id) for model_id in manager.list_models()]

    def _ids(self) -> list[tuple[str, str]]:
        return [(spec.label or spec.model_id, spec.model_id) for spec in self._specs()]

    def _rights(self, request: gr.Request) -> Updates:
        signed_in = self._operators.is_operator(request)
        return {
            self.sign_in: gr.update(visible=self._operators.possible and not signed_in),
            self.controls: gr.update(visible=signed_in),
            self.model: gr.update(choices=self._ids()),
        }

    # -- what only the operator may do -------------------------------------------------------------------------

    def _enter(self, request: gr.Request, password: str) -> Updates:
        if refused := self._operators.sign_in(visitor_of(request), address_of(request), password):
            raise gr.Error(refused, print_exception=False)
        return {self.password: "", **self._rights(request)}

    def _leave(self, request: gr.Request) -> Updates:
        self._operators.sign_out(visitor_of(request))
        return {self.password: "", **self._rights(request)}

    def _add(self, request: gr.Request, name: str, label: str, file: str) -> Updates:
        added = self._actions.add(request, name, label, file)
        return {self.name: "", self.label: "", self.file: "", self.model: gr.update(choices=self._ids(), value=added)}
