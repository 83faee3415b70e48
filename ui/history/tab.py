"""History: a visitor's own and published runs (the operator's: all), to be found, replayed, compared and judged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, get_args

import gradio as gr

from negotiation.agents.human import HUMAN
from negotiation.app.parley import Parley
from negotiation.runs.record import Run, Status
from negotiation.runs.store import RunFilter, RunSummary, Vote
from ui.drawing.run_list import runs_html
from ui.history.replay import Pane, build_pane, close, forked_agents, show_run, show_turn
from ui.kit import text
from ui.kit.downloads import MOST_RUNS, Kind, file_html
from ui.kit.errors import plainly
from ui.kit.html import QUIET, esc, script, tag
from ui.server.operator import caller_of, operators_of
from ui.server.visitor import owner_of
from ui.widgets.agent_picker import labels

PAGE_RUNS = 25
STEP_SECONDS = 1.5

Shown = dict[str, Any]
"""What an open page shows: `runs` (at most two ids), `pages` (the last run of each page before), `last` and the `turn`;
whether it is `playing`, the filters are `settled`, and the address was read (`opened`)."""


def build_history(parley: Parley, page: gr.Blocks, tab: gr.Tab) -> None:
    """Create the tab's content where it is called, and let a link to a replay open it."""
    History(parley).connect(page, tab)


class History:
    """Builds the tab where it is created and connects its parts."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._operators = operators_of(parley)
        self.shown = gr.State({"runs": [], "pages": [], "last": None})
        self.memory = gr.BrowserState(None, storage_key="parley-history", secret="parley")
        scenarios = [(scenario.title, scenario.scenario_id) for scenario in parley.scenarios.values()]
        agents = [(label, agent) for agent, label in (labels(parley) | {HUMAN: text.PERSON}).items()]
        statuses = [(text.STATUSES[status], status) for status in get_args(Status)]
        if parley.settings.forgets:
            gr.HTML(tag("p", esc(text.FORGETS), "note"), elem_id="history-forgets", js_on_load=None)
        with gr.Row(elem_classes="filters"):
            self.text = gr.Textbox(
                label=text.SEARCH, placeholder=text.SEARCH_HINT, elem_id="history-search", min_width=180
            )
            self.scenario = gr.Dropdown([(text.ALL, ""), *scenarios], value="", label=text.SCENARIO, min_width=150)
            self.agent = gr.Dropdown([(text.ALL, ""), *agents], value="", label=text.AGENT_FILTER, min_width=150)
            self.status = gr.Dropdown([(text.ALL, ""), *statuses], value="", label=text.STATUS_FILTER, min_width=120)
            with gr.Column(min_width=170, elem_classes="checks"):
                self.own = gr.Checkbox(False, label=text.ONLY_OWN, elem_id="history-own")
                self.blind = gr.Checkbox(False, label=text.BLIND, elem_id="history-blind")
        self.table = gr.HTML(
            tag("p", esc(text.HISTORY_EMPTY), "empty"),
            elem_id="history-table",
            js_on_load=script("send") + script("times"),
        )
        with gr.Row(elem_classes="pager"):
            small: dict[str, Any] = {"size": "sm", "min_width": 90, "scale": 0}
            self.newer = gr.Button(text.NEWER, interactive=False, elem_id="history-newer", **small)
            self.older = gr.Button(text.OLDER, interactive=False, elem_id="history-older", **small)
            self.refresh = gr.Button(text.REFRESH, elem_id="history-refresh", **small)
            self.place = gr.HTML(elem_classes="place", js_on_load=None)
            self.jsonl = gr.Button(text.SAVE_ALL_JSONL, elem_id="history-jsonl", **small)
            self.csv = gr.Button(text.SAVE_ALL_CSV, elem_id="history-csv", **small)
        self.file = gr.HTML(elem_classes="file", js_on_load=script("download"))
        self.address = gr.HTML(elem_classes="file", js_on_load=script("address") + script("go"))
        with gr.Column(visible=False, elem_id="replay", elem_classes="replay") as self.replay:
            with gr.Row(elem_classes="steps"):
                self.back = gr.Button("◀", size="sm", min_width=44, scale=0, elem_id="replay-back")
                self.play = gr.Button(text.PLAY_STEPS, size="sm", min_width=80, scale=0, elem_id="replay-play")
                self.on = gr.Button("▶", size="sm", min_width=44, scale=0, elem_id="replay-on")
                self.turn = gr.Slider(0, 1, 0, step=1, label=text.TURN, elem_id="replay-turn", min_width=200)
                self.alone = gr.Button(text.ALONE, size="sm", min_width=120, scale=0, visible=False)
                self.hide = gr.Button(text.CLOSE, size="sm", min_width=80, scale=0, elem_id="replay-close")
            with gr.Row(visible=False, elem_classes="votes") as self.votes:
                self.asked = gr.HTML(elem_id="replay-votes", js_on_load=None)
                self.choices = {
                    choice: gr.Button(words, size="sm", min_width=90, scale=0, elem_id=f"replay-vote-{choice}")
                    for choice, words in text.VOTES.items()
                }
            with gr.Row(elem_classes="lanes", equal_height=False):
                self.panes = [build_pane(number) for number in (1, 2)]
        self.timer = gr.Timer(STEP_SECONDS, active=False)

    # -- connections -------------------------------------------------------------------------------------------

    def connect(self, page: gr.Blocks, tab: gr.Tab) -> None:
        """Connect the parts; opening the page shows the runs that a link names."""
        asked = [self.shown, *self._filters]
        listed = [self.table, self.newer, self.older, self.place]
        replayed = [self.replay, self.turn, self.alone, self.votes, self.asked, self.address, *self._panes]
        everything = list(dict.fromkeys([*replayed, *listed]))
        tab.select(self._opened, [self.shown, self.blind], replayed, **QUIET)
        self.memory.change(self._remembered, [self.shown, self.memory], self._filters, **QUIET)
        gr.on([tab.select, self.refresh.click], self._again, asked, listed, **QUIET)
        for part in self._filters:
            changed = part.change(self._first, asked, listed, trigger_mode="always_last", **QUIET)
            changed.success(self._remember, asked, [self.memory], **QUIET)
        self.newer.click(self._newer, asked, listed, **QUIET)
        self.older.click(self._older, asked, listed, **QUIET)
        self.table.click(self._picked, asked, everything, **QUIET).success(None, js=script("replay"))
        kinds: list[tuple[Kind, Any]] = [("jsonl", self.jsonl), ("csv", self.csv)]
        for kind, button in kinds:
            button.click(self._saver(kind), asked, [self.file], **QUIET)
        self.blind.input(self._show, [self.shown, self.blind], replayed, **QUIET)
        self.alone.click(self._alone, [self.shown, self.blind], replayed, **QUIET)
        self.hide.click(self._hide, [self.shown], [self.replay, self.address, self.timer, self.play], **QUIET)
        for choice, button in self.choices.items():
            voted = button.click(self._voter(choice), [self.shown, self.blind], replayed, **QUIET)
            voted.success(self._again, asked, listed, **QUIET)
        self._connect_steps()
        for place, pane in enumerate(self.panes):
            self._connect_pane(place, pane, everything, asked)

    def _connect_steps(self) -> None:
        moving = [part for pane in self.panes for part in pane.moving]
        self.turn.change(self._turned, [self.shown, self.turn, self.blind], moving, trigger_mode="always_last", **QUIET)
        for button, step in ((self.back, -1), (self.on, 1)):
            button.click(partial(self._step, step), [self.shown, self.turn], [self.turn], **QUIET)
        steps = [self.turn, self.timer, self.play]
        self.play.click(self._play, [self.shown, self.turn], steps, **QUIET)
        self.timer.tick(self._tick, [self.shown, self.turn], steps, **QUIET)

    def _connect_pane(self, place: int, pane: Pane, everything: list[Any], asked: list[Any]) -> None:
        kinds: list[tuple[Kind, Any]] = [("jsonl", pane.jsonl), ("csv", pane.csv)]
        for kind, button in kinds:
            button.click(partial(self._save, place, kind), [self.shown], [self.file], **QUIET)
        pane.publish.click(self._publisher(place), asked, everything, **QUIET)
        sure = [pane.delete, pane.sure, pane.keep]
        for button, really in ((pane.delete, True), (pane.keep, False)):
            button.click(partial(_ask_whether_sure, sure, really), None, sure, **QUIET)
        pane.sure.click(self._deleter(place), asked, everything, **QUIET)
        forked = [self.shown, self.turn, *pane.agents, pane.message]
        pane.go.click(self._forker(place), forked, [self.address], **QUIET)

    @property
    def _filters(self) -> list[Any]:
        return [self.text, self.scenario, self.agent, self.status, self.own, self.blind]

    @property
    def _panes(self) -> list[Any]:
        return [part for pane in self.panes for part in pane.outputs]

    # -- the list ----------------------------------------------------------------------------------------------

    def _first(self, request: gr.Request, shown: Shown, *filters: Any) -> dict[Any, Any]:
        shown["pages"] = []
        return self._again(request, shown, *filters)

    def _newer(self, request: gr.Request, shown: Shown, *filters: Any) -> dict[Any, Any]:
        shown["pages"] = shown["pages"][:-1]
        return self._again(request, shown, *filters)

    def _older(self, request: gr.Request, shown: Shown, *filters: Any) -> dict[Any, Any]:
        if shown["last"] is not None:
            shown["pages"] = [*shown["pages"], shown["last"]]
        return self._again(request, shown, *filters)

    def _again(self, request: gr.Request, shown: Shown, *filters: Any) -> dict[Any, Any]:
        """The page of the list where one is."""
        pages: list[RunSummary] = shown["pages"]
        runs = self._found(request, filters, pages[-1] if pages else None, PAGE_RUNS + 1)
        more, runs = len(runs) > PAGE_RUNS, runs[:PAGE_RUNS]
        shown["last"] = runs[-1] if runs and more else None
        return {
            self.table: self._table(request, shown, runs, filters),
            self.newer: gr.update(interactive=bool(pages)),
            self.older: gr.update(interactive=more),
            self.place: tag("span", esc(text.PAGE.format(number=len(pages) + 1)), "note") if pages or more else "",
        }

    def _table(self, request: gr.Request, shown: Shown, runs: Sequence[RunSummary], filters: Sequence[Any]) -> str:
        *given, blind = filters
        if not runs and not any(given) and not shown["pages"]:
            return tag("p", esc(text.HISTORY_EMPTY), "empty")
        voted = self._voted(request) if blind else set()
        hidden = {run.comparison for run in runs if run.comparison and run.comparison not in voted} if blind else set()
        return runs_html(runs, labels(self._parley) | {HUMAN: text.PERSON}, hidden, shown["runs"])

    def _found(
        self, request: gr.Request, filters: Sequence[Any], before: RunSummary | None, limit: int
    ) -> list[RunSummary]:
        words, scenario, agent, status, own, _ = filters
        visitor = owner_of(request)
        if visitor is None:
            return []
        everything = self._operators.is_operator(request) and not own
        wanted = RunFilter(
            visible_to=None if everything else visitor,
            own=bool(own),
            scenario_id=scenario or None,
            agent=agent or None,
            status=status or None,
            text=words or "",
            before=before,
        )
        with plainly():
            return self._parley.store.summaries(wanted, limit)

    def _voted(self, request: gr.Request) -> set[str]:
        with plainly():
            return {vote.comparison for vote in self._parley.store.votes(voter=owner_of(request) or "")}

    def _remember(self, shown: Shown, *filters: Any) -> list[Any]:
        shown["settled"] = True
        return list(filters)

    def _remembered(self, shown: Shown, memory: Any) -> Any:
        """The filters as they were, as far as they still exist."""
        if shown.get("settled") or not isinstance(memory, list) or len(memory) != len(self._filters):
            return [gr.skip() for _ in self._filters]
        shown["settled"] = True
        known = [None, self.scenario, self.agent, self.status, None, None]
        kept = []
        for part, value in zip(known, memory, strict=True):
            kept.append(value if part is None or value in (choice for _, choice in part.choices) else "")
        return kept

    # -- replay ------------------------------------------------------------------------------------------------

    def _opened(self, request: gr.Request, shown: Shown, blind: bool) -> dict[Any, Any]:
        """Show what the address names, when the tab is first seen."""
        run_id = "" if shown.get("opened") else str(request.query_params.get("replay", ""))
        shown["opened"] = True
        if not run_id:
            return {self.turn: gr.skip()}
        beside = str(request.query_params.get("with", ""))
        try:
            shown["runs"] = [run_id, beside] if beside else self._siblings(request, run_id)
            return self._show(request, shown, blind)
        except gr.Error as error:
            shown["runs"] = []
            notice = tag("p", esc(error.message), "notice")
            return {self.replay: gr.update(visible=True), self.panes[0].head: notice, self.turn: gr.skip()}

    def _siblings(self, request: gr.Request, run_id: str) -> list[str]:
        """A run, or both lanes of its comparison if it is one of two."""
        viewer = owner_of(request)
        with plainly():
            lanes = self._parley.store.comparison(run_id, viewer)
        return [run.run_id for run in lanes] if [run.lane for run in lanes] == [1, 2] else [run_id]

    def _picked(self, request: gr.Request, event: gr.EventData, shown: Shown, *filters: Any) -> dict[Any, Any]:
        """A row of the list was pressed: show that run, or put it beside the one that is shown."""
        shown.pop("turn", None)
        if run_id := getattr(event, "replay", None):
            shown["runs"] = self._siblings(request, str(run_id))
        else:
            shown["runs"] = [*shown["runs"][:1], str(getattr(event, "beside", ""))]
        return {**self._show(request, shown, filters[-1]), **self._again(request, shown, *filters)}

    def _runs(self, shown: Shown) -> list[Run]:
        with plainly():
            return [self._parley.store.run(run_id) for run_id in shown["runs"]]

    def _show(self, request: gr.Request, shown: Shown, blind: bool) -> dict[Any, Any]:
        """Everything about the runs that are shown, after the turn where one is, at first the last."""
        runs = self._runs(shown)
        if not runs:
            return {self.replay: gr.update(visible=False), self.address: tag("span", data_address="")}
        hidden = bool(blind) and self._votable(runs) and runs[0].comparison not in self._voted(request)
        turns = max(len(run.turns) for run in runs)
        turn = min(turns, shown.get("turn", turns))
        new: dict[Any, Any] = {
            self.replay: gr.update(visible=True),
            self.turn: gr.update(maximum=max(1, turns), value=turn),
            self.alone: gr.update(visible=len(runs) > 1),
            self.address: tag("span", data_address="&".join(self._query(shown))),
            **self._vote_html(request, runs, hidden),
        }
        for place, pane in enumerate(self.panes):
            if place < len(runs):
                may_change = self._may_change(request, runs[place])
                new |= show_run(self._parley, pane, runs[place], turn, may_change=may_change, hidden=hidden)
            else:
                new |= close(pane)
        return new

    @staticmethod
    def _query(shown: Shown) -> list[str]:
        return [f"{key}={run_id}" for key, run_id in zip(("replay", "with"), shown["runs"], strict=False)]

    def _turned(self, request: gr.Request, shown: Shown, turn: float, blind: bool) -> dict[Any, Any]:
        runs = self._runs(shown)
        if not runs:
            return {self.panes[0].board: gr.skip()}
        shown["turn"] = int(turn)
        hidden = bool(blind) and self._votable(runs) and runs[0].comparison not in self._voted(request)
        new: dict[Any, Any] = {}
        for pane, run in zip(self.panes, runs, strict=False):
            new |= show_turn(self._parley, pane, run, int(turn), hidden=hidden)
        return new

    def _alone(self, request: gr.Request, shown: Shown, blind: bool) -> dict[Any, Any]:
        shown["runs"] = shown["runs"][:1]
        return self._show(request, shown, blind)

    def _hide(self, shown: Shown) -> dict[Any, Any]:
        shown["runs"] = []
        gone = {self.replay: gr.update(visible=False), self.address: tag("span", data_address="")}
        return {**gone, **self._paused(shown)}

    def _last(self, shown: Shown) -> int:
        return max((len(run.turns) for run in self._runs(shown)), default=0)

    def _step(self, step: int, shown: Shown, turn: float) -> int:
        return min(self._last(shown), max(0, int(turn) + step))

    def _play(self, shown: Shown, turn: float) -> dict[Any, Any]:
        """Go on turn by turn, from the beginning if it is at the end, or pause."""
        if shown.get("playing"):
            return self._paused(shown)
        shown["playing"] = True
        start = 0 if int(turn) >= self._last(shown) else int(turn)
        return {self.turn: start, self.timer: gr.Timer(active=True), self.play: text.PAUSE_STEPS}

    def _paused(self, shown: Shown) -> dict[Any, Any]:
        shown["playing"] = False
        return {self.timer: gr.Timer(active=False), self.play: text.PLAY_STEPS}

    def _tick(self, shown: Shown, turn: float) -> dict[Any, Any]:
        last, now = self._last(shown), int(turn) + 1
        return {self.turn: now} if now < last else {self.turn: last, **self._paused(shown)}

    # -- votes -------------------------------------------------------------------------------------------------

    @staticmethod
    def _votable(runs: Sequence[Run]) -> bool:
        """Whether these are the two lanes of one comparison."""
        return len(runs) == 2 and runs[0].comparison is not None and runs[0].comparison == runs[1].comparison

    def _voter(self, choice: Any) -> Any:
        def vote(request: gr.Request, shown: Shown, blind: bool) -> dict[Any, Any]:
            runs, voter = self._runs(shown), owner_of(request)
            if voter is None or not self._votable(runs) or runs[0].comparison is None:
                raise gr.Error(text.VOTE_WHAT, print_exception=False)
            comparison = runs[0].comparison
            unseen = bool(blind) and comparison not in self._voted(request)
            with plainly():
                self._parley.store.vote(Vote(comparison, voter, choice, blind=unseen))
            return self._show(request, shown, blind)

        return vote

    def _vote_html(self, request: gr.Request, runs: Sequence[Run], hidden: bool) -> dict[Any, Any]:
        comparison = runs[0].comparison
        if not self._votable(runs) or comparison is None:
            return {self.votes: gr.update(visible=False)}
        with plainly():
            votes = self._parley.store.votes(comparison)
        mine = next((vote for vote in votes if vote.voter == owner_of(request)), None)
        told = tag("b", esc(text.VOTE_ASK)) + (" " + tag("span", esc(text.VOTE_BLIND), "note") if hidden else "")
        if mine is not None:
            counts = ", ".join(
                text.VOTE_COUNT.format(name=words, count=sum(vote.choice == choice for vote in votes))
                for choice, words in text.VOTES.items()
            )
            told += " " + tag("span", esc(text.VOTED.format(mine=text.VOTES[mine.choice], counts=counts)), "note")
        return {self.votes: gr.update(visible=True), self.asked: tag("p", told, role="status")}

    # -- what is done with a run -------------------------------------------------------------------------------

    def _may_change(self, request: gr.Request, run: Run) -> bool:
        own = run.owner is not None and run.owner == owner_of(request)
        return own or self._operators.is_operator(request)

    def _shown_run(self, shown: Shown, place: int) -> Run:
        runs = self._runs(shown)
        if place >= len(runs):
            raise gr.Error(text.UNKNOWN_RUN, print_exception=False)
        return runs[place]

    def _owner(self, request: gr.Request) -> str | None:
        """Whose runs a request may change: None for the operator, who may change all."""
        if self._operators.is_operator(request):
            return None
        return owner_of(request) or "nobody"

    def _publisher(self, place: int) -> Any:
        def publish(request: gr.Request, shown: Shown, *filters: Any) -> dict[Any, Any]:
            run = self._shown_run(shown, place)
            with plainly():
                self._parley.store.publish(run.run_id, published=not run.published, owner=self._owner(request))
            return {**self._again(request, shown, *filters), **self._show(request, shown, filters[-1])}

        return publish

    def _deleter(self, place: int) -> Any:
        def delete(request: gr.Request, shown: Shown, *filters: Any) -> dict[Any, Any]:
            run = self._shown_run(shown, place)
            with plainly():
                self._parley.live.delete(run.run_id, owner=self._owner(request))
            shown["runs"] = [run_id for run_id in shown["runs"] if run_id != run.run_id]
            gr.Info(text.DELETED)
            return {**self._again(request, shown, *filters), **self._show(request, shown, filters[-1])}

        return delete

    def _save(self, place: int, kind: Kind, shown: Shown) -> str:
        return file_html([self._shown_run(shown, place)], kind)

    def _saver(self, kind: Kind) -> Any:
        def save(request: gr.Request, shown: Shown, *filters: Any) -> str:
            found = self._found(request, filters, None, MOST_RUNS + 1)
            if not found:
                raise gr.Error(text.SAVE_NOTHING, print_exception=False)
            if len(found) > MOST_RUNS:
                gr.Warning(text.SAVE_CUT.format(count=MOST_RUNS))
            with plainly():
                return file_html([self._parley.store.run(run.run_id) for run in found[:MOST_RUNS]], kind)

        return save

    def _forker(self, place: int) -> Any:
        def fork(request: gr.Request, shown: Shown, turn: float, a: str | None, b: str | None, message: str) -> str:
            """Start a run from here, and go where it can be watched or played."""
            run = self._shown_run(shown, place)
            turns = min(int(turn), len(run.turns))
            agents = forked_agents(run, {"a": a, "b": b})
            said = message if turns and message != run.turns[turns - 1].message else None
            with plainly():
                caller, owner = caller_of(self._parley, request), owner_of(request)
                new = self._parley.live.fork(run.run_id, turns, agents, message=said, owner=owner, caller=caller)
            people = sum(config.agent == HUMAN for config in agents.values())
            return tag("span", data_go=f"?{'play' if people else 'run'}={new}")

        return fork


def _ask_whether_sure(buttons: Sequence[Any], really: bool) -> dict[Any, Any]:
    delete, sure, keep = buttons
    return {delete: gr.update(visible=not really), sure: gr.update(visible=really), keep: gr.update(visible=really)}
