"""The list of runs, page by page, with its filters and a file of everything that they find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import gradio as gr

from negotiation.agents.human import HUMAN, PROGRAM
from negotiation.app.parley import Parley
from negotiation.runs.record import Status
from negotiation.runs.store import RunFilter, RunSummary
from ui.drawing.run_list import runs_html
from ui.history import text
from ui.history.access import Access
from ui.kit import text as shared
from ui.kit.components import QUIET, Updates, script
from ui.kit.downloads import MOST_RUNS, Kind, file_html
from ui.kit.errors import plainly
from ui.kit.templates import render
from ui.server.visitor import owner_of
from ui.widgets.agent_picker import labels
from ui.widgets.memory import Memory

PAGE_RUNS = 25


@dataclass(frozen=True)
class Listing:
    """Where a visitor is in the list."""

    ends: tuple[RunSummary, ...] = ()  # the last run of each page before this one
    last: RunSummary | None = None  # the last run of this page, if there are older ones


@dataclass(frozen=True)
class Filters:
    """What the filters say, in the order of their components. Empty means all."""

    text: str
    scenario: str
    agent: str
    status: Status | Literal[""]
    own: bool
    blind: bool

    @property
    def given(self) -> bool:
        """Return whether any run may be left out."""
        return bool(self.text or self.scenario or self.agent or self.status or self.own)


class RunPages:
    """Builds its components where it is created."""

    def __init__(self, parley: Parley, access: Access) -> None:
        self._parley = parley
        self._access = access
        self.listing = gr.State(Listing())
        self.settled = gr.State(False)  # the visitor set a filter, so the browser's memory no longer matters
        self.memory = Memory("parley-history")
        scenarios = [(scenario.title, scenario.scenario_id) for scenario in parley.scenarios.values()]
        listed = {choice.agent: choice.label for choice in parley.catalog.choices()}
        agents = [(label, agent) for agent, label in (listed | {HUMAN: text.PERSON, PROGRAM: shared.PROGRAM}).items()]
        statuses = [(text.STATUSES[status], status) for status in get_args(Status)]
        everything = (text.ALL, "")
        if parley.settings.forgets:
            gr.HTML(render("note", words=text.FORGETS), elem_id="history-forgets", js_on_load=None)
        with gr.Row(elem_classes="filters"):
            self.text = gr.Textbox(
                label=text.SEARCH, placeholder=text.SEARCH_HINT, elem_id="history-search", min_width=180
            )
            self.scenario = gr.Dropdown([everything, *scenarios], value="", label=shared.SCENARIO, min_width=150)
            self.agent = gr.Dropdown([everything, *agents], value="", label=text.AGENT_FILTER, min_width=150)
            self.status = gr.Dropdown([everything, *statuses], value="", label=text.STATUS_FILTER, min_width=120)
            with gr.Column(min_width=170, elem_classes="checks"):
                self.own = gr.Checkbox(False, label=text.ONLY_OWN, elem_id="history-own")
                self.blind = gr.Checkbox(False, label=text.BLIND, elem_id="history-blind")
        self.table = gr.HTML(
            render("empty", words=text.EMPTY), elem_id="history-table", js_on_load=script("send") + script("times")
        )
        with gr.Row(elem_classes="pager"):
            small: dict[str, Any] = {"size": "sm", "min_width": 90, "scale": 0}
            self.newer = gr.Button(text.NEWER, interactive=False, elem_id="history-newer", **small)
            self.older = gr.Button(text.OLDER, interactive=False, elem_id="history-older", **small)
            self.refresh = gr.Button(text.REFRESH, elem_id="history-refresh", **small)
            self.place = gr.HTML(elem_classes="place", js_on_load=None)
            self.saves = {
                kind: gr.Button(text.SAVE_ALL[kind], elem_id=f"history-{kind}", **small) for kind in get_args(Kind)
            }
        self.file = gr.HTML(elem_classes="file", js_on_load=script("download"))

    @property
    def filters(self) -> list[Any]:
        """The components with the values of `Filters`."""
        return [self.text, self.scenario, self.agent, self.status, self.own, self.blind]

    @property
    def outputs(self) -> list[Any]:
        """The components that `page` updates."""
        return [self.listing, self.table, self.newer, self.older, self.place]

    def connect(self, tab: gr.Tab, runs: gr.State) -> None:
        """Connect the parts; `runs` holds the ids of the runs that are replayed."""
        asked = [self.listing, runs, *self.filters]
        restored = [self.settled, *self.filters]
        tab.select(self._remembered, [self.settled, self.memory.stored], restored, js=self.memory.read, **QUIET)
        gr.on([tab.select, self.refresh.click], self._again, asked, self.outputs, **QUIET)
        for part in self.filters:
            changed = part.change(self._first, asked, self.outputs, trigger_mode="always_last", **QUIET)
            changed.success(self._remember, self.filters, [self.settled, self.memory.stored], **QUIET)
        self.newer.click(self._newer, asked, self.outputs, **QUIET)
        self.older.click(self._older, asked, self.outputs, **QUIET)
        for kind, button in self.saves.items():
            button.click(self._saver(kind), self.filters, [self.file], **QUIET)

    def page(self, request: gr.Request, listing: Listing, runs: Sequence[str], filters: Filters) -> Updates:
        """Return the updates that show the page of the list after `listing.ends`, with `runs` marked."""
        before = listing.ends[-1] if listing.ends else None
        found = self._found(request, filters, before, PAGE_RUNS + 1)
        more, found = len(found) > PAGE_RUNS, found[:PAGE_RUNS]
        number = text.PAGE.format(number=len(listing.ends) + 1)
        return {
            self.listing: Listing(listing.ends, found[-1] if more else None),
            self.table: self._table(request, listing, found, runs, filters),
            self.newer: gr.update(interactive=bool(listing.ends)),
            self.older: gr.update(interactive=more),
            self.place: render("history/place", words=number if listing.ends or more else ""),
        }

    def _again(self, request: gr.Request, listing: Listing, runs: Sequence[str], *filters: Any) -> Updates:
        return self.page(request, listing, runs, Filters(*filters))

    def _first(self, request: gr.Request, listing: Listing, runs: Sequence[str], *filters: Any) -> Updates:
        return self.page(request, Listing(), runs, Filters(*filters))

    def _newer(self, request: gr.Request, listing: Listing, runs: Sequence[str], *filters: Any) -> Updates:
        return self.page(request, Listing(listing.ends[:-1]), runs, Filters(*filters))

    def _older(self, request: gr.Request, listing: Listing, runs: Sequence[str], *filters: Any) -> Updates:
        ends = listing.ends if listing.last is None else (*listing.ends, listing.last)
        return self.page(request, Listing(ends), runs, Filters(*filters))

    def _table(
        self, request: gr.Request, listing: Listing, found: list[RunSummary], runs: Sequence[str], filters: Filters
    ) -> str:
        if not found and not filters.given and not listing.ends:
            return render("empty", words=text.EMPTY)
        hidden: set[str] = set()
        if filters.blind:
            hidden = {run.comparison for run in found if run.comparison} - self._access.voted(request)
        return runs_html(found, labels(self._parley) | {HUMAN: text.PERSON}, hidden, runs)

    def _found(self, request: gr.Request, filters: Filters, before: RunSummary | None, limit: int) -> list[RunSummary]:
        visitor = owner_of(request)
        if visitor is None:
            return []
        everything = self._access.sees_all(request) and not filters.own
        wanted = RunFilter(
            visible_to=None if everything else visitor,
            own=bool(filters.own),
            scenario_id=filters.scenario or None,
            agent=filters.agent or None,
            status=filters.status or None,
            text=filters.text or "",
            before=before,
        )
        with plainly():
            return self._parley.store.summaries(wanted, limit)

    def _remember(self, *filters: Any) -> Updates:
        return {self.settled: True, self.memory.stored: Memory.packed(filters)}

    def _remembered(self, settled: bool, stored: object) -> Updates:
        """Restore the filters that the browser remembers, as far as their values still exist."""
        memory = Memory.unpacked(stored)
        if settled or not isinstance(memory, list) or len(memory) != len(self.filters):
            return {self.settled: gr.skip()}
        listed = (self.scenario, self.agent, self.status)
        restored: Updates = {self.settled: True}
        for part, value in zip(self.filters, memory, strict=True):
            known = part not in listed or value in (choice for _, choice in part.choices)
            restored[part] = value if known else ""
        return restored

    def _saver(self, kind: Kind) -> Callable[..., str]:
        def save(request: gr.Request, *filters: Any) -> str:
            found = self._found(request, Filters(*filters), None, MOST_RUNS + 1)
            if not found:
                raise gr.Error(text.SAVE_NOTHING, print_exception=False)
            if len(found) > MOST_RUNS:
                gr.Warning(text.SAVE_CUT.format(count=MOST_RUNS))
            return file_html(self._access.runs(run.run_id for run in found[:MOST_RUNS]), kind)

        return save
