"""History: find, replay, compare and judge a visitor's own and published runs (the operator's: all)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import gradio as gr

from negotiation.agents.human import HUMAN
from negotiation.app.parley import Parley
from negotiation.runs.record import Run
from negotiation.scenario.model import SEATS, Seat
from ui.history import text
from ui.history.access import Access
from ui.history.replay import Pane, close, forked_agents, show_run, show_turn
from ui.history.run_pages import Filters, Listing, RunPages
from ui.history.steps import Steps
from ui.history.votes import Votes
from ui.kit import text as shared
from ui.kit.components import QUIET, Updates, script
from ui.kit.downloads import Kind, file_html
from ui.kit.errors import plainly
from ui.kit.templates import render
from ui.server.accounts import accounts_of, handle_of, payer_of
from ui.server.operator import caller_of
from ui.server.visitor import owner_of
from ui.sharing.subject import BLIND
from ui.widgets.spending import limit_of

Runs = tuple[str, ...]
"""The ids of the runs that a page replays: none, one, or two side by side."""


def build_history(parley: Parley, page: gr.Blocks, tab: gr.Tab) -> None:
    """Create the tab's content where it is called, and let a link to a replay open it."""
    History(parley).connect(tab)


class History:
    """Builds the tab where it is created and connects its parts."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._access = Access(parley)
        self.runs = gr.State(())
        self.opened = gr.State(False)  # the address has been read
        self.pages = RunPages(parley, self._access)
        self.address = gr.HTML(elem_classes="file", js_on_load=script("address") + script("go"))
        with gr.Column(visible=False, elem_id="replay", elem_classes="replay") as self.replay:
            with gr.Row(elem_classes="steps"):
                self.steps = Steps(self._access, parley.settings.pace)
                self.alone = gr.Button(text.ALONE, size="sm", min_width=120, scale=0, visible=False)
                self.hide = gr.Button(shared.CLOSE, size="sm", min_width=80, scale=0, elem_id="replay-close")
            self.votes = Votes(parley, self._access)
            with gr.Row(elem_classes="lanes", equal_height=False):
                accounts = accounts_of(parley)
                self.panes = [Pane(parley, number, self._access, accounts) for number in (1, 2)]

    # -- connections -------------------------------------------------------------------------------------------

    def connect(self, tab: gr.Tab) -> None:
        """Connect the parts; opening the page shows the runs that a link names."""
        pages, steps = self.pages, self.steps
        shown = [self.runs, steps.turn, pages.blind]
        listed = [self.runs, steps.turn, pages.listing, *pages.filters]
        panes = [part for pane in self.panes for part in pane.outputs]
        replayed = [self.runs, self.replay, steps.turn, self.alone, *self.votes.outputs, self.address, *panes]
        everything = [*replayed, *pages.outputs]
        restored = [self.opened, pages.blind, *replayed]
        opened = tab.select(self._opened, [self.runs, self.opened, pages.blind], restored, **QUIET)
        opened.success(None, js=script("arrive"), **QUIET).success(None, js=script("contribute"), **QUIET)
        pages.connect(tab, self.runs)
        picked = pages.table.click(self._picked, [self.runs, pages.listing, *pages.filters], everything, **QUIET)
        picked.success(None, js=script("replay"))
        pages.blind.input(self._show, shown, replayed, **QUIET)
        self.alone.click(self._alone, shown, replayed, **QUIET)
        self.hide.click(self._hide, None, [self.runs, self.replay, self.address, *steps.outputs], **QUIET)
        for choice, button in self.votes.choices.items():
            voted = button.click(self.votes.voter(choice, self._show), shown, replayed, **QUIET)
            voted.success(self._relisted, listed, pages.outputs, **QUIET)
        moving = [part for pane in self.panes for part in pane.moving]
        steps.turn.change(self._turned, shown, moving, trigger_mode="always_last", **QUIET)
        steps.connect(self.runs)
        for place, pane in enumerate(self.panes):
            self._connect_pane(place, pane, listed, everything)

    def _connect_pane(self, place: int, pane: Pane, listed: list[Any], everything: list[Any]) -> None:
        for kind, button in pane.saves.items():
            button.click(partial(self._save, place, kind), [self.runs], [self.pages.file], **QUIET)
        pane.publish.click(self._publisher(place), listed, everything, **QUIET)
        sure = [pane.delete, pane.sure, pane.keep]
        for button, really in ((pane.delete, True), (pane.keep, False)):
            button.click(partial(_ask_whether_sure, sure, really), None, sure, **QUIET)
        pane.sure.click(self._deleter(place), listed, everything, **QUIET)
        pane.contributing.connect(place, self.runs)
        for picker in pane.agents:
            chosen = [self.runs, self.pages.blind, *pane.agents]
            picker.input(self._pricer(place), chosen, pane.spending.outputs, trigger_mode="always_last", **QUIET)
        forked = [self.runs, self.steps.turn, pane.spending.limit, *pane.agents, pane.message]
        pane.go.click(self._forker(place), forked, [self.address], **QUIET)

    # -- what is replayed --------------------------------------------------------------------------------------

    def _opened(self, request: gr.Request, runs: Runs, opened: bool, blind: bool) -> Updates:
        """Show the runs that the address names, when the tab is first shown."""
        run_id = "" if opened else str(request.query_params.get("replay", ""))
        if not run_id:
            return {self.opened: True}
        beside = str(request.query_params.get("with", ""))
        try:
            runs = (run_id, beside) if beside else self._access.lanes(request, run_id)
            hides = {self.pages.blind: True} if BLIND in request.query_params else {}
            return {self.opened: True, **hides, **self._show(request, runs, None, blind or bool(hides))}
        except gr.Error as error:
            notice = render("notice", words=error.message)
            return {self.opened: True, self.replay: gr.update(visible=True), self.panes[0].head: notice}

    def _picked(self, request: gr.Request, event: gr.EventData, runs: Runs, listing: Listing, *filters: Any) -> Updates:
        """Show the run of the row that was pressed, or put it beside the one that is shown."""
        if run_id := getattr(event, "replay", None):
            runs = self._access.lanes(request, str(run_id))
        else:
            runs = (*runs[:1], str(getattr(event, "beside", "")))
        return self._everything(request, runs, None, listing, Filters(*filters))

    def _show(self, request: gr.Request, run_ids: Runs, turn: float | None, blind: bool) -> Updates:
        """Return the updates that show runs after a turn, or after the last."""
        runs = self._access.runs(run_ids)
        hidden = self._access.hides(request, runs, blind)
        address = render("history/address", runs=run_ids, hidden=hidden)
        if not runs:
            return {self.runs: run_ids, self.replay: gr.update(visible=False), self.address: address}
        turns = max(len(run.turns) for run in runs)
        turn = turns if turn is None else min(turns, int(turn))
        new: Updates = {
            self.runs: run_ids,
            self.replay: gr.update(visible=True),
            self.steps.turn: gr.update(maximum=max(1, turns), value=turn),
            self.alone: gr.update(visible=len(runs) > 1),
            self.address: address,
            **self.votes.show(request, runs, hidden=hidden),
        }
        account = handle_of(self._parley, request) is not None
        for place, pane in enumerate(self.panes):
            if place < len(runs):
                may_change = self._access.may_change(request, runs[place])
                new |= show_run(
                    self._parley, pane, runs[place], turn, may_change=may_change, hidden=hidden, account=account
                )
                new |= pane.contributing.show(request, runs[place])
                new |= self._costs(request, place, runs[place], {}, hidden=hidden)
            else:
                new |= close(pane)
        return new

    def _costs(
        self, request: gr.Request, place: int, run: Run, picked: Mapping[Seat, str | None], *, hidden: bool
    ) -> Updates:
        """Return the updates that say what playing on costs; only the limit if it is `hidden` who plays."""
        agents = forked_agents(run, {seat: picked.get(seat) for seat in SEATS})
        spending = self.panes[place].spending
        new = spending.show(request, run.scenario, [(agents["a"], agents["b"])])
        return {**new, spending.line: ""} if hidden else new

    def _pricer(self, place: int) -> Callable[..., Updates]:
        def price(request: gr.Request, runs: Runs, blind: bool, a: str | None, b: str | None) -> Updates:
            shown = self._access.runs(runs)
            run, hidden = self._access.run(runs, place), self._access.hides(request, shown, blind)
            return self._costs(request, place, run, {"a": a, "b": b}, hidden=hidden)

        return price

    def _everything(
        self, request: gr.Request, runs: Runs, turn: float | None, listing: Listing, filters: Filters
    ) -> Updates:
        """Return the updates that show runs, and the list with them marked."""
        shown = self._show(request, runs, turn, filters.blind)
        return {**shown, **self.pages.page(request, listing, runs, filters)}

    def _relisted(self, request: gr.Request, runs: Runs, turn: float, listing: Listing, *filters: Any) -> Updates:
        return self.pages.page(request, listing, runs, Filters(*filters))

    def _turned(self, request: gr.Request, run_ids: Runs, turn: float, blind: bool) -> Updates:
        runs = self._access.runs(run_ids)
        new: Updates = {self.panes[0].board: gr.skip()}
        hidden = self._access.hides(request, runs, blind)
        for pane, run in zip(self.panes, runs, strict=False):
            new |= show_turn(self._parley, pane, run, int(turn), hidden=hidden)
        return new

    def _alone(self, request: gr.Request, runs: Runs, turn: float, blind: bool) -> Updates:
        return self._show(request, runs[:1], turn, blind)

    def _hide(self) -> Updates:
        gone = {self.replay: gr.update(visible=False), self.address: render("history/address", runs=(), hidden=False)}
        return {self.runs: (), **gone, **self.steps.pause()}

    # -- what is done with a run -------------------------------------------------------------------------------

    def _publisher(self, place: int) -> Callable[..., Updates]:
        def publish(request: gr.Request, runs: Runs, turn: float, listing: Listing, *filters: Any) -> Updates:
            run = self._access.run(runs, place)
            with plainly():
                self._parley.store.publish(
                    run.run_id, published=not run.published, owner=self._access.changes_as(request)
                )
            return self._everything(request, runs, turn, listing, Filters(*filters))

        return publish

    def _deleter(self, place: int) -> Callable[..., Updates]:
        def delete(request: gr.Request, runs: Runs, turn: float, listing: Listing, *filters: Any) -> Updates:
            run = self._access.run(runs, place)
            with plainly():
                self._parley.live.delete(run.run_id, owner=self._access.changes_as(request))
            gr.Info(text.DELETED)
            left = tuple(run_id for run_id in runs if run_id != run.run_id)
            return self._everything(request, left, turn, listing, Filters(*filters))

        return delete

    def _save(self, place: int, kind: Kind, runs: Runs) -> str:
        return file_html([self._access.run(runs, place)], kind)

    def _forker(self, place: int) -> Callable[..., str]:
        def fork(
            request: gr.Request,
            runs: Runs,
            turn: float,
            limit: float | None,
            a: str | None,
            b: str | None,
            message: str,
        ) -> str:
            """Start a run from here, and go where it can be watched or played."""
            run = self._access.run(runs, place)
            turns = min(int(turn), len(run.turns))
            agents = forked_agents(run, {"a": a, "b": b})
            changed = message if turns and message != run.turns[turns - 1].message else None
            caller, payer = caller_of(self._parley, request), payer_of(self._parley, request, limit_of(limit))
            with plainly():
                new = self._parley.live.fork(
                    run.run_id, turns, agents, message=changed, owner=owner_of(request), caller=caller, payer=payer
                )
            played = HUMAN in (config.agent for config in agents.values())
            return render("history/go", key="play" if played else "run", run_id=new)

        return fork


def _ask_whether_sure(buttons: Sequence[gr.Button], really: bool) -> Updates:
    delete, sure, keep = buttons
    return {delete: gr.update(visible=not really), sure: gr.update(visible=really), keep: gr.update(visible=really)}
