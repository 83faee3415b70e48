"""The arena: two lanes that run at the same time, and the events that start, stop and follow them."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from functools import cached_property
from typing import Any

import gradio as gr

from manager.errors import ParleyError
from negotiation.app.parley import Parley
from negotiation.runs.record import Run
from ui.arena import text
from ui.arena.banner import NO_LINK, OPENED, Banner, link_html
from ui.arena.pairs import Pairs, compared
from ui.arena.presets import presets
from ui.arena.recording import read_recording
from ui.arena.runs import LaneRuns, Shown, drawn_seed, lanes_of
from ui.arena.setup import Form, Setup, is_blind
from ui.drawing.outcome_space import space_of
from ui.kit import text as shared
from ui.kit.components import QUIET, Updates, merged, script
from ui.kit.errors import plainly, words_of
from ui.kit.templates import element, render
from ui.server.accounts import payer_of
from ui.server.operator import caller_of
from ui.server.visitor import owner_of
from ui.sharing.subject import BLIND
from ui.widgets.agent_picker import labels
from ui.widgets.follow import paced, painted, still, stored_view, views
from ui.widgets.lane import Lane, Painter
from ui.widgets.memory import Memory
from ui.widgets.pacing import PACES, Reading
from ui.widgets.scenario_picker import OWN, chosen_scenario, editable
from ui.widgets.spending import limit_of


def build_arena(parley: Parley, page: gr.Blocks, tab: gr.Tab) -> None:
    """Create the tab's content, and let a link to a run open it."""
    Arena(parley).connect(page)


class Arena:
    """Builds the arena where it is created and connects its parts."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._runs = LaneRuns(parley)
        self.shown = gr.State(Shown())
        self.setup = Setup(parley, self.shown, self._build_buttons)
        self.banner = Banner(parley)
        self.setup.build_lanes()
        self.recording = read_recording(parley.settings.config_file("recordings"), presets(parley)[0].lanes)
        self.lanes = self.setup.lanes
        self.pairs = Pairs(parley)

    def _build_buttons(self) -> None:
        with gr.Row(elem_classes="buttons"):
            self.start = gr.Button(text.START, variant="primary", elem_id="arena-start", min_width=90, scale=0)
            self.stop = gr.Button(shared.STOP, elem_id="arena-stop", min_width=70, scale=0, interactive=False)
            self.again = gr.Button(text.AGAIN, elem_id="arena-again", min_width=80, scale=0, interactive=False)

    # -- connections -------------------------------------------------------------------------------------------

    def connect(self, page: gr.Blocks) -> None:
        """Connect the parts; opening the page restores the run that a link names, or the previous setup."""
        setup = self.setup
        inputs = [setup.seed, setup.suspense, setup.suspended, setup.blind, setup.scenario.own, *setup.outputs]
        offered = [setup.on_account, setup.unusable]
        everything = [self.banner.link, *self.banner.outputs, *inputs, *offered, *self.controls, *setup.painted]
        opened = page.load(self._opened, [self.shown, setup.memory.stored], everything, js=setup.memory.read, **QUIET)
        self._follow(opened.then)
        opened.success(None, js=script("arrive"), **QUIET)
        above = [self.banner.link, *self.banner.outputs, setup.stale, setup.seed, *self.controls]
        begins, filled = [*above, *setup.painted], [self.shown, *setup.form]
        started = self.start.click(self._start, filled, begins, **QUIET)
        following = self.banner.next.click(self._next, filled, begins, **QUIET)
        restored = list(dict.fromkeys([*begins, setup.scenario.own, *setup.outputs]))
        limit = setup.spending.limit
        rerun = self.again.click(self._again, [self.shown, limit], restored, **QUIET)
        for begun in (started, following, rerun):
            setup.remember_after(begun)  # a change just before is answered too late to know what runs now
            self._follow(begun.success)
            begun.success(None, js=script("lanes"))
        replayed = self.banner.play.click(self._replay, [self.shown], [*self.banner.outputs, *setup.painted], **QUIET)
        voted = self.banner.ballot.click(self.banner.vote, [self.shown], None, **QUIET)
        for event in (replayed, voted):
            self._follow(event.success)
        self.stop.click(self._runs.stop, [self.shown], None, **QUIET)
        for lane in self.lanes:
            resumed = lane.resume.click(self._resumer(lane), [self.shown, limit], self.controls, **QUIET)
            followed = resumed.success(self._follower(lane), self._watched, lane.outputs, **QUIET)
            followed.then(self._controls, [self.shown], self.controls, **QUIET)
        paired = self.pairs.run.click(self._run_pairs, [self.pairs.count, *setup.form], None, **QUIET)
        for event in (opened, paired):
            event.success(self._follow_pairs, None, self.pairs.outputs, **QUIET)
        self.pairs.stop.click(self._stop_pairs, None, None, **QUIET)
        self._connect_setup()

    def _connect_setup(self) -> None:
        chosen = self.setup.scenario
        said = [self.banner.link, *self.banner.outputs, self.setup.stale, self.setup.lineup]
        cleared = [*said, *chosen.outputs, *self.setup.pick_lists, *self.setup.painted]
        # `input`, not `change`: a link that is opened sets the scenario, too, and follows its own runs.
        picked = chosen.picked.input(self._choose, [self.shown, chosen.picked, chosen.own], cleared, **QUIET)
        carded = chosen.cards.click(self._choose_card, [self.shown, chosen.own], cleared, **QUIET)
        used = chosen.use.click(self._use, [self.shown, chosen.own], [chosen.editor, *cleared], **QUIET)
        for event in (picked, carded, used):
            self.setup.remember_after(event)
        self.setup.connect()

    @property
    def controls(self) -> list[Any]:
        """The components that `_controls` enables or disables."""
        buttons = [self.start, self.stop, self.again, self.setup.swap, *(lane.resume for lane in self.lanes)]
        return [self.setup.scenario.picked, *buttons]

    @property
    def _watched(self) -> list[Any]:
        return [self.shown, self.banner.pace.reading]

    def _follow(self, then: Any) -> None:
        """Follow both runs at the same time after an event that changed what the lanes show."""
        for lane in self.lanes:
            followed = then(self._follower(lane), self._watched, lane.outputs, **QUIET)
            idle = [self.banner.link, *self.banner.outputs, *self.controls, *self.setup.pick_lists]
            ended = followed.then(self._idle, [self.shown], idle, **QUIET)
            self.setup.count_after(ended)

    # -- setting up --------------------------------------------------------------------------------------------

    def _opened(self, request: gr.Request, shown: Shown, stored: object) -> Updates:
        """Show the runs that a link names (both lanes of its comparison), or the previous setup and the recording."""
        memory = Memory.unpacked(stored)
        # Only what changes is updated: the visitor may have begun to set up.
        account = self.setup.has_account(request)
        new: Updates = {self.banner.link: OPENED, **self.setup.list_agents(account=account)}
        new = merged(new, self.setup.remembered(request, memory) if memory else {})
        run_id = str(request.query_params.get("run", ""))
        if not run_id:
            return {**new, **self._recorded} if self.recording else new
        try:
            runs = self._parley.store.comparison(run_id, owner_of(request))[: len(self.lanes)]
        except ParleyError as error:
            return {**new, self.banner.link: element("p", "notice", words_of(error))}
        blind = is_blind(memory) or BLIND in request.query_params
        veiled = blind and self.banner.hides(request, runs)
        shown.show(runs)
        shown.veiled = veiled
        new = merged(new, self._of_runs(request, runs, veiled=veiled))
        return merged(new, self._controls(request, shown))

    def _of_runs(self, request: gr.Request, runs: Sequence[Run], *, veiled: bool) -> Updates:
        """Return the updates that set up what runs did; who played stays unsaid while that is `veiled`."""
        first, scenario = runs[0], runs[0].scenario
        new: Updates = {self.banner.link: link_html(first, hidden=veiled), self.setup.seed: first.seed}
        new |= self.banner.cleared(veiled=veiled)
        if self._parley.scenarios.get(scenario.scenario_id) != scenario:
            scenario = scenario.model_copy(update={"scenario_id": OWN})
            new[self.setup.scenario.own] = editable(scenario)
        new |= self.setup.show_scenario(scenario)
        if not veiled:
            account = self.setup.has_account(request)
            for lane, players in zip(self.lanes, lanes_of(runs), strict=False):
                new = merged(new, self.setup.show_players(lane, players, account=account))
            new[self.setup.lineup] = self.setup.lineup_html(scenario, lanes_of(runs))
            new |= self.setup.spending.show(request, scenario, lanes_of(runs))
        return new

    @cached_property
    def _recorded(self) -> Updates:
        """The updates that show the recording as it ended."""
        new: Updates = self.banner.recorded(self.recording)
        for lane, run in zip(self.lanes, self.recording, strict=True):
            new |= Painter(lane, space_of(run.scenario), labels(self._parley)).paint(stored_view(run))
        return new

    def _choose(self, shown: Shown, scenario_id: str, own: str) -> Updates:
        with plainly():
            scenario = chosen_scenario(self._parley, scenario_id, own)
        shown.show()
        emptied = {self.banner.link: NO_LINK, **self.banner.cleared(), self.setup.stale: ""}
        return {**emptied, **self.setup.show_scenario(scenario)}

    def _choose_card(self, request: gr.Request, shown: Shown, own: str, event: gr.EventData) -> Updates:
        self._runs.require_idle(request, shown)
        return self._choose(shown, str(event.scenario), own)

    def _use(self, request: gr.Request, shown: Shown, own: str) -> Updates:
        self._runs.require_idle(request, shown)
        return {self.setup.scenario.editor: gr.update(visible=False), **self._choose(shown, OWN, own)}

    # -- running -----------------------------------------------------------------------------------------------

    def _start(self, request: gr.Request, shown: Shown, *values: Any) -> Updates:
        form = self.setup.read(values)
        return self._begin(request, shown, form, drawn_seed(form.seed))

    def _next(self, request: gr.Request, shown: Shown, *values: Any) -> Updates:
        """Start what is set up with the next seed, or a random one if none is set."""
        form = self.setup.read(values)
        return self._begin(request, shown, form, drawn_seed(None if form.seed is None else form.seed + 1))

    def _begin(self, request: gr.Request, shown: Shown, form: Form, seed: int) -> Updates:
        with plainly():
            scenario = chosen_scenario(self._parley, form.scenario_id, form.own)
        for lane, players in zip(self.lanes, form.lanes, strict=True):
            if not all(config.agent for config in players):
                raise gr.Error(text.PICK_AN_AGENT.format(number=lane.number), print_exception=False)
        lanes = random.sample(form.lanes, len(form.lanes)) if form.blind else form.lanes
        runs = self._runs.begin(request, shown, scenario, seed, lanes, limit_of(form.limit))
        shown.played, shown.veiled = (scenario, form.lanes), form.blind
        begun = {self.setup.seed: seed, self.banner.link: link_html(runs[0], hidden=form.blind), self.setup.stale: ""}
        begun |= self.banner.cleared(veiled=form.blind)
        return {**begun, **self.setup.empty_lanes(scenario), **self._controls(request, shown)}

    def _again(self, request: gr.Request, shown: Shown, limit: float | None) -> Updates:
        """Run what the lanes show once more, and set up what runs."""
        veiled = shown.veiled
        runs = self._runs.rerun(request, shown, limit_of(limit))
        shown.veiled = veiled
        new = {**self._of_runs(request, runs, veiled=veiled), self.setup.stale: ""}
        return merged(new, self._controls(request, shown))

    def _replay(self, shown: Shown) -> Updates:
        """Play the recording from its beginning, or show its end if it is being played."""
        stops = shown.recorded and bool(shown.following)
        shown.show()
        shown.recorded = True
        if stops:
            return self._recorded
        shown.following = {lane.number for lane in self.lanes}
        return {self.banner.words: render("arena/replaying", words=text), self.banner.play: text.REPLAY_END}

    def _resumer(self, lane: Lane) -> Any:
        def resume(request: gr.Request, shown: Shown, limit: float | None) -> Updates:
            self._runs.resume(request, shown, lane.number, limit_of(limit))
            return self._controls(request, shown)

        return resume

    def _idle(self, request: gr.Request, shown: Shown) -> Updates:
        """Return the controls once a lane has ended, and the pick lists with the models loaded since then first."""
        if not shown.by_lane:
            over = shown.recorded and not shown.following
            return self.banner.recorded(self.recording) if over else {self.banner.play: gr.skip()}
        if shown.following:
            return self._controls(request, shown)
        offered = self.setup.list_agents(account=self.setup.has_account(request))
        return {**offered, **self._controls(request, shown), **self.banner.ended(request, shown)}

    def _controls(self, request: gr.Request, shown: Shown) -> Updates:
        """Let a visitor stop their own running negotiation, or set up the next one."""
        running = shown.playing or self._runs.is_running(request, shown)
        free, busy = gr.update(interactive=not running), gr.update(interactive=running)
        over = gr.update(interactive=bool(shown.by_lane) and not running)
        new: Updates = {self.setup.scenario.picked: free, self.start: free, self.setup.swap: free}
        new |= {self.stop: busy, self.again: over}
        for lane in self.lanes:
            halted = not running and self._runs.may_continue(request, shown.of(lane.number))
            new[lane.resume] = gr.update(visible=halted)
        return new

    def _follower(self, lane: Lane) -> Any:
        async def follow(shown: Shown, reading: Reading) -> AsyncIterator[Updates]:
            version, run_id = shown.version, shown.of(lane.number)
            seen = shown.seen.pop(lane.number, None)
            nothing: Updates = {part: gr.skip() for part in lane.outputs}
            yield nothing  # a generator that yields nothing would empty its outputs
            if shown.version != version:
                return
            if run_id is not None:
                shown.following.add(lane.number)
                looks = views(self._parley, run_id, lambda: 0.0 if shown.hurried else reading.factor, seen)
            elif lane.number in shown.following:  # whoever plays a recording wants to see it played
                recorded = still(stored_view(self.recording[lane.number - 1]))
                looks = paced(recorded, lambda: reading.factor or PACES["normal"], 0)
            else:
                return
            try:
                async for updates in painted(self._parley, lane, looks, hidden=shown.veiled):
                    if shown.version != version:
                        yield nothing  # Gradio repeats the last update at the end
                        return
                    yield updates
            finally:
                if shown.version == version:
                    shown.following.discard(lane.number)

        return follow

    # -- pairs -------------------------------------------------------------------------------------------------

    def _run_pairs(self, request: gr.Request, count: Any, *values: Any) -> None:
        form, pairs = self.setup.read(values), self.pairs.asked(count)
        with plainly():
            scenario = chosen_scenario(self._parley, form.scenario_id, form.own)
        asked = compared(scenario, drawn_seed(form.seed), form.lanes, pairs, owner_of(request))
        limit = None if asked is None else asked.negotiations * limit_of(form.limit)
        payer = payer_of(self._parley, request, limit)
        self.pairs.start(asked, caller_of(self._parley, request), payer)

    async def _follow_pairs(self, request: gr.Request) -> AsyncIterator[Updates]:
        async for updates in self.pairs.follow(owner_of(request), labels(self._parley)):
            yield updates

    def _stop_pairs(self, request: gr.Request) -> None:
        self._parley.comparisons.stop(owner_of(request))
