"""The arena: two lanes that run at the same time, and what starts, stops and follows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from manager.errors import ParleyError
from negotiation.agents.catalog import AgentConfig
from negotiation.analysis import Analyser
from negotiation.errors import UnknownRun
from negotiation.live import new_run_id, stored_events
from negotiation.parley import Parley
from negotiation.scenario import SEATS, Scenario, Seat
from negotiation.store import Run
from ui import text
from ui.charts import utility_space
from ui.html import esc, tag
from ui.lane import Lane, Painter, build_lane
from ui.view import LaneView
from ui.visitor import visitor_of

UPDATE_SECONDS = 0.1
OTHER_PROCESS_SECONDS = 2.0
FIRST_SCENARIO = "company_car"
FIRST_AGENTS = (("smollm2-steady", "boulware"), ("smollm2-bold", "boulware"))

KEEP_LINK = """
watch('value', () => {
  const run = element.querySelector('[data-run]');
  if (run) history.replaceState(null, '', '?run=' + encodeURIComponent(run.dataset.run));
});
"""
"""Puts the run into the address, so that a reload joins it again."""


class Arena:
    """Builds the arena where it is created and connects its parts."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        scenarios = parley.scenarios
        first = scenarios.get(FIRST_SCENARIO) or next(iter(scenarios.values()))
        with gr.Row(elem_classes="setup"):
            with gr.Column(scale=3, min_width=280):
                self.scenario = gr.Dropdown(
                    [(scenario.title, scenario.scenario_id) for scenario in scenarios.values()],
                    value=first.scenario_id,
                    label=text.SCENARIO,
                    elem_id="arena-scenario",
                )
                self.story = gr.HTML(story_html(first), elem_classes="story")
            with gr.Column(scale=1, min_width=220):
                self.seed = gr.Number(
                    1,
                    precision=0,
                    minimum=0,
                    maximum=2**31 - 1,
                    label=text.SEED,
                    info=text.SEED_INFO,
                    elem_id="arena-seed",
                )
                with gr.Row():
                    self.start = gr.Button(text.START, variant="primary", elem_id="arena-start", min_width=90)
                    self.stop = gr.Button(text.STOP, elem_id="arena-stop", min_width=90, interactive=False)
                self.link = gr.HTML(elem_classes="link", js_on_load=KEEP_LINK)
        choices = agent_choices(parley)
        known = {value for _, value in choices}
        with gr.Row(elem_classes="lanes", equal_height=False):
            self.lanes = [
                build_lane(number, choices, _known_agents(agents, known), first, Analyser(first))
                for number, agents in enumerate(FIRST_AGENTS, 1)
            ]
        self._connect()

    def _connect(self) -> None:
        lanes = self.lanes
        pickers = [picker for lane in lanes for picker in (lane.agent_a, lane.agent_b)]
        runs = [lane.run_id for lane in lanes]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
        plots = [lane.plot for lane in lanes]
        self.scenario.change(self._choose, [self.scenario], [self.story, *pickers, *plots], **quiet)
        started = self.start.click(
            self._start,
            [self.scenario, self.seed, *runs, *pickers],
            [*runs, self.link, self.start, self.stop],
            **quiet,
        )
        self.stop.click(self._stop, runs, None, **quiet)
        self.follow(started.success, quiet)

    def follow(self, then: Any, quiet: dict[str, Any]) -> None:
        """After an event that set the lanes' run ids, follow both runs at the same time."""
        for lane in self.lanes:
            followed = then(self._follower(lane), [lane.run_id], lane.outputs, **quiet)
            followed.then(self._idle, [other.run_id for other in self.lanes], [self.start, self.stop], **quiet)

    # -- handlers ----------------------------------------------------------------------------------------------

    def opened(self, run_id: str) -> dict[Any, Any]:
        """What a link to a run sets: both lanes of its comparison, scenario and agents."""
        if not run_id:
            return {self.link: ""}
        try:
            runs = self._parley.store.comparison(run_id)
        except ParleyError as error:
            message = text.UNKNOWN_RUN if isinstance(error, UnknownRun) else str(error)
            return {self.link: tag("p", esc(message), "notice")}
        scenario = runs[0].scenario
        new: dict[Any, Any] = {self.link: link_html(run_id), self.seed: runs[0].seed, self.story: story_html(scenario)}
        if scenario.scenario_id in self._parley.scenarios:
            new[self.scenario] = scenario.scenario_id
        for lane, run in zip(self.lanes, runs, strict=False):
            new[lane.run_id] = run.run_id
            new[lane.agent_a] = gr.update(value=run.agents["a"].agent, label=_label(scenario, "a"))
            new[lane.agent_b] = gr.update(value=run.agents["b"].agent, label=_label(scenario, "b"))
        running = any(self._parley.live.is_running(run.run_id) for run in runs)
        return {**new, self.start: gr.update(interactive=not running), self.stop: gr.update(interactive=running)}

    def _choose(self, scenario_id: str) -> dict[Any, Any]:
        scenario = self._parley.scenarios[scenario_id]
        plot = utility_space(scenario, Analyser(scenario), (), agreed=False)
        new: dict[Any, Any] = {self.story: story_html(scenario)}
        for lane in self.lanes:
            new[lane.plot] = plot
            new[lane.agent_a] = gr.update(label=_label(scenario, "a"))
            new[lane.agent_b] = gr.update(label=_label(scenario, "b"))
        return new

    def _start(self, request: gr.Request, scenario_id: str, seed: float | None, *given: str) -> dict[Any, Any]:
        running, agents = given[:2], given[2:]
        for run_id in running:
            self._stop_own(request, run_id)
        scenario = self._parley.scenarios[scenario_id]
        comparison = new_run_id()
        new: dict[Any, Any] = {}
        for lane, a, b in zip(self.lanes, agents[::2], agents[1::2], strict=True):
            if not a or not b:
                raise gr.Error(text.PICK_AN_AGENT.format(number=lane.number), print_exception=False)
            pair: dict[Seat, AgentConfig] = {"a": AgentConfig(a), "b": AgentConfig(b)}
            run = Run(
                "", scenario, pair, int(seed or 0), owner=visitor_of(request), comparison=comparison, lane=lane.number
            )
            try:
                new[lane.run_id] = self._parley.live.start(run)
            except ParleyError as error:
                raise gr.Error(str(error), print_exception=False) from None
        first = new[self.lanes[0].run_id]
        busy = {self.start: gr.update(interactive=False), self.stop: gr.update(interactive=True)}
        return {**new, **busy, self.link: link_html(first)}

    def _stop(self, request: gr.Request, *runs: str) -> None:
        for run_id in runs:
            self._stop_own(request, run_id)

    def _stop_own(self, request: gr.Request, run_id: str) -> None:
        owner = self._parley.live.owner(run_id)
        if owner is not None and owner == visitor_of(request):
            self._parley.live.stop(run_id)

    def _idle(self, *runs: str) -> dict[Any, Any]:
        """The buttons, once a lane has ended."""
        running = any(self._parley.live.is_running(run_id) for run_id in runs)
        return {self.start: gr.update(interactive=not running), self.stop: gr.update(interactive=running)}

    def _follower(self, lane: Lane) -> Any:
        async def follow(run_id: str) -> AsyncIterator[dict[Any, Any]]:
            if not run_id:
                yield {part: gr.skip() for part in lane.outputs}  # one that yields nothing empties its outputs
                return
            async for updates in follow_run(self._parley, lane, run_id):
                yield updates

        return follow


async def follow_run(parley: Parley, lane: Lane, run_id: str) -> AsyncIterator[dict[Any, Any]]:
    """Updates of a lane for a run: from its beginning to its end if it runs here, else as it is stored."""
    run = await asyncio.to_thread(parley.store.run, run_id)
    painter = Painter(lane, Analyser(run.scenario))
    view = LaneView(run.scenario)
    watch = parley.live.watch(run_id)
    if watch is None:
        async for updates in _follow_stored(parley, painter, run):
            yield updates
        return
    with watch:
        yield painter.paint(view)
        while view.end is None:
            if events := watch.poll(0):
                view = view.fold(events)
                yield painter.paint(view)
            await asyncio.sleep(UPDATE_SECONDS)


async def _follow_stored(parley: Parley, painter: Painter, run: Run) -> AsyncIterator[dict[Any, Any]]:
    while True:
        yield painter.paint(LaneView(run.scenario).fold(stored_events(run)))
        if run.status != "running":
            return
        await asyncio.sleep(OTHER_PROCESS_SECONDS)  # another process drives it, or did
        await asyncio.to_thread(parley.store.mark_interrupted)
        run = await asyncio.to_thread(parley.store.run, run.run_id)


def agent_choices(parley: Parley) -> list[tuple[str, str]]:
    """The pick list: models, then strategies, each under a heading that cannot be played."""
    listed: list[tuple[str, str]] = []
    heading = ""
    for choice in parley.catalog.choices():
        if choice.heading != heading:
            heading = choice.heading
            listed.append((text.MODELS_HEADING if heading == "Models" else text.STRATEGIES_HEADING, ""))
        listed.append((choice.label, choice.agent))
    return listed


def story_html(scenario: Scenario) -> str:
    """A scenario's story and who sits at the table."""
    names = " · ".join(esc(scenario.roles[seat].name) for seat in SEATS)
    return tag("p", esc(scenario.story)) + tag("p", names, "roles")


def link_html(run_id: str) -> str:
    """The link to a run."""
    return tag("a", esc(text.LINK), href=f"?run={run_id}", data_run=run_id)


def _label(scenario: Scenario, seat: Seat) -> str:
    return text.AGENT.format(name=scenario.roles[seat].name)


def _known_agents(agents: tuple[str, str], known: set[str]) -> tuple[str, str]:
    """The agents, those that are not registered here replaced by the first one that is."""
    first = next(value for value in sorted(known) if value)
    a, b = (agent if agent in known else first for agent in agents)
    return a, b
