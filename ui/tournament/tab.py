"""The Tournament tab: set one up, run it in the background, watch it, and see which agent negotiates best.

A tournament belongs to the server and goes on without a watcher; the page polls what is stored.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import gradio as gr

from manager.errors import ParleyError
from negotiation.app.parley import Parley
from negotiation.comparison.votes import preferences
from negotiation.tournament.leaderboard import Leaderboard
from negotiation.tournament.leaderboard_export import describe, to_csv
from negotiation.tournament.leaderboard_latex import to_latex
from negotiation.tournament.store import Counts, TournamentSummary
from ui.kit.components import QUIET, Updates, script
from ui.kit.downloads import saved_html
from ui.kit.errors import plainly
from ui.kit.templates import render
from ui.server.operator import caller_of, operators_of
from ui.server.visitor import visitor_of
from ui.tournament import text
from ui.tournament.form import TournamentForm
from ui.tournament.glance import Glance, Painted, Wanted
from ui.tournament.leaderboard import agent_name, board_html, heat_html, runs_html, votes_html
from ui.tournament.progress import IDLE_SECONDS, progress_html
from ui.widgets.agent_picker import labels

_CELL = re.compile(r"(opponent|scenario):(\d{1,6}):(\d{1,6})")
"""A cell that was pressed, see `heat_html`."""


def build_tournament(parley: Parley, page: gr.Blocks, tab: gr.Tab) -> None:
    """Create the tab's content where it is called."""
    TournamentTab(parley).connect(tab)


def may_run(parley: Parley, request: gr.Request) -> bool:
    """Return whether a visitor may start, stop and resume tournaments: anyone may if there is no operator."""
    operators = operators_of(parley)
    return not operators.possible or operators.is_operator(request)


class TournamentTab:
    """Builds the tab where it is created and connects its parts."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._tournaments = parley.tournaments
        self.wanted = gr.State(Wanted())
        self.painted = gr.State(Painted())
        # Where only the operator may run tournaments, nobody may until this page knows who is looking.
        open_to_all = not operators_of(parley).possible
        rights = text.OPEN_TO_ALL if open_to_all else text.OPERATOR_ONLY
        with gr.Column(elem_classes="cup"):
            gr.HTML(render("tournament/about", about=text.ABOUT, rights=rights), js_on_load=None)
            no_results = not self._tournaments.store.newest(1)
            with gr.Accordion(text.NEW, open=no_results, visible=open_to_all, elem_id="cup-new") as self.new:
                self.form = TournamentForm(parley)
                self.run = gr.Button(text.RUN, variant="primary", elem_id="cup-run", scale=0, min_width=160)
            with gr.Row(elem_classes="cup-buttons"):
                self.picked = gr.Dropdown([], label=text.SHOWN, elem_id="cup-shown", min_width=240)
                hidden: dict[str, Any] = {"interactive": False, "visible": open_to_all}
                self.resume = gr.Button(text.RESUME, elem_id="cup-resume", min_width=90, scale=0, **hidden)
                self.stop = gr.Button(text.STOP, elem_id="cup-stop", min_width=80, scale=0, **hidden)
            self.progress = gr.HTML(elem_id="cup-progress", elem_classes="cup-progress", js_on_load=script("tick"))
        with gr.Row(elem_classes="cup-buttons", visible=False) as self.reading:
            self.where = gr.Dropdown([(text.EVERYWHERE, "")], value="", label=text.WHERE, elem_id="cup-where")
            self.json = gr.Button(text.JSON, elem_id="cup-json", size="sm", min_width=110, scale=0)
            self.csv = gr.Button(text.CSV, elem_id="cup-csv", size="sm", min_width=110, scale=0)
            self.latex = gr.Button(text.LATEX, elem_id="cup-latex", size="sm", min_width=110, scale=0)
            self.file = gr.HTML(js_on_load=script("download"), elem_id="cup-file-out")
        self.board = gr.HTML(elem_id="cup-board", js_on_load=None)
        self.against = gr.HTML(elem_id="cup-against", js_on_load=script("send"))
        self.places = gr.HTML(elem_id="cup-places", js_on_load=script("send"))
        self.runs = gr.HTML(elem_id="cup-runs", js_on_load=script("reveal"))
        self.votes = gr.HTML(elem_id="cup-votes", js_on_load=None)

    @property
    def outputs(self) -> list[Any]:
        """The components that looking updates."""
        buttons = [self.new, self.run, self.resume, self.stop, self.reading]
        drawn = [self.board, self.against, self.places, self.runs, self.votes]
        return [self.wanted, self.painted, self.picked, self.where, self.progress, *buttons, *drawn]

    def connect(self, tab: gr.Tab) -> None:
        """Connect the parts; nothing is looked at before the tab is opened."""
        self.form.connect()
        state = [self.wanted, self.painted]
        looked = [part for part in self.outputs if part is not self.wanted]  # else it could undo a visitor's wish
        tab.select(self._open, state, self.outputs, **QUIET)
        self.progress.tick(self._look, state, looked, queue=False, **QUIET)
        self.picked.input(self._pick, [*state, self.picked], self.outputs, **QUIET)
        self.where.input(self._place, [*state, self.where], self.outputs, **QUIET)
        self.run.click(self._run, [*state, *self.form.fields], self.outputs, **QUIET)
        self.resume.click(self._resume, state, looked, **QUIET)
        self.stop.click(self._stop, state, looked, **QUIET)
        for heat in (self.against, self.places):
            heat.click(self._cell, [self.painted], [self.runs], **QUIET)
        self.json.click(self._export_json, [self.painted], [self.file], **QUIET)
        self.csv.click(self._export_csv, [self.painted], [self.file], **QUIET)
        self.latex.click(self._export_latex, [self.painted], [self.file], **QUIET)

    # -- running -----------------------------------------------------------------------------------------------

    def _run(self, request: gr.Request, wanted: Wanted, painted: Painted, *values: Any) -> Updates:
        self._check(request)
        with plainly():
            caller = caller_of(self._parley, request)
            tournament_id = self._tournaments.start(self.form.asked(*values), visitor_of(request), caller)
        return self._pick(request, wanted, painted, tournament_id)

    def _resume(self, request: gr.Request, wanted: Wanted, painted: Painted) -> Updates:
        self._check(request)
        with plainly():
            caller = caller_of(self._parley, request)
            self._tournaments.resume(painted.tournament_id or "", visitor_of(request), caller)
        return self._look(request, wanted, painted)

    def _stop(self, request: gr.Request, wanted: Wanted, painted: Painted) -> Updates:
        self._check(request)
        self._tournaments.stop()
        return self._look(request, wanted, painted)

    def _check(self, request: gr.Request) -> None:
        if not may_run(self._parley, request):
            raise gr.Error(text.NOT_ALLOWED, print_exception=False)

    # -- looking -----------------------------------------------------------------------------------------------

    def _open(self, request: gr.Request, wanted: Wanted, painted: Painted) -> Updates:
        """Start to look when the tab is shown."""
        wanted = replace(wanted, opened=True)
        votes = votes_html(preferences(self._parley.store), labels(self._parley))
        return {self.wanted: wanted, self.votes: votes, **self._look(request, wanted, painted)}

    def _pick(self, request: gr.Request, wanted: Wanted, painted: Painted, tournament_id: str) -> Updates:
        wanted = replace(wanted, tournament_id=tournament_id, where="")
        emptied = {self.runs: "", self.where: gr.update(value="")}
        return {self.wanted: wanted, **emptied, **self._look(request, wanted, painted)}

    def _place(self, request: gr.Request, wanted: Wanted, painted: Painted, where: str) -> Updates:
        wanted = replace(wanted, where=where)
        return {self.wanted: wanted, **self._look(request, wanted, painted)}

    def _look(self, request: gr.Request, wanted: Wanted, painted: Painted) -> Updates:
        """Return updates for what changed since this page last looked."""
        if not wanted.opened:
            return {self.progress: gr.skip()}
        glance, before = self._glance(request, wanted, painted), painted.glance
        if painted.settled and glance == before:
            return {self.progress: gr.skip()}
        new: Updates = {}
        row, counts, running = glance.row, glance.counts, glance.running
        shown = row.tournament_id if row else None
        if before is None or before.listed != glance.listed:
            new[self.picked] = gr.update(choices=[_listed(each) for each in glance.listed], value=shown)
        elif painted.tournament_id != shown:
            new[self.picked] = gr.update(value=shown)
        active = row is not None and row.status == "running"
        board = self._tournaments.boards.of(row.tournament_id, exact=not active) if row else None
        more = board is not None and counts.done < board.tournament.size
        stoppable = glance.here is not None and not glance.here.stopping
        new |= {
            self.run: gr.update(interactive=running is None),
            self.resume: gr.update(interactive=running is None and not active and more),
            self.stop: gr.update(interactive=stoppable),
        }
        if before is None or before.allowed != glance.allowed:
            for part in (self.new, self.resume, self.stop):
                new[part] = {**new.get(part, {}), **gr.update(visible=glance.allowed)}
        if (painted.board is None) != (board is None):
            new[self.reading] = gr.update(visible=board is not None)
        if row is None or board is None:
            new[self.progress] = render("tournament/none", words=text.NONE, tick=IDLE_SECONDS)
        else:
            size = board.tournament.size
            new[self.progress] = progress_html(row, size, counts, glance.here, glance.other)
            new |= self._boards(board, glance.where, painted)
        settled = board is None or not active or len(board.games) == counts.done + counts.failed
        return {**new, self.painted: Painted(glance, board, settled)}

    def _glance(self, request: gr.Request, wanted: Wanted, painted: Painted) -> Glance:
        """Look at what was asked for, else what was shown, else what runs here, else the newest tournament."""
        store, running = self._tournaments.store, self._tournaments.running()
        listed = tuple(store.newest())
        shown = wanted.tournament_id or painted.tournament_id or (running.tournament_id if running else None)
        if shown is None and listed:
            shown = listed[0].tournament_id
        row = next((row for row in listed if row.tournament_id == shown), None)
        return Glance(
            listed=listed,
            running=running,
            row=row,
            counts=store.counts(row.tournament_id) if row else Counts(),
            where=wanted.where,
            allowed=may_run(self._parley, request),
        )

    def _boards(self, board: Leaderboard, where: str, painted: Painted) -> Updates:
        """Return updates for the leaderboard, as far as the page shows another one."""
        names, before = labels(self._parley), painted.board
        if before is board and painted.glance is not None and painted.glance.where == where:
            return {}
        new: Updates = {self.board: board_html(board, where, names)}
        if before is board:
            return new
        agents = {row.agent: agent_name(row.agent, names) for row in board.standings}
        places = {key: scenario.title for key, scenario in board.tournament.scenarios.items()}
        if before is None or list(before.tournament.scenarios) != list(places):
            listed = [(text.EVERYWHERE, ""), *((name, key) for key, name in places.items())]
            new[self.where] = gr.update(choices=listed, value=where)
        against = heat_html({row: board.by_opponent[row] for row in agents}, agents, "opponent", names)
        by_scenario = {row: board.by_agent_and_scenario[row] for row in agents}
        where_html = heat_html(by_scenario, places, "scenario", names)
        titled = [
            (self.against, text.AGAINST, text.AGAINST_ABOUT, against),
            (self.places, text.PLACES, text.PLACES_ABOUT, where_html),
        ]
        for part, title, about, heat in titled:
            shown = render("tournament/titled", title=title, about=about, content=heat)
            new[part] = shown if board.figures else ""
        return new

    def _cell(self, painted: Painted, event: gr.EventData) -> str:
        """List the runs of the cell that was pressed."""
        board, cell = painted.board, _CELL.fullmatch(str(event.cell))
        if board is None or cell is None:
            return ""
        kind, row, column = cell[1], int(cell[2]), int(cell[3])
        names, agents = labels(self._parley), [standing.agent for standing in board.standings]
        about = {agent: agent_name(agent, names) for agent in agents}
        table = board.by_opponent
        if kind == "scenario":
            table = board.by_agent_and_scenario
            about = {key: scenario.title for key, scenario in board.tournament.scenarios.items()}
        if row >= len(agents) or column >= len(about):
            return ""
        agent, where = agents[row], list(about)[column]
        return runs_html(board, agent, about[where], table[agent].get(where), names)

    # -- exporting ---------------------------------------------------------------------------------------------

    def _export_json(self, painted: Painted) -> str:
        tournament_id, board = self._exact(painted)
        store = self._tournaments.store
        data = describe(store.get(tournament_id), board, store.played_with(tournament_id))
        return saved_html(f"{tournament_id}.json", "application/json", json.dumps(data, ensure_ascii=False))

    def _export_csv(self, painted: Painted) -> str:
        tournament_id, board = self._exact(painted)
        return saved_html(f"{tournament_id}.csv", "text/csv", to_csv(board))

    def _export_latex(self, painted: Painted) -> str:
        tournament_id, board = self._exact(painted)
        store = self._tournaments.store
        written = to_latex(store.get(tournament_id), board, store.played_with(tournament_id))
        return saved_html(f"{tournament_id}.tex", "application/x-tex", written)

    def _exact(self, painted: Painted) -> tuple[str, Leaderboard]:
        tournament_id = painted.tournament_id or ""
        try:
            return tournament_id, self._tournaments.boards.of(tournament_id)
        except ParleyError:
            raise gr.Error(text.NONE, print_exception=False) from None


def _listed(row: TournamentSummary) -> tuple[str, str]:
    when = datetime.fromtimestamp(row.created, UTC).strftime("%Y-%m-%d %H:%M")
    return text.LISTED.format(title=row.title, when=when, status=text.STATUS[row.status]), row.tournament_id
