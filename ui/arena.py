"""The arena: two lanes that run at the same time, and what starts, stops and follows them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from itertools import zip_longest
from typing import Any

import gradio as gr

from manager.errors import ParleyError
from negotiation.agents.catalog import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.errors import UnknownRun
from negotiation.live import new_run_id
from negotiation.parley import Parley
from negotiation.scenario import Scenario, Seat
from negotiation.store import Run
from negotiation.watch import stored_events
from ui import text
from ui.agents import about_html, choices, labels
from ui.html import QUIET, esc, script, tag
from ui.lane import Lane, Painter, build_lane, relabel
from ui.pairs import Pairs
from ui.presets import Players, presets, presets_html
from ui.scenarios import OWN, build_scenario_picker, chosen_scenario, editable, findings_html, first_scenario
from ui.space import space_of
from ui.view import LaneView
from ui.visitor import visitor_of

Shown = dict[int, str]
"""Which run each lane of an open page shows, kept with the page: whoever follows a run stops when it changes."""

UPDATE_SECONDS = 0.1
OTHER_PROCESS_SECONDS = 2.0
FIRST_SEED = 1
NO_LINK = tag("span", data_run="")
SEED_LOW, SEED_HIGH = -(2**31), 2**31 - 1


def build_arena(parley: Parley, page: gr.Blocks, tab: gr.Tab) -> None:
    """Create the tab's content where it is called, and let a link to a run open it."""
    Arena(parley).connect(page)


class Arena:
    """Builds the arena where it is created and connects its parts."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._presets = presets(parley)
        first = first_scenario(parley)
        self.shown = gr.State({})
        self.memory = gr.BrowserState(None, storage_key="parley-arena", secret="parley")
        self.preset = gr.HTML(presets_html(self._presets), elem_id="arena-presets", js_on_load=script("send"))
        self.scenario = build_scenario_picker(parley)
        with gr.Row(elem_classes="controls"):
            self.swap = gr.Button(text.SWAP, elem_id="arena-swap", min_width=130, scale=0)
            self.seed = gr.Number(
                FIRST_SEED, precision=0, label=text.SEED, info=text.SEED_INFO, elem_id="arena-seed", min_width=150
            )
            self.suspense = gr.Checkbox(False, label=text.SUSPENSE, elem_id="arena-suspense", min_width=200)
        with gr.Row(elem_classes="buttons"):
            self.start = gr.Button(text.START, variant="primary", elem_id="arena-start", min_width=100, scale=0)
            self.stop = gr.Button(text.STOP, elem_id="arena-stop", min_width=80, scale=0, interactive=False)
            self.again = gr.Button(text.AGAIN, elem_id="arena-again", min_width=170, scale=0, interactive=False)
            self.link = gr.HTML(elem_classes="link", elem_id="arena-link", js_on_load=script("link"))
        listed = choices(parley)
        with gr.Row(elem_classes="lanes", equal_height=False):
            self.lanes = [build_lane(number, first, listed) for number in (1, 2)]
        self.pairs = Pairs(parley)

    # -- connections -------------------------------------------------------------------------------------------

    def connect(self, page: gr.Blocks) -> None:
        """Connect the parts; opening the page sets what a link to a run names, or what was set up before."""
        chosen = self.scenario
        everything = [self.link, self.seed, self.suspense, chosen.own, *self._setup, *self.controls, *self._painted]
        opened = page.load(self._opened, [self.shown, self.memory], everything, **QUIET)
        self._follow(opened.then)
        started = self.start.click(
            self._start, [self.shown, *self._form], [self.link, self.seed, *self.controls], **QUIET
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
        paired = self.pairs.run.click(self._run_pairs, [self.pairs.count, *self._form], None, **QUIET)
        for event in (opened, paired):
            event.success(self._follow_pairs, None, self.pairs.outputs, **QUIET)
        self.pairs.stop.click(self._stop_pairs, None, None, **QUIET)
        self._connect_setup()

    def _connect_setup(self) -> None:
        chosen = self.scenario
        cleared = [self.link, *chosen.outputs, *self._agents, *self._painted]
        # Only what a person chooses: a link that is opened sets the scenario, too, and follows its own runs.
        picked = chosen.picked.input(self._choose, [self.shown, chosen.picked, chosen.own], cleared, **QUIET)
        carded = chosen.cards.click(self._choose_card, [self.shown, chosen.own], cleared, **QUIET)
        used = chosen.use.click(self._use, [self.shown, chosen.own], [chosen.editor, *cleared], **QUIET)
        preset = self.preset.click(self._choose_preset, None, [self.preset, *self._setup], **QUIET)
        swapped = self.swap.click(self._swap, self._form, self._setup, **QUIET)
        edited = [part.input for part in (self.seed, self.suspense, chosen.own, *self._picked)]
        watched = [self.memory, self.preset, *(picker.about for lane in self.lanes for picker in lane.pickers)]
        gr.on(edited, self._remember, [self.suspense, *self._form], watched, trigger_mode="always_last", **QUIET)
        for event in (picked, carded, used, preset, swapped):
            event.success(self._remember, [self.suspense, *self._form], watched, **QUIET)
        opened = chosen.edit.click(self._edit, [chosen.picked, chosen.own], [chosen.editor, chosen.own], **QUIET)
        opened.success(self._lint, [chosen.own], [chosen.findings], **QUIET)
        chosen.close.click(lambda: gr.update(visible=False), None, [chosen.editor], **QUIET)
        chosen.own.change(self._lint, [chosen.own], [chosen.findings], trigger_mode="always_last", **QUIET)
        chosen.upload.upload(self._upload, [chosen.upload], [chosen.own], **QUIET)

    @property
    def _agents(self) -> list[Any]:
        """The pick lists, lane by lane."""
        return [picker.agent for lane in self.lanes for picker in lane.pickers]

    @property
    def _picked(self) -> list[Any]:
        """Everything that says who plays."""
        return [part for lane in self.lanes for picker in lane.pickers for part in picker.inputs]

    @property
    def _form(self) -> list[Any]:
        """What a start needs."""
        return [self.scenario.picked, self.scenario.own, self.seed, *self._picked]

    @property
    def _setup(self) -> list[Any]:
        """Everything that a set-up is shown in."""
        abouts = [picker.about for lane in self.lanes for picker in lane.pickers]
        return list(dict.fromkeys([self.preset, *self.scenario.outputs, *self._picked, *abouts]))

    @property
    def _painted(self) -> list[Any]:
        return [part for lane in self.lanes for part in lane.outputs]

    @property
    def controls(self) -> list[Any]:
        """What is locked or open, depending on whether the visitor's own negotiation runs."""
        buttons = [self.start, self.stop, self.again, self.swap, *(lane.resume for lane in self.lanes)]
        return [self.scenario.picked, *buttons]

    def _follow(self, then: Any) -> None:
        """After an event that set what the lanes show, follow both runs at the same time."""
        for lane in self.lanes:
            followed = then(self._follower(lane), [self.shown], lane.outputs, **QUIET)
            followed.then(self._idle, [self.shown, *self._agents], [*self.controls, *self._agents], **QUIET)

    # -- setting up --------------------------------------------------------------------------------------------

    def _opened(self, request: gr.Request, shown: Shown, memory: Any) -> dict[Any, Any]:
        """What a link to a run sets (both lanes of its comparison, scenario and agents), or what was set up before."""
        new: dict[Any, Any] = self._remembered(memory)
        run_id = str(request.query_params.get("run", ""))
        runs: list[Run] = []
        if run_id:
            try:
                runs = self._parley.store.comparison(run_id)[: len(self.lanes)]
            except ParleyError as error:
                message = text.UNKNOWN_RUN if isinstance(error, UnknownRun) else str(error)
                new[self.link] = tag("p", esc(message), "notice")
        if runs:
            new |= self._of_runs(shown, runs)
        return {**new, **_merged(new, self._controls(request, shown))}

    def _of_runs(self, shown: Shown, runs: list[Run]) -> dict[Any, Any]:
        first, scenario = runs[0], runs[0].scenario
        new: dict[Any, Any] = {self.link: link_html(first), self.seed: first.seed}
        if self._parley.scenarios.get(scenario.scenario_id) != scenario:
            scenario = scenario.model_copy(update={"scenario_id": OWN})
            new[self.scenario.own] = editable(scenario)
        new |= self._show_scenario(scenario)
        for lane, run in zip_longest(self.lanes, runs):
            if run is None:
                continue
            shown[lane.number] = run.run_id
            new = _merged(new, self._show_players(lane, (run.agents["a"], run.agents["b"])))
        return new

    def _remembered(self, memory: Any) -> dict[Any, Any]:
        """What was set up before, as far as it still exists; else a first visit's."""
        kept: Mapping[str, Any] = memory if isinstance(memory, dict) else {}
        own = kept.get("own") if isinstance(kept.get("own"), str) else ""
        try:
            scenario = chosen_scenario(self._parley, str(kept.get("scenario")), own or "")
        except ParleyError:
            scenario = first_scenario(self._parley)
        lanes = self._known_players(kept.get("agents")) or self._presets[0].lanes
        seed = kept.get("seed", FIRST_SEED)
        new: dict[Any, Any] = {
            self.link: "",
            self.seed: seed if isinstance(seed, int) else None,
            self.suspense: kept.get("suspense") is True,
            self.scenario.own: own,
            **self._show_scenario(scenario),
        }
        return _merged(new, self._show_lanes(lanes))

    def _known_players(self, data: Any) -> tuple[Players, ...] | None:
        try:
            found = [AgentConfig.from_json(entry) for entry in data]
            for config in found:
                self._parley.catalog.create(config)
        except (ParleyError, TypeError):
            return None
        return ((found[0], found[1]), (found[2], found[3])) if len(found) == 2 * len(self.lanes) else None

    def _show_scenario(self, scenario: Scenario) -> dict[Any, Any]:
        """The updates that show a scenario as the chosen one, and lanes with nothing in them."""
        new: dict[Any, Any] = self.scenario.show(self._parley, scenario)
        space, names = space_of(scenario), labels(self._parley)
        for lane in self.lanes:
            new |= relabel(lane, scenario) | Painter(lane, space, names).paint(LaneView(scenario))
        return new

    def _show_players(self, lane: Lane, players: Players) -> dict[Any, Any]:
        new: dict[Any, Any] = {}
        for picker, config in zip(lane.pickers, players, strict=True):
            new |= picker.show(self._parley, config)
        return new

    def _show_lanes(self, lanes: tuple[Players, ...]) -> dict[Any, Any]:
        new: dict[Any, Any] = {self.preset: self._shown_preset(lanes)}
        for lane, players in zip(self.lanes, lanes, strict=True):
            new |= self._show_players(lane, players)
        return new

    def _shown_preset(self, lanes: tuple[Players, ...]) -> str:
        return presets_html(self._presets, next((it.preset_id for it in self._presets if it.lanes == lanes), ""))

    def _choose(self, shown: Shown, scenario_id: str, own: str) -> dict[Any, Any]:
        try:
            scenario = chosen_scenario(self._parley, scenario_id, own)
        except ParleyError as error:
            raise gr.Error(str(error), print_exception=False) from None
        shown.clear()
        return {self.link: NO_LINK, **self._show_scenario(scenario)}

    def _choose_card(self, request: gr.Request, shown: Shown, own: str, event: gr.EventData) -> dict[Any, Any]:
        if self._is_running(request, shown):
            raise gr.Error(text.RUNNING, print_exception=False)
        return self._choose(shown, str(event.scenario), own)

    def _choose_preset(self, event: gr.EventData) -> dict[Any, Any]:
        found = next((preset for preset in self._presets if preset.preset_id == event.preset), self._presets[0])
        return self._show_lanes(found.lanes)

    def _swap(self, scenario_id: str, own: str, seed: float | None, *values: Any) -> dict[Any, Any]:
        lanes = tuple((b, a) for a, b in self._players(values))
        return self._show_lanes(lanes)

    def _edit(self, scenario_id: str, own: str) -> dict[Any, Any]:
        """Open the editor with the chosen scenario."""
        shipped = self._parley.scenarios.get(scenario_id)
        return {
            self.scenario.editor: gr.update(visible=True),
            self.scenario.own: own if shipped is None else editable(shipped),
        }

    def _use(self, request: gr.Request, shown: Shown, own: str) -> dict[Any, Any]:
        if self._is_running(request, shown):
            raise gr.Error(text.RUNNING, print_exception=False)
        return {self.scenario.editor: gr.update(visible=False), **self._choose(shown, OWN, own)}

    @staticmethod
    def _lint(own: str) -> str:
        return findings_html(own)

    @staticmethod
    def _upload(path: str) -> str:
        try:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123
                return file.read()
        except (OSError, UnicodeDecodeError):
            raise gr.Error(text.UPLOAD_BAD, print_exception=False) from None

    def _remember(self, suspense: bool, scenario_id: str, own: str, seed: float | None, *values: Any) -> dict[Any, Any]:
        """Keep the set-up in the browser, and say what it is."""
        lanes = self._players(values)
        configs = [config for players in lanes for config in players]
        memory = {
            "scenario": scenario_id,
            "own": own,
            "seed": seed,
            "suspense": suspense,
            "agents": [config.to_json() for config in configs],
        }
        new: dict[Any, Any] = {self.memory: memory, self.preset: self._shown_preset(lanes)}
        pickers = [picker for lane in self.lanes for picker in lane.pickers]
        return new | {p.about: about_html(self._parley, config) for p, config in zip(pickers, configs, strict=True)}

    def _players(self, values: tuple[Any, ...]) -> tuple[Players, ...]:
        """Who plays, from the values of `_picked`."""
        rest, configs = list(values), []
        for lane in self.lanes:
            for picker in lane.pickers:
                count = len(picker.inputs)
                configs.append(picker.config(rest[:count]))
                del rest[:count]
        return tuple(zip(configs[::2], configs[1::2], strict=True))

    # -- running -----------------------------------------------------------------------------------------------

    def _start(
        self, request: gr.Request, shown: Shown, scenario_id: str, own: str, seed: float | None, *values: Any
    ) -> dict[Any, Any]:
        try:
            scenario = chosen_scenario(self._parley, scenario_id, own)
        except ParleyError as error:
            raise gr.Error(str(error), print_exception=False) from None
        lanes = self._players(values)
        for lane, players in zip(self.lanes, lanes, strict=True):
            if not all(config.agent for config in players):
                raise gr.Error(text.PICK_AN_AGENT.format(number=lane.number), print_exception=False)
        number = _seed(seed)
        return {self.seed: number, **self._begin(request, shown, scenario, number, lanes)}

    def _again(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        """The negotiations that are shown once more: same scenario, agents and seed."""
        try:
            runs = [self._parley.store.run(run_id) for _, run_id in sorted(shown.items())]
        except ParleyError as error:
            raise gr.Error(str(error), print_exception=False) from None
        lanes = tuple((run.agents["a"], run.agents["b"]) for run in runs)
        return self._begin(request, shown, runs[0].scenario, runs[0].seed, lanes)

    def _begin(
        self, request: gr.Request, shown: Shown, scenario: Scenario, seed: int, lanes: tuple[Players, ...]
    ) -> dict[Any, Any]:
        comparison, owner, runs = new_run_id(), _owner(request), []
        for lane, players in zip(self.lanes, lanes, strict=False):
            pair: dict[Seat, AgentConfig] = {"a": players[0], "b": players[1]}
            runs.append(Run("", scenario, pair, seed, owner=owner, comparison=comparison, lane=lane.number))
        self._stop(request, shown)
        started: list[str] = []
        try:
            started.extend(map(self._parley.live.start, runs))
        except ParleyError as error:
            for run_id in started:
                self._parley.live.stop(run_id)
            raise gr.Error(str(error), print_exception=False) from None
        shown.clear()
        shown.update((lane.number, run_id) for lane, run_id in zip(self.lanes, started, strict=False))
        return {self.link: link_html(runs[0], started[0]), **self._controls(request, shown)}

    def _run_pairs(
        self, request: gr.Request, count: Any, scenario_id: str, own: str, seed: float | None, *values: Any
    ) -> None:
        try:
            scenario = chosen_scenario(self._parley, scenario_id, own)
        except ParleyError as error:
            raise gr.Error(str(error), print_exception=False) from None
        self.pairs.start(
            _owner(request), scenario, _seed(FIRST_SEED if seed is None else seed), self._players(values), count
        )

    async def _follow_pairs(self, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        async for updates in self.pairs.follow(_owner(request), labels(self._parley)):
            yield updates

    def _stop_pairs(self, request: gr.Request) -> None:
        self._parley.comparisons.stop(_owner(request))

    def _resumer(self, lane: Lane) -> Any:
        def resume(request: gr.Request, shown: Shown) -> dict[Any, Any]:
            try:
                if not self._may_continue(request, shown.get(lane.number)):
                    raise gr.Error(text.NOT_YOURS, print_exception=False)
                self._parley.live.resume(shown[lane.number])
            except ParleyError as error:
                raise gr.Error(str(error), print_exception=False) from None
            return self._controls(request, shown)

        return resume

    def _stop(self, request: gr.Request, shown: Shown) -> None:
        for run_id in shown.values():
            if self._is_own(request, run_id):
                self._parley.live.stop(run_id)

    def _is_own(self, request: gr.Request, run_id: str) -> bool:
        owner = self._parley.live.owner(run_id)
        return owner is not None and owner == _owner(request)

    def _is_running(self, request: gr.Request, shown: Shown) -> bool:
        own = (run_id for run_id in shown.values() if self._is_own(request, run_id))
        return any(self._parley.live.is_running(run_id) for run_id in own)

    def _may_continue(self, request: gr.Request, run_id: str | None) -> bool:
        if run_id is None or self._parley.live.is_running(run_id):
            return False
        run = self._parley.store.run(run_id)
        return run.status in ("stopped", "interrupted", "failed") and run.owner == _owner(request)

    def _idle(self, request: gr.Request, shown: Shown, *agents: str) -> dict[Any, Any]:
        """The controls, once a lane has ended; what was loaded meanwhile comes first in the lists."""
        listed = choices(self._parley)
        lists = {part: gr.update(choices=listed, value=value) for part, value in zip(self._agents, agents, strict=True)}
        return {**lists, **self._controls(request, shown)}

    def _controls(self, request: gr.Request, shown: Shown) -> dict[Any, Any]:
        """While the visitor's own negotiation runs it can be stopped; else the next one can be set up."""
        running = self._is_running(request, shown)
        shut, free = gr.update(interactive=not running), gr.update(interactive=running)
        ended = bool(shown) and not running
        new = {self.start: shut, self.stop: free, self.swap: shut, self.again: gr.update(interactive=ended)}
        for lane in self.lanes:
            new[lane.resume] = gr.update(visible=not running and self._may_continue(request, shown.get(lane.number)))
        return {self.scenario.picked: shut, **new}

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
    painter = Painter(lane, await asyncio.to_thread(space_of, run.scenario), labels(parley))
    view = LaneView(run.scenario)
    watch = parley.live.watch(run_id)
    if watch is None:
        async for updates in _follow_stored(parley, painter, run):
            yield updates
        return
    with watch:
        yield await asyncio.to_thread(painter.paint, view)
        while view.end is None:
            if events := watch.poll(0):
                view = view.fold(events)
                yield painter.paint(view)
            await asyncio.sleep(UPDATE_SECONDS)


async def _follow_stored(parley: Parley, painter: Painter, run: Run) -> AsyncIterator[dict[Any, Any]]:
    while True:
        view = LaneView(run.scenario).fold(stored_events(run))
        yield await asyncio.to_thread(painter.paint, view)
        if run.status != "running":
            return
        await asyncio.sleep(OTHER_PROCESS_SECONDS)  # another process drives it, or did
        await asyncio.to_thread(parley.store.mark_interrupted)
        run = await asyncio.to_thread(parley.store.run, run.run_id)


def _owner(request: gr.Request) -> str | None:
    """Who may stop a run: the visitor, or where the browser keeps no cookies, the open page."""
    return visitor_of(request) or request.session_hash


def _seed(given: float | None) -> int:
    """The seed to run with: what was given, or one that is drawn."""
    if given is None:
        return random.randrange(1, 10_000)
    if not SEED_LOW <= given <= SEED_HIGH:
        raise gr.Error(text.SEED_WRONG.format(low=SEED_LOW, high=SEED_HIGH), print_exception=False)
    return int(given)


def _merged(new: dict[Any, Any], more: dict[Any, Any]) -> dict[Any, Any]:
    """Both updates; where both are about one component, its value and its other properties together."""
    merged = dict(new)
    for part, update in more.items():
        before = merged.get(part)
        if isinstance(before, dict) and "__type__" in before:
            update = {**before, **(update if isinstance(update, dict) else {"value": update})}
        elif isinstance(update, dict) and "__type__" in update and part in merged:
            update = {"value": before, **update}
        merged[part] = update
    return merged


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
