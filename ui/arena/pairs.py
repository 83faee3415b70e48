"""The paired comparison across the lanes: many negotiations in the background, and how certain their difference is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from negotiation.admission.limits import Caller
from negotiation.agents.purse import Payer
from negotiation.app.parley import Parley
from negotiation.comparison.comparison import Comparison, Players, Result, difference
from negotiation.comparison.service import ComparisonStatus
from negotiation.figures.statistics import EQUAL, Interval
from negotiation.scenario.model import Scenario
from ui.arena import text
from ui.drawing.charts import interval_plot
from ui.drawing.turns import Labels, config_name
from ui.kit import text as shared
from ui.kit.components import Updates
from ui.kit.errors import plainly
from ui.kit.templates import render
from ui.kit.units import in_points, points

PAIRS = 4
UPDATE_SECONDS = 0.5


def compared(
    scenario: Scenario, seed: int, lanes: tuple[Players, ...], pairs: int, owner: str | None
) -> Comparison | None:
    """Return the comparison of two lanes on the seeds after `seed`; None unless they differ in exactly one agent."""
    found = difference(lanes)
    if found is None:
        return None
    first, second, opponent = found
    return Comparison(scenario, (first, second), opponent, pairs, seed + 1, owner=owner)


class Pairs:
    """The panel of the paired comparison, built where it is created."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._most = parley.lanes.limits.pairs
        with gr.Column(elem_classes="pairs", elem_id="arena-pairs"):
            gr.HTML(render("titled", title=text.PAIRS, about=text.PAIRS_ABOUT), js_on_load=None)
            with gr.Row(elem_classes="pairs-controls"):
                self.count = gr.Number(
                    min(PAIRS, self._most),
                    precision=0,
                    minimum=1,
                    maximum=self._most,
                    label=text.PAIRS_COUNT,
                    elem_id="pairs-count",
                    min_width=120,
                    scale=0,
                )
                self.run = gr.Button(text.PAIRS_RUN, elem_id="pairs-run", min_width=130, scale=0)
                self.stop = gr.Button(shared.STOP, elem_id="pairs-stop", min_width=80, scale=0, interactive=False)
            self.shown = gr.HTML(elem_id="pairs-result", js_on_load=None)

    @property
    def outputs(self) -> list[Any]:
        """The components that following a comparison updates."""
        return [self.shown, self.run, self.stop]

    def asked(self, count: Any) -> int:
        """Return the number of pairs that a visitor entered; raises gr.Error if it is out of range."""
        if not isinstance(count, int | float) or not 1 <= count <= self._most:
            raise gr.Error(text.PAIRS_WRONG.format(most=self._most), print_exception=False)
        return int(count)

    def start(self, comparison: Comparison | None, caller: Caller | None = None, payer: Payer | None = None) -> None:
        """Begin a comparison; raises gr.Error if there is none, or it cannot run now."""
        if comparison is None or comparison.owner is None:
            raise gr.Error(text.PAIRS_NONE, print_exception=False)
        with plainly():
            self._parley.comparisons.start(comparison, caller, payer)

    async def follow(self, owner: str | None, labels: Labels) -> AsyncIterator[Updates]:
        """Yield updates until the owner's comparison has ended."""
        while True:
            standing = await asyncio.to_thread(self._parley.comparisons.status, owner)
            running = standing is not None and standing.running
            yield {
                self.shown: "" if standing is None else standing_html(standing, labels),
                self.run: gr.update(interactive=not running),
                self.stop: gr.update(interactive=running),
            }
            if not running:
                return
            await asyncio.sleep(UPDATE_SECONDS)


def standing_html(standing: ComparisonStatus, labels: Labels) -> Markup:
    """Draw the progress of a comparison and its result so far."""
    asked, result = standing.comparison, standing.result
    first, second = names = [config_name(config, labels) for config in asked.agents]
    found = result.difference_at_any_time
    return render(
        "arena/pairs",
        standing=standing,
        about=text.PAIRS_OF.format(
            first=first,
            second=second,
            opponent=config_name(asked.opponent, labels),
            scenario=asked.scenario.title,
            low=asked.seed,
            high=asked.seed + asked.pairs - 1,
        ),
        done=text.PAIRS_PROGRESS.format(done=standing.done, goal=standing.goal),
        finding="" if found is None else _finding(found, names, result),
        plot=None if found is None or result.counted_once else interval_plot(found, first, second),
        more=_more(standing),
        nothing=text.PAIRS_NOTHING,
        failed=text.PAIRS_FAILED.format(count=len(result.failed), reason=result.failed[-1]) if result.failed else "",
    )


def _finding(found: Interval, names: Sequence[str], result: Result) -> str:
    """Describe the difference from the side of the agent that is ahead."""
    if result.counted_once and result.pairs > 1 and abs(found.mean) <= EQUAL:
        return text.PAIRS_FIXED_EQUAL
    ahead = found if found.mean >= 0 else Interval(-found.mean, -found.high, -found.low)
    if result.counted_once:
        form = text.PAIRS_FIXED if result.pairs > 1 else text.PAIRS_ONCE
    else:
        form = text.PAIRS_SURE if found.excludes_zero else text.PAIRS_UNSURE
    return form.format(
        name=names[0] if ahead is found else names[1],
        by=in_points(ahead.mean),
        low=points(ahead.low),
        high=points(ahead.high),
        pairs=text.pairs(result.pairs),
    )


def _more(standing: ComparisonStatus) -> str:
    result = standing.result
    if result.identical == "agents":
        return text.PAIRS_SAME
    if result.counted_once and result.identical:
        return text.PAIRS_REPEAT
    if result.more_pairs_needed is None:
        return text.PAIRS_UNKNOWN
    return text.more_pairs(result.more_pairs_needed) if result.more_pairs_needed else text.PAIRS_ENOUGH
