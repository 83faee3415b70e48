"""Play: a person negotiates with an agent, knowing only their own side, and sees everything afterwards."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

import gradio as gr

from manager.errors import ParleyError
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN
from negotiation.app.parley import Parley
from negotiation.errors import UnknownRun
from negotiation.game.events import Turn
from negotiation.game.protocol import GameState
from negotiation.game.session import replay
from negotiation.runs.record import Run
from negotiation.scenario.model import Offer, Seat, other
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import space_of
from ui.drawing.table_and_verdict import table_html, verdict_html
from ui.drawing.turns import now_html, turns_html
from ui.kit import text as shared
from ui.kit.components import QUIET, Updates, merged, script
from ui.kit.errors import plainly
from ui.kit.templates import render
from ui.play import text
from ui.play.offer_form import best_offer, builder_html, worth_html
from ui.play.open_page import OpenPage, Playing
from ui.play.reveal import reveal_html
from ui.play.setup import PlaySetup
from ui.server.accounts import payer_of
from ui.server.operator import caller_of
from ui.server.visitor import owner_of
from ui.widgets.agent_picker import labels
from ui.widgets.follow import stored_view, views
from ui.widgets.memory import Memory
from ui.widgets.pace import PaceControl
from ui.widgets.pacing import Reading
from ui.widgets.spending import limit_of


def build_play(parley: Parley, page: gr.Blocks, tab: gr.Tab) -> None:
    """Create the tab's content where it is called."""
    Play(parley).connect(page, tab)


class Play:
    """Builds the tab where it is created and connects its parts."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self.page = gr.State(OpenPage())
        self.setup = PlaySetup(parley)
        with gr.Row(elem_classes="play-acts"):
            self.begin = gr.Button(text.BEGIN, variant="primary", elem_id="play-begin", min_width=180, scale=0)
            self.stop = gr.Button(shared.STOP, elem_id="play-stop", min_width=90, scale=0, interactive=False)
            self.resume = gr.Button(shared.CONTINUE, elem_id="play-continue", min_width=110, scale=0, visible=False)
            self.pace = PaceControl(parley.settings.pace, "play-pace")
            self.link = gr.HTML(elem_classes="link", elem_id="play-link", js_on_load=script("address"))
        self.setup.build_story()
        with gr.Row(elem_classes="play-body", equal_height=False, visible=False) as self.body:
            with gr.Column(elem_classes="transcript", elem_id="play-transcript", min_width=300):
                self.turns = gr.HTML(js_on_load=script("folds") + script("follow"))
                self.now = gr.HTML(js_on_load=script("follow"))
            with gr.Column(elem_classes="table-side", min_width=300):
                with gr.Column(elem_classes="board"):
                    self.table = gr.HTML(elem_id="play-table", js_on_load=None)
                self.worth = gr.HTML(elem_id="play-worth", js_on_load=None)
                self.builder = gr.HTML(elem_id="play-builder", js_on_load=script("builder"))
        self.reveal = gr.HTML(elem_id="play-reveal", js_on_load=None)

    @property
    def _painted(self) -> list[Any]:
        return [self.turns, self.now, self.table, self.worth, self.builder, self.reveal]

    @property
    def _controls(self) -> list[Any]:
        return [*self.setup.picked, self.begin, self.stop, self.resume]

    def connect(self, page: gr.Blocks, tab: gr.Tab) -> None:
        """Connect the parts; opening the page joins the negotiation that was being played."""
        begun = [*self._controls, self.body, self.setup.fold, self.worth, self.link, self.builder, self.reveal]
        outputs, memory = list(dict.fromkeys([*self.setup.outputs, *begun])), self.setup.memory
        opened = tab.select(self._opened, [self.page, memory.stored], outputs, js=memory.read, **QUIET)
        page.load(None, js=script("visit"), **QUIET)
        limit = self.setup.spending.limit
        started = self.begin.click(self._begin, [self.page, limit, *self.setup.picked], begun, **QUIET)
        resumed = self.resume.click(self._resume, [self.page, limit], begun, **QUIET)
        for event in (opened, started, resumed):
            followed = event.success(self._follow, [self.page, self.pace.reading], self._painted, **QUIET)
            followed.then(self._idle, [self.page], self._controls, **QUIET)
            event.success(None, js=script("form"), **QUIET)
        self.stop.click(self._stop, [self.page], None, **QUIET)
        # Each change arrives with its own data; "always_last" could lose the last one.
        self.builder.input(self._weigh, [self.page], [self.worth], trigger_mode="multiple", queue=False, **QUIET)
        self.builder.submit(self._act, [self.page], None, **QUIET)
        self.setup.connect(self.page)

    # -- playing -----------------------------------------------------------------------------------------------

    def _opened(self, request: gr.Request, page: OpenPage, stored: object) -> Updates:
        """When the tab is first shown, join the negotiation that the address names, or restore the last set-up."""
        if page.opened:
            return {self.setup.about: gr.skip()}
        page.opened = True
        run = self._own_run(request, str(request.query_params.get("play", "")))
        if run is None:
            return self.setup.remembered(request, page, stored)
        seat: Seat = "a" if run.agents["a"].agent == HUMAN else "b"
        shown = self.setup.show(request, run.scenario, seat, run.agents[other(seat)].agent)
        joined = self._join(request, page, run, seat)
        for part in self.setup.picked:
            joined[part] = {**shown[part], **joined[part]}
        return merged({**shown, **joined}, self.setup.limit(Memory.unpacked(stored)))

    def _begin(
        self,
        request: gr.Request,
        page: OpenPage,
        limit: float | None,
        scenario_id: str,
        seat: Seat,
        opponent: str | None,
    ) -> Updates:
        scenario = self.setup.scenario_of(scenario_id)
        if not opponent:
            raise gr.Error(text.PICK_OPPONENT, print_exception=False)
        agents: dict[Seat, AgentConfig] = {seat: AgentConfig(HUMAN), other(seat): AgentConfig(opponent)}
        seed = random.randrange(1, 10_000)
        run = Run(run_id="", scenario=scenario, agents=agents, seed=seed, owner=owner_of(request))
        caller, payer = caller_of(self._parley, request), payer_of(self._parley, request, limit_of(limit))
        with plainly():
            self._parley.live.check([run], caller, payer)
            self._stop(request, page)
            run_id = self._parley.live.start(run, caller=caller, payer=payer)
            run = self._parley.store.run(run_id)
        page.seen = 0
        return self._join(request, page, run, seat)

    def _resume(self, request: gr.Request, page: OpenPage, limit: float | None) -> Updates:
        run = self._own_run(request, page.run_id)
        if run is None or page.playing is None:
            raise gr.Error(shared.NOT_YOURS, print_exception=False)
        payer = payer_of(self._parley, request, limit_of(limit))
        with plainly():
            self._parley.live.resume(run.run_id, caller_of(self._parley, request), payer)
        page.seen = len(run.turns)
        return self._join(request, page, run, page.playing.seat)

    def _join(self, request: gr.Request, page: OpenPage, run: Run, seat: Seat) -> Updates:
        page.playing, page.round, page.settled = Playing(run.run_id, seat, run.scenario), 1, True
        start = _last_own(run.turns, seat) or best_offer(run.scenario, seat)
        return {
            self.body: gr.update(visible=True),
            self.setup.fold: gr.update(open=False),
            self.worth: worth_html(run.scenario, seat, start, 1),
            self.builder: builder_html(GameState(run.scenario), seat, run.run_id, start, taken=0, turn=False),
            self.reveal: "",
            self.link: render("play/link", run_id=run.run_id, words=text.REPLAY_LINK),
            **self._locks(request, page),
        }

    def _own_run(self, request: gr.Request, run_id: str) -> Run | None:
        """Return a run if it is the visitor's own and a person plays in it."""
        try:
            run = self._parley.store.run(run_id) if run_id else None
        except ParleyError:
            return None
        if run is None or run.owner is None or run.owner != owner_of(request):
            return None
        return run if HUMAN in (config.agent for config in run.agents.values()) else None

    def _weigh(self, page: OpenPage, event: gr.EventData) -> str:
        """Show what the offer in the form is worth."""
        if page.playing is None:
            return ""
        scenario, offer = page.playing.scenario, event.offer
        legal = isinstance(offer, dict) and scenario.problem(offer) is None
        return worth_html(scenario, page.playing.seat, offer if legal else None, page.round)

    def _act(self, request: gr.Request, page: OpenPage, event: gr.EventData) -> None:
        """Take the person's turn; after an illegal one the form stays as it is."""
        owner = self._parley.live.owner(page.run_id)
        if owner is None or owner != owner_of(request):
            raise gr.Error(text.NOT_PLAYING, print_exception=False)
        with plainly():
            self._parley.live.answer(page.run_id, str(event.action), event.offer, str(event.message or ""))

    def _stop(self, request: gr.Request, page: OpenPage) -> None:
        owner = self._parley.live.owner(page.run_id)
        if owner is not None and owner == owner_of(request):
            self._parley.live.stop(page.run_id)

    def _idle(self, request: gr.Request, page: OpenPage) -> Updates:
        """Release the controls once a negotiation has ended."""
        return self._locks(request, page)

    def _locks(self, request: gr.Request, page: OpenPage) -> Updates:
        running = self._parley.live.is_running(page.run_id)
        halted = False
        if page.run_id and not running:
            run = self._own_run(request, page.run_id)
            halted = run is not None and run.status in ("stopped", "interrupted", "failed")
        return {
            **{part: gr.update(interactive=not running) for part in self.setup.picked},
            self.begin: gr.update(interactive=not running, value=text.BEGIN_AGAIN if page.run_id else text.BEGIN),
            self.stop: gr.update(interactive=running),
            self.resume: gr.update(visible=halted),
        }

    # -- what is shown -----------------------------------------------------------------------------------------

    async def _follow(self, page: OpenPage, reading: Reading) -> AsyncIterator[Updates]:
        """Show the negotiation as the person may see it, until it ends and everything is revealed."""
        yield {part: gr.skip() for part in self._painted}
        playing = page.playing
        if playing is None or page.following == playing.run_id:
            return
        page.following = playing.run_id
        try:
            async for updates in self._seen(page, playing, reading):
                yield updates
        finally:
            page.following = ""

    async def _seen(self, page: OpenPage, playing: Playing, reading: Reading) -> AsyncIterator[Updates]:
        names, seen, page.seen = labels(self._parley), page.seen, None
        async for view in views(self._parley, playing.run_id, lambda: reading.factor, seen):
            if page.run_id != playing.run_id:
                yield {part: gr.skip() for part in self._painted}  # Gradio sends a generator's last update again
                return
            if view.moving is not None:
                page.round = view.moving.round
            yield self._paint(view, playing.seat, names)
        try:
            run = await asyncio.to_thread(self._parley.store.run, playing.run_id)
        except UnknownRun:  # it was deleted, as the last view shows
            return
        revealed = await asyncio.to_thread(reveal_html, run, playing.seat)
        if page.run_id == playing.run_id:
            yield {**self._paint(stored_view(run), playing.seat, names), self.worth: "", self.reveal: revealed}

    def _paint(self, view: LaneView, seat: Seat, names: Mapping[str, str]) -> Updates:
        turn = view.moving is not None and view.moving.answer_seconds is not None
        start = _last_own(view.turns, seat) or best_offer(view.scenario, seat)
        taken = sum(made.seat == seat for made in view.turns)
        form = ""
        if view.end is None:
            state = replay(view.scenario, view.turns)
            form = builder_html(state, seat, view.run_id, start, taken=taken, turn=turn)
        return {
            self.turns: turns_html(view, names, seat),
            self.now: now_html(view, names, seat),
            self.table: verdict_html(view, space_of(view.scenario)) if view.end else table_html(view, (seat,)),
            self.builder: form,
            self.reveal: "",
        }


def _last_own(turns: tuple[Turn, ...], seat: Seat) -> Offer | None:
    return next((turn.offer for turn in reversed(turns) if turn.seat == seat and turn.offer is not None), None)
