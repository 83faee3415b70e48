"""The arena: two lanes that run at the same time, and what starts, stops and follows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import zip_longest
from typing import Any

import gradio as gr

from manager.errors import ParleyError
from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.app.parley import Parley
from negotiation.comparison.comparison import Players
from negotiation.errors import UnknownRun
from negotiation.runs.record import Run, new_run_id
from negotiation.scenario.model import Scenario, Seat
from ui.arena.pairs import Pairs
from ui.arena.setup import Setup, seed_of
from ui.kit import text
from ui.kit.errors import told
from ui.kit.html import QUIET, esc, merged, script, tag
from ui.server.operator import caller_of
from ui.server.visitor import owner_of
from ui.widgets.agent_picker import choices, labels
from ui.widgets.follow import follow_run
from ui.widgets.lane import Lane
from ui.widgets.scenario_picker import OWN, chosen_scenario, editable

Shown = dict[int, str]
"""Which run each lane of an open page shows, kept with the page: whoever follows a run stops when it changes."""

NO_LINK = tag("span", data_run="")


def build_arena(parley: Parley, page: gr.Blocks, tab: gr.Tab) -> None:
    """Create the tab's content where it is called, and let a link to a run open it."""
    Arena(parley).connect(page)


class Arena:
    """Builds the arena where it is created and connects its parts."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self.shown = gr.State({})
        self.setup = Setup(parley)
        with gr.Row(elem_classes="buttons"):
            self.start = gr.Button(text.START, variant="primary", elem_id="arena-start", min_width=100, scale=0)
            self.stop = gr.Button(text.STOP, elem_id="arena-stop", min_width=80, scale=0, interactive=False)
            self.again = gr.Button(text.AGAIN, elem_id="arena-again", min_width=170, scale=0, interactive=False)
            self.link = gr.HTML(elem_classes="link", elem_id="arena-link", js_on_load=script("link"))
        self.setup.build_lanes()
        self.lanes = self.setup.lanes
        self.pairs = Pairs(parley)

    # -- connections -------------------------------------------------------------------------------------------

    def connect(self, page: gr.Blocks) -> None:
        """Connect the parts; opening the page sets what a link to a run names, or what was set up before."""
        setup = self.setup
        inputs = [setup.seed, setup.suspense, setup.scenario.own, *setup.outputs]
        everything = [self.link, *inputs, *self.controls, *setup.painted]
        opened = page.load(self._opened, [self.shown, self.setup.memory], everything, **QUIET)
        self._follow(opened.then)
        started = self.start.click(
            self._start, [self.shown, *self.setup.form], [self.link, self.setup.seed, *self.controls], **QUIET
        )
        self._follow(started.success)
        rerun = self.again.click(self._again, [self.shown], [self.link, *self.controls], **QUIET)
        self._follow(rerun.success)
        for begun in (started, rerun):
            begun.success(None, js=script("lanes"))
        self.stop.click(self._stop, [self.shown], None, **QUIET)
        for lane in self.lanes:
            resumed = lane.resume.click(self._resumer(lane), [self.shown], self.controls, **QUIET)
            followed = resumed.success(self._follower(lane), [self.shown], lane.outputs, **QUIET)
            followed.then(self._controls, [self.shown], self.controls, **QUIET)
        paired = self.pairs.run.click(self._run_pairs, [self.pairs.count, *self.setup.form], None, **QUIET)
        for event in (opened, paired):
            event.success(self._follow_pairs, None, self.pairs.outputs, **QUIET)
        self.pairs.stop.click(self._stop_pairs, None, None, **QUIET)
        self._connect_setup()

    def _connect_setup(self) -> None:
        chosen = self.setup.scenario
        cleared = [self.link, *chosen.outputs, *self.setup.agents, *self.setup.painted]
        # Only what a person chooses: a link that is opened sets the scenario, too, and follows its own runs.
        picked = chosen.picked.input(self._choose, [self.shown, chosen.picked, chosen.own], cleared, **QUIET)
        carded = chosen.cards.click(self._choose_card, [self.shown, chosen.own], cleared, **QUIET)
        used = chosen.use.click(self._use, [self.shown, chosen.own], [chosen.editor, *cleared], **QUIET)
        for event in (picked, carded, used):
            self.setup.remember_after(event)
        self.setup.connect()

    @property
    def controls(self) -> list[Any]:
        """What is locked or open, depending on whether the visitor's own negotiation runs."""
        buttons = [self.start, self.stop, self.again, self.setup.swap, *(lane.resume for lane in self.lanes)]
        return [self.setup.scenario.picked, *buttons]

    def _follow(self, then: Any) -> None:
        """After an event that set what the lanes show, follow both runs at the same time."""
        for lane in self.lanes:
            followed = then(self._follower(lane), [self.shown], lane.outputs, **QUIET)
            followed.then(self._idle, [self.shown], [*self.controls, *self.setup.agents], **QUIET)

    # -- setting up --------------------------------------------------------------------------------------------

    def _opened(self, request: gr.Request, shown: Shown, memory: Any) -> dict[Any, Any]:
        """What a link to a run sets (both lanes of its comparison, scenario and agents), or what was set up before."""
        # What is there already is left alone: the visitor may have changed it meanwhile.
        new: dict[Any, Any] = {self.link: "", **(self.setup.remembered(memory) if memory else {})}
        run_id = str(request.query_params.get("run", ""))
        runs: list[Run] = []
        if run_id:
            try:
                runs = self._parley.store.comparison(run_id, owner_of(request))[: len(self.lanes)]
            except ParleyError as error:
                message = text.UNKNOWN_RUN if isinstance(error, UnknownRun) else str(error)
                new[self.link] = tag("p", esc(message), "notice")
        if runs:
            new |= self._of_runs(shown, runs)
        return merged(new, self._controls(request, shown)) if runs else new

    def _of_runs(self, shown: Shown, runs: list[Run]) -> dict[Any, Any]:
        first, scenario = runs[0], runs[0].scenario
        new: dict[Any, Any] = {self.link: link_html(first), self.setup.seed: first.seed}
        if self._parley.scenarios.get(scenario.scenario_id) != scenario:
            scenario = scenario.model_copy(update={"scenario_id": OWN})
            new[self.setup.scenario.own] = editable(scenario)
        new |= self.setup.show_scenario(scenario)
        for lane, run in zip_longest(self.lanes, runs):
            if run is None:
                continue
            shown[lane.number] = run.run_id
            new = merged(new, self.setup.show_players(lane, (run.agents["a"], run.agents["b"])))
        return new

    def _choose(self, shown: Shown, scenario_id: str, own: str) -> dict[Any, Any]:
        try:
            scenario = chosen_scenario(self._parley, scenario_id, own)
        except ParleyError as error:
            raise told(error) from None
        shown.clear()
        return {self.link: NO_LINK, **self.setup.show_scenario(scenario)}

    def _choose_card(self, request: gr.Request, shown: Shown, own: str, event: gr.EventData) -> dict[Any, Any]:
        if self._is_running(request, shown):
            raise gr.Error(text.RUNNING, print_exception=False)
        return self._choose(shown, str(event.scenario), own)

    def _use(self, request: gr.Request, shown: Shown, own: str) -> dict[Any, Any]:
        if self._is_running(request, shown):
            raise gr.Error(text.RUNNING, print_exception=False)
        return {self.setup.scenario.editor: gr.update(visible=False), **self._choose(shown, OWN, own)}

    # -- running -----------------------------------------------------------------------------------------------

    def _start(
        self, request: gr.Request, shown: Shown, scenario_id: str, own: str, seed: float | None, *values: Any
    ) -> dict[Any, Any]:
        try:
            scenario = chosen_scenario(self._parley, scenario_id, own)
        except ParleyError as error:
            raise told(error) from None
        lanes = self.setup.players(values)
        for lane, players in zip(self.lanes, lanes, strict=True):
            if not all(config.agent for config in players):
                raise gr.Error(text.PICK_AN_AGENT.format(number=lane.number), print_exception=False)
        number = seed_of(seed)
        return {self.setup.seed: number, **self._begin(request, shown, scenario, number, lanes)}

    def _again(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        """The negotiations that are shown once more: same scenario, agents and seed."""
        try:
            runs = [self._parley.store.run(run_id) for _, run_id in sorted(shown.items())]
        except UnknownRun:
            raise gr.Error(text.AGAIN_GONE, print_exception=False) from None
        except ParleyError as error:
            raise told(error) from None
        lanes = tuple((run.agents["a"], run.agents["b"]) for run in runs)
        return self._begin(request, shown, runs[0].scenario, runs[0].seed, lanes)

    def _begin(
        self, request: gr.Request, shown: Shown, scenario: Scenario, seed: int, lanes: tuple[Players, ...]
    ) -> dict[Any, Any]:
        comparison, owner, runs = new_run_id(), owner_of(request), []
        for lane, players in zip(self.lanes, lanes, strict=False):
            pair: dict[Seat, AgentConfig] = {"a": players[0], "b": players[1]}
            runs.append(
                Run(
                    run_id="",
                    scenario=scenario,
                    agents=pair,
                    seed=seed,
                    owner=owner,
                    comparison=comparison,
                    lane=lane.number,
                )
            )
        started: list[str] = []
        caller = caller_of(self._parley, request)
        try:
            self._parley.live.check(runs, caller)
            self._stop(request, shown)
            for run in runs:
                started.append(self._parley.live.start(run, caller=caller))  # noqa: PERF401 (what began is deleted)
        except ParleyError as error:
            for run_id in started:  # somebody else was quicker after the check
                with suppress(ParleyError):
                    self._parley.live.delete(run_id)
            raise told(error) from None
        shown.clear()
        shown.update((lane.number, run_id) for lane, run_id in zip(self.lanes, started, strict=False))
        return {self.link: link_html(runs[0], started[0]), **self._controls(request, shown)}

    def _run_pairs(
        self, request: gr.Request, count: Any, scenario_id: str, own: str, seed: float | None, *values: Any
    ) -> None:
        try:
            scenario = chosen_scenario(self._parley, scenario_id, own)
        except ParleyError as error:
            raise told(error) from None
        caller = caller_of(self._parley, request)
        self.pairs.start(owner_of(request), scenario, seed_of(seed), self.setup.players(values), count, caller)

    async def _follow_pairs(self, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        async for updates in self.pairs.follow(owner_of(request), labels(self._parley)):
            yield updates

    def _stop_pairs(self, request: gr.Request) -> None:
        self._parley.comparisons.stop(owner_of(request))

    def _resumer(self, lane: Lane) -> Any:
        def resume(request: gr.Request, shown: Shown) -> dict[Any, Any]:
            try:
                if not self._may_continue(request, shown.get(lane.number)):
                    raise gr.Error(text.NOT_YOURS, print_exception=False)
                self._parley.live.resume(shown[lane.number], caller_of(self._parley, request))
            except ParleyError as error:
                raise told(error) from None
            return self._controls(request, shown)

        return resume

    def _stop(self, request: gr.Request, shown: Shown) -> None:
        for run_id in shown.values():
            if self._is_own(request, run_id):
                self._parley.live.stop(run_id)

    def _is_own(self, request: gr.Request, run_id: str) -> bool:
        owner = self._parley.live.owner(run_id)
        return owner is not None and owner == owner_of(request)

    def _is_running(self, request: gr.Request, shown: Shown) -> bool:
        own = (run_id for run_id in shown.values() if self._is_own(request, run_id))
        return any(self._parley.live.is_running(run_id) for run_id in own)

    def _may_continue(self, request: gr.Request, run_id: str | None) -> bool:
        if run_id is None or self._parley.live.is_running(run_id):
            return False
        try:
            run = self._parley.store.run(run_id)
        except ParleyError:
            return False
        return run.status in ("stopped", "interrupted", "failed") and run.owner == owner_of(request)

    def _idle(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        """The controls, once a lane has ended; what was loaded meanwhile comes first in the lists."""
        if not shown:
            return self._controls(request, shown)
        listed = gr.update(choices=choices(self._parley))
        return {**dict.fromkeys(self.setup.agents, listed), **self._controls(request, shown)}

    def _controls(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        """While the visitor's own negotiation runs it can be stopped; else the next one can be set up."""
        running = self._is_running(request, shown)
        shut, free = gr.update(interactive=not running), gr.update(interactive=running)
        ended = bool(shown) and not running
        new = {self.start: shut, self.stop: free, self.setup.swap: shut, self.again: gr.update(interactive=ended)}
        for lane in self.lanes:
            new[lane.resume] = gr.update(visible=not running and self._may_continue(request, shown.get(lane.number)))
        return {self.setup.scenario.picked: shut, **new}

    def _follower(self, lane: Lane) -> Any:
        async def follow(shown: Shown) -> AsyncIterator[dict[Any, Any]]:
            run_id = shown.get(lane.number)
            nothing = {part: gr.skip() for part in lane.outputs}
            yield nothing  # one that yields nothing empties its outputs
            if run_id is None:
                return
            async for updates in follow_run(self._parley, lane, run_id):
                if shown.get(lane.number) != run_id:
                    yield nothing  # the last update is sent once more at the end
                    return
                yield updates

        return follow


def link_html(run: Run, run_id: str = "") -> str:
    """The seed of a run, whether it would repeat, and the run's link."""
    run_id = run_id or run.run_id
    scripted = all(config.agent in STRATEGIES for config in run.agents.values())
    seed = tag(
        "span", esc(text.RAN_WITH.format(seed=run.seed)), "seed", title=text.REPEATS if scripted else text.VARIES
    )
    link = tag("a", esc(text.LINK), href=f"?run={run_id}", data_run=run_id)
    copy = tag("button", esc(text.COPY), "plain", type="button", data_copy=f"?run={run_id}", data_done=text.COPIED)
    note = tag("span", esc(text.REPEATS if scripted else text.VARIES), "note")
    return tag("p", seed + link + copy + note)
