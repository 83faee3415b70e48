"""The tournament tab: set one up, run it in the background, watch it, and see who negotiates best.

A tournament belongs to the server: it goes on without anybody watching, and who comes back sees how far it is. The
page only looks, again and again, at what is kept.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import gradio as gr

from manager.errors import ParleyError
from negotiation.app.parley import Parley
from negotiation.comparison.votes import preferences
from negotiation.tournament.leaderboard import Leaderboard
from negotiation.tournament.leaderboard_export import describe, to_csv
from negotiation.tournament.service import Running
from negotiation.tournament.store import Counts, TournamentSummary
from ui.kit.downloads import saved_html
from ui.kit.errors import told
from ui.kit.html import QUIET, esc, meter, script, seconds, tag
from ui.server.operator import caller_of, operators_of
from ui.server.visitor import visitor_of
from ui.tournament import text
from ui.tournament.form import Form
from ui.tournament.leaderboard import agent_name, board_html, heat_html, runs_html, votes_html
from ui.widgets.agent_picker import labels

LOOK_SECONDS = 1.0
Shown = dict[str, Any]
"""What an open page shows, kept with the page: `id` of the tournament, `where`, and what it was painted from."""


def build_tournament(parley: Parley, page: gr.Blocks, tab: gr.Tab) -> None:
    """Create the tab's content where it is called."""
    TournamentTab(parley).connect(tab)


def may_run(parley: Parley, request: gr.Request) -> bool:
    """Whether a visitor may start, stop and resume tournaments: everybody, or where there is an operator, they."""
    operators = operators_of(parley)
    return not operators.possible or operators.is_operator(request)


class TournamentTab:
    """Builds the tab where it is created and connects its parts."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._tournaments = parley.tournaments
        self.shown = gr.State({})
        rights = text.EVERYBODY if parley.settings.operator_password is None else text.OPERATOR_ONLY
        about = tag("p", esc(text.ABOUT)) + tag("p", esc(rights), "rights")
        with gr.Column(elem_classes="cup"):
            gr.HTML(about, js_on_load=None)
            with gr.Accordion(text.NEW, open=not self._tournaments.store.newest(1), elem_id="cup-new"):
                self.form = Form(parley)
                self.run = gr.Button(text.RUN, variant="primary", elem_id="cup-run", scale=0, min_width=160)
            with gr.Row(elem_classes="cup-buttons"):
                self.picked = gr.Dropdown([], label=text.SHOWN, elem_id="cup-shown", min_width=240)
                self.resume = gr.Button(text.RESUME, elem_id="cup-resume", min_width=90, scale=0, interactive=False)
                self.stop = gr.Button(text.STOP, elem_id="cup-stop", min_width=80, scale=0, interactive=False)
            self.progress = gr.HTML(elem_id="cup-progress", elem_classes="cup-progress", js_on_load=None)
        with gr.Row(elem_classes="cup-buttons"):
            self.where = gr.Dropdown([(text.EVERYWHERE, "")], value="", label=text.WHERE, elem_id="cup-where")
            self.json = gr.Button(text.JSON, elem_id="cup-json", size="sm", min_width=110, scale=0)
            self.csv = gr.Button(text.CSV, elem_id="cup-csv", size="sm", min_width=110, scale=0)
            self.file = gr.HTML(js_on_load=script("download"), elem_id="cup-file-out")
        self.board = gr.HTML(elem_id="cup-board", js_on_load=None)
        self.against = gr.HTML(elem_id="cup-against", js_on_load=script("send"))
        self.places = gr.HTML(elem_id="cup-places", js_on_load=script("send"))
        self.runs = gr.HTML(elem_id="cup-runs", js_on_load=script("reveal"))
        self.votes = gr.HTML(elem_id="cup-votes", js_on_load=None)

    @property
    def outputs(self) -> list[Any]:
        """What looking updates."""
        buttons = [self.run, self.resume, self.stop]
        painted = [self.board, self.against, self.places, self.runs, self.votes]
        return [self.picked, self.where, self.progress, *buttons, *painted]

    def connect(self, tab: gr.Tab) -> None:
        """Connect the parts; nothing is looked at before the tab is opened."""
        self.form.connect()
        tab.select(self._open, [self.shown], self.outputs, **QUIET)
        gr.Timer(LOOK_SECONDS).tick(self._look, [self.shown], self.outputs, queue=False, **QUIET)
        self.picked.input(self._pick, [self.shown, self.picked], self.outputs, **QUIET)
        self.where.input(self._place, [self.shown, self.where], self.outputs, **QUIET)
        self.run.click(self._run, [self.shown, *self.form.fields], self.outputs, **QUIET)
        self.resume.click(self._resume, [self.shown], self.outputs, **QUIET)
        self.stop.click(self._stop, [self.shown], self.outputs, **QUIET)
        for heat in (self.against, self.places):
            heat.click(self._cell, [self.shown], [self.runs], **QUIET)
        self.json.click(self._export_json, [self.shown], [self.file], **QUIET)
        self.csv.click(self._export_csv, [self.shown], [self.file], **QUIET)

    # -- running -----------------------------------------------------------------------------------------------

    def _run(self, request: gr.Request, shown: Shown, *values: Any) -> dict[Any, Any]:
        self._check(request)
        try:
            caller = caller_of(self._parley, request)
            shown["id"] = self._tournaments.start(self.form.asked(values), visitor_of(request), caller)
        except ParleyError as error:
            raise told(error) from None
        return self._pick(request, shown, shown["id"])

    def _resume(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        self._check(request)
        try:
            caller = caller_of(self._parley, request)
            self._tournaments.resume(str(shown.get("id")), visitor_of(request), caller)
        except ParleyError as error:
            raise told(error) from None
        return self._look(request, shown)

    def _stop(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        self._check(request)
        self._tournaments.stop()
        return self._look(request, shown)

    def _check(self, request: gr.Request) -> None:
        if not may_run(self._parley, request):
            raise gr.Error(text.NOT_ALLOWED, print_exception=False)

    # -- looking -----------------------------------------------------------------------------------------------

    def _open(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        """Begin to look: at what runs here, else at what was shown, else at the newest."""
        shown["open"] = True
        running = self._tournaments.running()
        if running is not None and "id" not in shown:
            shown["id"] = running.tournament_id
        shown.pop("votes", None)
        return self._look(request, shown)

    def _pick(self, request: gr.Request, shown: Shown, tournament_id: str) -> dict[Any, Any]:
        shown.update(id=tournament_id, where="")
        return {self.runs: "", **self._look(request, shown), self.where: gr.update(value="")}

    def _place(self, request: gr.Request, shown: Shown, where: str) -> dict[Any, Any]:
        shown["where"] = where
        return self._look(request, shown)

    def _look(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        """What changed since this page last looked."""
        if not shown.get("open"):
            return {self.progress: gr.skip()}
        store = self._tournaments.store
        listed, running = store.newest(), self._tournaments.running()
        if listed:
            shown.setdefault("id", listed[0].tournament_id)
        row = next((row for row in listed if row.tournament_id == shown.get("id")), None)
        counts = store.counts(row.tournament_id) if row else Counts()
        new = self._of_votes(shown)
        allowed = may_run(self._parley, request)
        seen = listed, running, counts, shown.get("id"), shown.get("where"), allowed
        if shown.get("seen") == seen:
            return {**new, self.progress: gr.skip()}
        if shown.get("listed") != listed:
            shown["listed"] = listed
            new[self.picked] = gr.update(choices=[_listed(each) for each in listed], value=shown.get("id"))
        elif shown.get("seen", (None,) * 6)[3] != shown.get("id"):
            new[self.picked] = gr.update(value=shown.get("id"))
        here = running is not None and row is not None and running.tournament_id == row.tournament_id
        active = row is not None and row.status == "running"
        board = self._tournaments.boards.of(row.tournament_id, exact=not active) if row else None
        more = board is not None and counts.done < board.tournament.size
        new |= {
            self.run: gr.update(interactive=allowed and running is None),
            self.resume: gr.update(interactive=allowed and running is None and not active and more),
            self.stop: gr.update(interactive=allowed and here and running is not None and not running.stopping),
            self.progress: _progress(row, board, counts, running if here else None, _other(listed, running, here)),
        }
        if board is not None and (board is not shown.get("board") or shown.get("where") != shown.get("painted")):
            new |= self._of_board(shown, board)
        settled = board is None or not active or len(board.games) == counts.done + counts.failed
        shown["seen"] = seen if settled else None
        return new

    def _of_board(self, shown: Shown, board: Leaderboard) -> dict[Any, Any]:
        names, where = labels(self._parley), shown.get("where") or ""
        before: Leaderboard | None = shown.get("board")
        shown.update(board=board, painted=shown.get("where"))
        new: dict[Any, Any] = {self.board: board_html(board, where, names)}
        if before is board:
            return new
        agents = {row.agent: agent_name(row.agent, names) for row in board.standings}
        places = {key: scenario.title for key, scenario in board.tournament.scenarios.items()}
        if before is None or list(before.tournament.scenarios) != list(places):
            new[self.where] = gr.update(choices=[(text.EVERYWHERE, ""), *((name, key) for key, name in places.items())])
        against = heat_html({row: board.by_opponent[row] for row in agents}, agents, "opponent", names)
        by_scenario = {row: board.by_agent_and_scenario[row] for row in agents}
        where_html = heat_html(by_scenario, places, "scenario", names)
        new[self.against] = _titled(text.AGAINST, text.AGAINST_ABOUT, against) if board.figures else ""
        new[self.places] = _titled(text.PLACES, text.PLACES_ABOUT, where_html) if board.figures else ""
        return new

    def _of_votes(self, shown: Shown) -> dict[Any, Any]:
        """Whom people prefer; looked at when the tab is opened."""
        if "votes" in shown:
            return {}
        shown["votes"] = True
        return {self.votes: votes_html(preferences(self._parley.store), labels(self._parley))}

    def _cell(self, shown: Shown, event: gr.EventData) -> str:
        """The runs of the cell that was pressed."""
        board: Leaderboard | None = shown.get("board")
        kind, _, places = str(event.cell).partition(":")
        row, _, column = places.partition(":")
        if board is None or not row.isdigit() or not column.isdigit():
            return ""
        names, agents = labels(self._parley), [standing.agent for standing in board.standings]
        about = {agent: agent_name(agent, names) for agent in agents}
        table = board.by_opponent
        if kind == "scenario":
            table = board.by_agent_and_scenario
            about = {key: scenario.title for key, scenario in board.tournament.scenarios.items()}
        if int(row) >= len(agents) or int(column) >= len(about):
            return ""
        agent, where = agents[int(row)], list(about)[int(column)]
        return runs_html(board, agent, about[where], table[agent].get(where), names)

    # -- exporting ---------------------------------------------------------------------------------------------

    def _export_json(self, shown: Shown) -> str:
        tournament_id, board = self._exact(shown)
        data = describe(self._tournaments.store.get(tournament_id), board)
        return saved_html(f"{tournament_id}.json", "application/json", json.dumps(data, ensure_ascii=False))

    def _export_csv(self, shown: Shown) -> str:
        tournament_id, board = self._exact(shown)
        return saved_html(f"{tournament_id}.csv", "text/csv", to_csv(board))

    def _exact(self, shown: Shown) -> tuple[str, Leaderboard]:
        try:
            return str(shown.get("id")), self._tournaments.boards.of(str(shown.get("id")))
        except ParleyError:
            raise gr.Error(text.NONE, print_exception=False) from None


def _listed(row: TournamentSummary) -> tuple[str, str]:
    when = datetime.fromtimestamp(row.created, UTC).strftime("%Y-%m-%d %H:%M")
    return text.LISTED.format(title=row.title, when=when, status=text.STATUS[row.status]), row.tournament_id


def _other(listed: list[TournamentSummary], running: Running | None, here: bool) -> str:
    """The title of the tournament that runs on this server, if it is not the one that is shown."""
    if running is None or here:
        return ""
    return next((row.title for row in listed if row.tournament_id == running.tournament_id), "")


def _progress(
    row: TournamentSummary | None, board: Leaderboard | None, counts: Counts, running: Running | None, other: str
) -> str:
    """How far a tournament is, and how long it will take."""
    if row is None or board is None:
        return tag("p", esc(text.NONE), "empty")
    latest = running.latest if running else None
    done, failed = (latest.done, latest.failed) if latest else (counts.done, counts.failed)
    total = latest.total if latest else board.tournament.size
    words = text.PROGRESS.format(done=done, total=total)
    parts = [tag("b", esc(text.STATUS[row.status])), tag("span", esc(words))]
    if row.status == "running":
        parts.insert(1, meter((done + failed) / max(total, 1), words))
    if running is not None and running.stopping:
        parts.append(tag("span", esc(text.STOPPING)))
    elif latest is not None and latest.seconds_left is not None:
        parts.append(tag("span", esc(text.LEFT.format(time=seconds(latest.seconds_left)))))
    if failed:
        parts.append(tag("span", esc(text.FAILED.format(count=failed)), "notice"))
    if running is not None and running.retried:
        parts.append(tag("span", esc(text.RETRIED.format(count=running.retried))))
    if row.reason:
        parts.append(tag("span", esc(row.reason), "reason"))
    told = tag("p", esc(text.OTHER.format(title=other))) if other else ""
    return tag("p", "".join(parts), data_status=row.status) + told


def _titled(title: str, about: str, content: str) -> str:
    return tag("div", tag("h3", esc(title)) + tag("p", esc(about), "about-it") + content, "ladder")
