"""The arena: two lanes that run at the same time, and what starts, stops and follows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import zip_longest
from typing import Any

import gradio as gr

from manager.errors import ParleyError
from negotiation.agents.catalog import AgentConfig
from negotiation.analysis import Analyser
from negotiation.errors import UnknownRun
from negotiation.live import new_run_id
from negotiation.parley import Parley
from negotiation.scenario import SEATS, Scenario, Seat
from negotiation.store import Run
from negotiation.watch import stored_events
from ui import text
from ui.html import esc, tag
from ui.lane import Lane, Painter, build_lane
from ui.view import LaneView
from ui.visitor import visitor_of

Shown = dict[int, str]
"""Which run each lane of an open page shows, kept with the page: whoever follows a run stops when it changes."""

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
        self.shown = gr.State({})
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

    def connect(self, opened: Any, quiet: dict[str, Any]) -> None:
        """Connect the parts; `opened` is the page's load event, which sets what a link to a run names."""
        self._follow(opened.then, quiet)
        started = self.start.click(
            self._start, [self.shown, self.scenario, self.seed, *self.pickers], [self.link, *self.controls], **quiet
        )
        self._follow(started.success, quiet)
        self.stop.click(self._stop, [self.shown], None, **quiet)
        # Only what a person chooses: a link that is opened sets the scenario, too, and follows its own runs.
        self.scenario.input(
            self._choose,
            [self.shown, self.scenario],
            [self.story, self.link, *self.pickers, *(part for lane in self.lanes for part in lane.outputs)],
            **quiet,
        )

    @property
    def pickers(self) -> list[Any]:
        """Who plays, lane by lane."""
        return [picker for lane in self.lanes for picker in (lane.agent_a, lane.agent_b)]

    @property
    def controls(self) -> list[Any]:
        """What is locked or open, depending on whether the visitor's own negotiation runs."""
        return [self.scenario, self.start, self.stop]

    def _follow(self, then: Any, quiet: dict[str, Any]) -> None:
        """After an event that set what the lanes show, follow both runs at the same time."""
        for lane in self.lanes:
            followed = then(self._follower(lane), [self.shown], lane.outputs, **quiet)
            followed.then(self._idle, [self.shown], self.controls, **quiet)

    # -- handlers ----------------------------------------------------------------------------------------------

    def opened(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        """What a link to a run sets: both lanes of its comparison, scenario and agents."""
        run_id = str(request.query_params.get("run", ""))
        if not run_id:
            return {self.link: ""}
        try:
            runs = self._parley.store.comparison(run_id)
        except ParleyError as error:
            message = text.UNKNOWN_RUN if isinstance(error, UnknownRun) else str(error)
            return {self.link: tag("p", esc(message), "notice")}
        scenario = runs[0].scenario
        new: dict[Any, Any] = {self.link: link_html(run_id), self.seed: runs[0].seed, self.story: story_html(scenario)}
        empty = self._empty(scenario)
        for lane, run in zip_longest(self.lanes, runs[: len(self.lanes)]):
            if run is None:
                new |= {part: empty[part] for part in lane.outputs}
                continue
            shown[lane.number] = run.run_id
            new[lane.agent_a] = gr.update(value=run.agents["a"].agent, label=_label(scenario, "a"))
            new[lane.agent_b] = gr.update(value=run.agents["b"].agent, label=_label(scenario, "b"))
        new |= self._controls(request, shown)
        if scenario.scenario_id in self._parley.scenarios:
            new[self.scenario] = {**new[self.scenario], "value": scenario.scenario_id}
        return new

    def _choose(self, shown: Shown, scenario_id: str) -> dict[Any, Any]:
        scenario = self._parley.scenarios[scenario_id]
        new: dict[Any, Any] = {self.story: story_html(scenario), self.link: "", **self._empty(scenario)}
        shown.clear()
        for lane in self.lanes:
            new[lane.agent_a] = gr.update(label=_label(scenario, "a"))
            new[lane.agent_b] = gr.update(label=_label(scenario, "b"))
        return new

    def _empty(self, scenario: Scenario) -> dict[Any, Any]:
        analyser = Analyser(scenario)
        return {k: v for lane in self.lanes for k, v in Painter(lane, analyser).paint(LaneView(scenario)).items()}

    def _start(
        self, request: gr.Request, shown: Shown, scenario_id: str, seed: float | None, *agents: str
    ) -> dict[Any, Any]:
        scenario = self._parley.scenarios[scenario_id]
        comparison = new_run_id()
        runs = []
        for lane, a, b in zip(self.lanes, agents[::2], agents[1::2], strict=True):
            if not a or not b:
                raise gr.Error(text.PICK_AN_AGENT.format(number=lane.number), print_exception=False)
            pair: dict[Seat, AgentConfig] = {"a": AgentConfig(a), "b": AgentConfig(b)}
            owner = _owner(request)
            runs.append(Run("", scenario, pair, int(seed or 0), owner=owner, comparison=comparison, lane=lane.number))
        self._stop(request, shown)
        started: list[str] = []
        try:
            started.extend(map(self._parley.live.start, runs))
        except ParleyError as error:
            for run_id in started:
                self._parley.live.stop(run_id)
            raise gr.Error(str(error), print_exception=False) from None
        shown.update((lane.number, run_id) for lane, run_id in zip(self.lanes, started, strict=True))
        return {self.link: link_html(started[0]), **self._controls(request, shown)}

    def _stop(self, request: gr.Request, shown: Shown) -> None:
        for run_id in shown.values():
            if self._is_own(request, run_id):
                self._parley.live.stop(run_id)

    def _is_own(self, request: gr.Request, run_id: str) -> bool:
        owner = self._parley.live.owner(run_id)
        return owner is not None and owner == _owner(request)

    def _idle(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        """The controls, once a lane has ended."""
        return self._controls(request, shown)

    def _controls(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        """While the visitor's own negotiation runs it can be stopped; else the next one can be set up."""
        own = (run_id for run_id in shown.values() if self._is_own(request, run_id))
        running = any(self._parley.live.is_running(run_id) for run_id in own)
        shut, free = gr.update(interactive=not running), gr.update(interactive=running)
        return {self.scenario: shut, self.start: shut, self.stop: free}

    def _follower(self, lane: Lane) -> Any:
        async def follow(shown: Shown) -> AsyncIterator[dict[Any, Any]]:
            run_id = shown.get(lane.number)
            yield {part: gr.skip() for part in lane.outputs}  # one that yields nothing empties its outputs
            if run_id is None:
                return
            async for updates in follow_run(self._parley, lane, run_id):
                if shown.get(lane.number) != run_id:
                    return
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


def _owner(request: gr.Request) -> str | None:
    """Who may stop a run: the visitor, or where the browser keeps no cookies, the open page."""
    return visitor_of(request) or request.session_hash


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
