"""Play: a person negotiates against an agent, knowing their own side only, and sees everything afterwards."""

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
from negotiation.game.protocol import Action
from negotiation.runs.record import Run
from negotiation.scenario.model import SEATS, Offer, Scenario, Seat, other
from ui.drawing.lane_view import LaneView
from ui.drawing.outcome_space import space_of
from ui.drawing.table_and_verdict import table_html, verdict_html
from ui.drawing.turns import now_html, turns_html
from ui.kit import text
from ui.kit.errors import told
from ui.kit.html import QUIET, esc, script, tag
from ui.play.offer_form import best_offer, builder_html, own_html, worth_html
from ui.play.reveal import reveal_html
from ui.server.operator import caller_of
from ui.server.visitor import owner_of
from ui.widgets.agent_picker import about_html, choices, labels
from ui.widgets.follow import stored_view, views
from ui.widgets.scenario_picker import first_scenario, story_html

Shown = dict[str, Any]
"""What an open page plays: `run`, `seat`, `scenario`, `round` and the run that it is `following`; whether its
set-up is `settled` and its address was read (`opened`)."""

FOE = "boulware"


def build_play(parley: Parley, page: gr.Blocks, tab: gr.Tab) -> None:
    """Create the tab's content where it is called."""
    Play(parley).connect(page, tab)


class Play:
    """Builds the tab where it is created and connects its parts."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        first = first_scenario(parley)
        self.shown = gr.State({})
        self.memory = gr.BrowserState(None, storage_key="parley-play", secret="parley")
        scenarios = [(scenario.title, scenario.scenario_id) for scenario in parley.scenarios.values()]
        with gr.Row(elem_classes="play-setup"):
            self.scenario = gr.Dropdown(
                scenarios, value=first.scenario_id, label=text.SCENARIO, elem_id="play-scenario", min_width=200
            )
            self.seat = gr.Radio(_seats(first), value="a", label=text.PLAY_AS, elem_id="play-seat", min_width=200)
            with gr.Column(min_width=220, elem_classes="picker"):
                self.foe = gr.Dropdown(choices(parley), value=FOE, label=text.PLAY_AGAINST, elem_id="play-opponent")
                self.about = gr.HTML(about_html(parley, AgentConfig(FOE)), js_on_load=None)
        with gr.Row(elem_classes="play-acts"):
            self.begin = gr.Button(text.PLAY_BEGIN, variant="primary", elem_id="play-begin", min_width=180, scale=0)
            self.stop = gr.Button(text.STOP, elem_id="play-stop", min_width=90, scale=0, interactive=False)
            self.resume = gr.Button(text.CONTINUE, elem_id="play-continue", min_width=110, scale=0, visible=False)
            self.link = gr.HTML(elem_classes="link", elem_id="play-link", js_on_load=script("address"))
        self.story = gr.HTML(story_html(first), elem_classes="told", js_on_load=None)
        with gr.Accordion(text.OWN_TITLE_PLAY, open=True, elem_classes="own-fold") as self.fold:
            self.own = gr.HTML(own_html(first, "a"), elem_id="play-own", js_on_load=None)
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
    def _setup(self) -> list[Any]:
        return [self.scenario, self.seat, self.foe, self.about, self.story, self.own]

    @property
    def _painted(self) -> list[Any]:
        return [self.turns, self.now, self.table, self.worth, self.builder, self.reveal]

    @property
    def _controls(self) -> list[Any]:
        return [self.scenario, self.seat, self.foe, self.begin, self.stop, self.resume]

    def connect(self, page: gr.Blocks, tab: gr.Tab) -> None:
        """Connect the parts; opening the page joins what was being played."""
        begun = [*self._controls, self.body, self.fold, self.worth, self.link, self.builder, self.reveal]
        opened = tab.select(self._opened, [self.shown], list(dict.fromkeys([*self._setup, *begun])), **QUIET)
        page.load(None, js=script("visit"), **QUIET)
        # What the browser remembers is read when the tab is first shown, and that is its first change.
        self.memory.change(self._remembered, [self.shown, self.memory], self._setup, **QUIET)
        started = self.begin.click(self._begin, [self.shown, self.scenario, self.seat, self.foe], begun, **QUIET)
        resumed = self.resume.click(self._resume, [self.shown], begun, **QUIET)
        for event in (opened, started, resumed):
            followed = event.success(self._follow, [self.shown], self._painted, **QUIET)
            followed.then(self._idle, [self.shown], self._controls, **QUIET)
        self.stop.click(self._stop, [self.shown], None, **QUIET)
        # Every change is sent with its own data; under "always_last" the last one could be lost.
        self.builder.input(self._weigh, [self.shown], [self.worth], trigger_mode="multiple", queue=False, **QUIET)
        self.builder.submit(self._act, [self.shown], None, **QUIET)
        for part in (self.scenario, self.seat):
            part.input(self._choose, [self.scenario, self.seat], [self.seat, self.story, self.own], **QUIET)
        for part in (self.scenario, self.seat, self.foe):
            part.input(self._remember, [self.shown, self.scenario, self.seat, self.foe], [self.memory], **QUIET)
        self.foe.change(self._tell_about, [self.foe], [self.about], **QUIET)

    # -- setting up --------------------------------------------------------------------------------------------

    def _opened(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        """Join the negotiation that the address names, when the tab is first seen."""
        if shown.get("opened"):
            return {self.about: gr.skip()}
        shown["opened"] = True
        run = self._mine(request, str(request.query_params.get("play", "")))
        if run is None:
            return {self.about: gr.skip()}
        seat: Seat = "a" if run.agents["a"].agent == HUMAN else "b"
        foe = run.agents[other(seat)].agent
        chosen, joined = self._chosen(run.scenario, seat, foe), self._joined(request, shown, run, seat)
        for part in (self.scenario, self.seat, self.foe):
            joined[part] = {**chosen[part], **joined[part]}
        return {**chosen, **joined}

    def _remembered(self, shown: Shown, memory: Any) -> dict[Any, Any]:
        """The set-up as it was, as far as it still exists, unless something is being played."""
        if shown.get("settled") or not isinstance(memory, dict):
            return {self.about: gr.skip()}
        shown["settled"] = True
        scenario = self._parley.scenarios.get(str(memory.get("scenario")), first_scenario(self._parley))
        return self._chosen(scenario, "b" if memory.get("seat") == "b" else "a", str(memory.get("foe")))

    def _remember(self, shown: Shown, scenario_id: str, seat: Seat, foe: str | None) -> dict[str, Any]:
        shown["settled"] = True
        return {"scenario": scenario_id, "seat": seat, "foe": foe}

    def _mine(self, request: gr.Request, run_id: str) -> Run | None:
        """A visitor's own run with a person in it."""
        try:
            run = self._parley.store.run(run_id) if run_id else None
        except ParleyError:
            return None
        if run is None or run.owner is None or run.owner != owner_of(request):
            return None
        return run if HUMAN in (config.agent for config in run.agents.values()) else None

    def _chosen(self, scenario: Scenario, seat: Seat, foe: str) -> dict[Any, Any]:
        """The updates that show a set-up; an opponent that does not exist any more is replaced."""
        listed = choices(self._parley)
        foe = foe if foe in (agent for _, agent in listed) else FOE
        shipped = [(one.title, one.scenario_id) for one in self._parley.scenarios.values()]
        if scenario.scenario_id not in self._parley.scenarios:
            shipped.append((text.OWN_LISTED.format(title=scenario.title), scenario.scenario_id))
        return {
            self.scenario: gr.update(choices=shipped, value=scenario.scenario_id),
            self.seat: gr.update(choices=_seats(scenario), value=seat),
            self.foe: gr.update(choices=listed, value=foe),
            self.about: about_html(self._parley, AgentConfig(foe)),
            self.story: story_html(scenario),
            self.own: own_html(scenario, seat),
        }

    def _choose(self, scenario_id: str, seat: Seat) -> dict[Any, Any]:
        scenario = self._scenario(scenario_id)
        return {
            self.seat: gr.update(choices=_seats(scenario), value=seat),
            self.story: story_html(scenario),
            self.own: own_html(scenario, seat),
        }

    def _scenario(self, scenario_id: str) -> Scenario:
        if scenario_id not in self._parley.scenarios:
            raise gr.Error(text.SCENARIO_GONE, print_exception=False)
        return self._parley.scenarios[scenario_id]

    def _tell_about(self, foe: str | None) -> str:
        return about_html(self._parley, AgentConfig(foe or ""))

    # -- playing -----------------------------------------------------------------------------------------------

    def _begin(
        self, request: gr.Request, shown: Shown, scenario_id: str, seat: Seat, foe: str | None
    ) -> dict[Any, Any]:
        scenario = self._scenario(scenario_id)
        if not foe:
            raise gr.Error(text.PLAY_PICK, print_exception=False)
        agents: dict[Seat, AgentConfig] = {seat: AgentConfig(HUMAN), other(seat): AgentConfig(foe)}
        run = Run(
            run_id="", scenario=scenario, agents=agents, seed=random.randrange(1, 10_000), owner=owner_of(request)
        )
        caller = caller_of(self._parley, request)
        try:
            self._parley.live.check([run], caller)
            self._stop(request, shown)
            run_id = self._parley.live.start(run, caller=caller)
            run = self._parley.store.run(run_id)
        except ParleyError as error:
            raise told(error) from None
        return self._joined(request, shown, run, seat)

    def _resume(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        run = self._mine(request, shown.get("run", ""))
        if run is None:
            raise gr.Error(text.NOT_YOURS, print_exception=False)
        try:
            self._parley.live.resume(run.run_id, caller_of(self._parley, request))
        except ParleyError as error:
            raise told(error) from None
        return self._joined(request, shown, run, shown["seat"])

    def _joined(self, request: gr.Request, shown: Shown, run: Run, seat: Seat) -> dict[Any, Any]:
        shown.update(run=run.run_id, seat=seat, scenario=run.scenario, round=1, settled=True)
        start = _last_own(run.turns, seat) or best_offer(run.scenario, seat)
        return {
            self.body: gr.update(visible=True),
            self.fold: gr.update(open=False),
            self.worth: worth_html(run.scenario, seat, start, 1),
            self.builder: builder_html(run.scenario, seat, run.run_id, start, taken=0, turn=False, table=False),
            self.reveal: "",
            self.link: tag("a", esc(text.REPLAY_LINK), href=f"?replay={run.run_id}", data_address=f"play={run.run_id}"),
            **self._locks(request, shown),
        }

    def _weigh(self, shown: Shown, event: gr.EventData) -> str:
        """What the offer that is being built is worth."""
        if "run" not in shown:
            return ""
        scenario: Scenario = shown["scenario"]
        offer = event.offer
        legal = isinstance(offer, dict) and scenario.problem(offer) is None
        return worth_html(scenario, shown["seat"], offer if legal else None, shown["round"])

    def _act(self, request: gr.Request, shown: Shown, event: gr.EventData) -> None:
        """Make the person's turn; where it is not legal they are told, and their form stays as it is."""
        run_id = shown.get("run", "")
        owner = self._parley.live.owner(run_id)
        if owner is None or owner != owner_of(request):
            raise gr.Error(text.PLAY_OVER, print_exception=False)
        try:
            self._parley.live.answer(run_id, str(event.action), event.offer, str(event.message or ""))
        except ParleyError as error:
            raise told(error) from None

    def _stop(self, request: gr.Request, shown: Shown) -> None:
        run_id = shown.get("run", "")
        owner = self._parley.live.owner(run_id)
        if owner is not None and owner == owner_of(request):
            self._parley.live.stop(run_id)

    def _idle(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        """The controls once a negotiation has ended."""
        return self._locks(request, shown)

    def _locks(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        run_id = shown.get("run", "")
        running = self._parley.live.is_running(run_id)
        halted = False
        if run_id and not running:
            run = self._mine(request, run_id)
            halted = run is not None and run.status in ("stopped", "interrupted", "failed")
        shut = gr.update(interactive=not running)
        return {
            self.scenario: shut,
            self.seat: shut,
            self.foe: shut,
            self.begin: gr.update(interactive=not running, value=text.PLAY_AGAIN if run_id else text.PLAY_BEGIN),
            self.stop: gr.update(interactive=running),
            self.resume: gr.update(visible=halted),
        }

    # -- what is shown -----------------------------------------------------------------------------------------

    async def _follow(self, shown: Shown) -> AsyncIterator[dict[Any, Any]]:
        """The negotiation as the person may see it, until it ends and is revealed."""
        yield {part: gr.skip() for part in self._painted}
        run_id = shown.get("run")
        if run_id is None or shown.get("following") == run_id:
            return
        shown["following"] = run_id
        try:
            async for updates in self._seen(shown, run_id):
                yield updates
        finally:
            shown["following"] = None

    async def _seen(self, shown: Shown, run_id: str) -> AsyncIterator[dict[Any, Any]]:
        seat: Seat = shown["seat"]
        names = labels(self._parley)
        async for view in views(self._parley, run_id):
            if shown.get("run") != run_id:
                yield {part: gr.skip() for part in self._painted}  # the last update is sent once more at the end
                return
            if view.moving is not None:
                shown["round"] = view.moving.round
            yield self._paint(view, seat, names)
        try:
            run = await asyncio.to_thread(self._parley.store.run, run_id)
        except UnknownRun:  # it was deleted, as was shown
            return
        revealed = await asyncio.to_thread(reveal_html, run, seat)
        if shown.get("run") == run_id:
            yield {**self._paint(stored_view(run), seat, names), self.worth: "", self.reveal: revealed}

    def _paint(self, view: LaneView, seat: Seat, names: Mapping[str, str]) -> dict[Any, Any]:
        turn = view.moving is not None and view.moving.answer_seconds is not None
        table = any(made.action is Action.OFFER and made.seat != seat for made in view.turns)
        start = _last_own(view.turns, seat) or best_offer(view.scenario, seat)
        taken = sum(made.seat == seat for made in view.turns)
        form = ""
        if view.end is None:
            form = builder_html(view.scenario, seat, view.run_id, start, taken=taken, turn=turn, table=table)
        return {
            self.turns: turns_html(view, names, seat),
            self.now: now_html(view, names, seat),
            self.table: verdict_html(view, space_of(view.scenario)) if view.end else table_html(view, (seat,)),
            self.builder: form,
            self.reveal: "",
        }


def _seats(scenario: Scenario) -> list[tuple[str, str]]:
    return [(scenario.roles[seat].name, seat) for seat in SEATS]


def _last_own(turns: tuple[Turn, ...], seat: Seat) -> Offer | None:
    return next((turn.offer for turn in reversed(turns) if turn.seat == seat and turn.offer is not None), None)
