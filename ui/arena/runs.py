"""The runs in the lanes of an open page: which are shown, and what their visitor may do with them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import gradio as gr

from manager.errors import ParleyError
from negotiation.app.parley import Parley
from negotiation.comparison.comparison import Players
from negotiation.errors import UnknownRun
from negotiation.runs.record import Run, new_run_id
from negotiation.scenario.model import Scenario
from ui.arena import text
from ui.kit import text as shared
from ui.kit.errors import plainly
from ui.server.accounts import payer_of
from ui.server.operator import caller_of
from ui.server.visitor import owner_of

SEED_LOW, SEED_HIGH = -(2**31), 2**31 - 1
Played = tuple[Scenario, tuple[Players, ...]]
"""A scenario, and who plays seats a and b in each lane."""


def lanes_of(runs: Sequence[Run]) -> tuple[Players, ...]:
    """Return who plays in each lane."""
    return tuple((run.agents["a"], run.agents["b"]) for run in runs)


@dataclass
class Shown:
    """The run in each lane of an open page, kept in its `gr.State`.

    Handlers change it in place: whoever follows a run holds the same object, and stops once `version` has grown.
    """

    by_lane: dict[int, str] = field(default_factory=dict)
    played: Played | None = None
    veiled: bool = False  # whether who plays is hidden until the visitor has voted
    version: int = 0  # grows whenever something else is shown
    recorded: bool = False  # whether the lanes show a recording that was played
    following: set[int] = field(default_factory=set)  # the lanes that do not show everything yet
    seen: dict[int, int] = field(default_factory=dict)  # how many turns a lane shows at once, before it plays the rest
    begun: bool = False  # whether the visitor began what the lanes play
    hurried: bool = False  # whether the rest is to be shown at once

    def of(self, lane: int) -> str | None:
        """Return the id of the run in a lane."""
        return self.by_lane.get(lane)

    def show(self, runs: Sequence[Run] = ()) -> None:
        """Show other runs, lane by lane, or none."""
        self.by_lane = {number: run.run_id for number, run in enumerate(runs, 1)}
        self.played = (runs[0].scenario, lanes_of(runs)) if runs else None
        self.veiled = self.recorded = self.begun = False
        self.following.clear()
        self.seen.clear()
        self.version += 1

    def play(self, seen: Mapping[int, int]) -> None:
        """Show turns as they are made in some lanes, after the number of turns that are seen."""
        self.seen.update(seen)
        self.following.update(seen)
        self.begun, self.hurried = True, False

    @property
    def playing(self) -> bool:
        """Whether something that the visitor began does not show everything yet."""
        return self.begun and bool(self.following)

    def is_stale(self, scenario: Scenario, lanes: tuple[Players, ...]) -> bool:
        """Return whether the lanes show runs of another set-up."""
        return self.played is not None and self.played != (scenario, lanes[: len(self.played[1])])


class LaneRuns:
    """Starts, stops and continues runs for the visitor who makes a request. Knows no components."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley

    def begin(
        self,
        request: gr.Request,
        shown: Shown,
        scenario: Scenario,
        seed: int,
        lanes: Sequence[Players],
        limit: float | None = None,
    ) -> list[Run]:
        """Stop the visitor's runs and start one per lane. Raises gr.Error, starting nothing.

        Args:
            limit: US dollars that each may cost.
        """
        comparison, owner, runs = new_run_id(), owner_of(request), []
        for number, (a, b) in enumerate(lanes, 1):
            run = Run(
                run_id="",
                scenario=scenario,
                agents={"a": a, "b": b},
                seed=seed,
                owner=owner,
                comparison=comparison,
                lane=number,
            )
            runs.append(run)
        caller, payer = caller_of(self._parley, request), payer_of(self._parley, request, limit)
        started: list[str] = []
        with plainly():
            try:
                self._parley.live.check(runs, caller, payer)
                self.stop(request, shown)
                for run in runs:
                    started.append(self._parley.live.start(run, caller=caller, payer=payer))  # noqa: PERF401 (undone below)
            except ParleyError:
                for run_id in started:  # another visitor took the last lane after the check
                    with suppress(ParleyError):
                        self._parley.live.delete(run_id)
                raise
        runs = [replace(run, run_id=run_id) for run, run_id in zip(runs, started, strict=True)]
        shown.show(runs)
        shown.play(dict.fromkeys(shown.by_lane, 0))
        return runs

    def rerun(self, request: gr.Request, shown: Shown, limit: float | None = None) -> list[Run]:
        """Start the shown runs once more: same scenario, agents and seed."""
        with plainly():
            try:
                runs = [self._parley.store.run(run_id) for _, run_id in sorted(shown.by_lane.items())]
            except UnknownRun:
                runs = []
        if not runs:
            raise gr.Error(text.AGAIN_GONE, print_exception=False)
        return self.begin(request, shown, runs[0].scenario, runs[0].seed, lanes_of(runs), limit)

    def stop(self, request: gr.Request, shown: Shown) -> None:
        """Stop the shown runs that are the visitor's own, and show at once what has happened."""
        shown.hurried = True
        for run_id in self._own(request, shown):
            self._parley.live.stop(run_id)

    def resume(self, request: gr.Request, shown: Shown, lane: int, limit: float | None = None) -> None:
        """Continue the halted run in a lane, if it is the visitor's own; raises gr.Error if it is not.

        Args:
            limit: US dollars that it may cost in all.
        """
        run_id = shown.of(lane)
        with plainly():
            if run_id is None or not self.may_continue(request, run_id):
                raise gr.Error(shared.NOT_YOURS, print_exception=False)
            turns = len(self._parley.store.run(run_id).turns)
            payer = payer_of(self._parley, request, limit)
            self._parley.live.resume(run_id, caller_of(self._parley, request), payer)
        shown.play({lane: turns})

    def is_running(self, request: gr.Request, shown: Shown) -> bool:
        """Return whether any of the visitor's own runs is going on."""
        return any(map(self._parley.live.is_running, self._own(request, shown)))

    def require_idle(self, request: gr.Request, shown: Shown) -> None:
        """Raise gr.Error while the visitor's own run is going on."""
        if self.is_running(request, shown):
            raise gr.Error(text.RUNNING, print_exception=False)

    def may_continue(self, request: gr.Request, run_id: str | None) -> bool:
        """Return whether a run is the visitor's own and has halted."""
        if run_id is None or self._parley.live.is_running(run_id):
            return False
        try:
            run = self._parley.store.run(run_id)
        except ParleyError:
            return False
        return run.status in ("stopped", "interrupted", "failed") and run.owner == owner_of(request)

    def _own(self, request: gr.Request, shown: Shown) -> list[str]:
        owner = owner_of(request)
        live = self._parley.live
        return [run_id for run_id in shown.by_lane.values() if owner is not None and live.owner(run_id) == owner]


def drawn_seed(given: float | None) -> int:
    """Return the seed that was given, or else a random one; raises gr.Error if it is out of range."""
    if given is None:
        return random.randrange(1, 10_000)
    if not SEED_LOW <= given <= SEED_HIGH:
        raise gr.Error(text.SEED_WRONG.format(low=SEED_LOW, high=SEED_HIGH), print_exception=False)
    return int(given)
