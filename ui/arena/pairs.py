"""The paired comparison across the lanes: many negotiations in the background, and how sure their difference is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from manager.errors import ParleyError
from negotiation.admission.limits import Caller
from negotiation.agents.config import AgentConfig
from negotiation.app.parley import Parley
from negotiation.comparison.comparison import Comparison, Players, difference
from negotiation.comparison.service import ComparisonStatus
from negotiation.figures.statistics import Interval
from negotiation.scenario.model import Scenario
from ui.drawing.charts import interval_plot
from ui.drawing.turns import Labels
from ui.kit import text
from ui.kit.errors import told
from ui.kit.html import esc, meter, number, tag

PAIRS = 4
UPDATE_SECONDS = 0.5


def compared(scenario: Scenario, seed: int, lanes: tuple[Players, ...], pairs: int, owner: str) -> Comparison | None:
    """The comparison of two lanes, on seeds after `seed`; None if they do not differ in one agent only."""
    found = difference(lanes)
    if found is None:
        return None
    first, second, opponent = found
    return Comparison(scenario, (first, second), opponent, pairs, seed + 1, owner=owner)


class Pairs:
    """Builds the panel where it is created; the arena tells it what the lanes are."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._most = parley.lanes.limits.pairs
        with gr.Column(elem_classes="pairs", elem_id="arena-pairs"):
            gr.HTML(tag("h2", esc(text.PAIRS)) + tag("p", esc(text.PAIRS_ABOUT)), js_on_load=None)
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
                self.stop = gr.Button(text.STOP, elem_id="pairs-stop", min_width=80, scale=0, interactive=False)
            self.shown = gr.HTML(elem_id="pairs-result", js_on_load=None)

    @property
    def outputs(self) -> list[Any]:
        """What following a comparison updates."""
        return [self.shown, self.run, self.stop]

    def start(
        self,
        owner: str | None,
        scenario: Scenario,
        seed: int,
        lanes: tuple[Players, ...],
        count: Any,
        caller: Caller | None = None,
    ) -> None:
        """Begin pairs of what the lanes show; raises gr.Error saying what stands against it."""
        if owner is None or not isinstance(count, int | float) or not 1 <= count <= self._most:
            raise gr.Error(text.PAIRS_WRONG.format(most=self._most), print_exception=False)
        asked = compared(scenario, seed, lanes, int(count), owner)
        if asked is None:
            raise gr.Error(text.PAIRS_NONE, print_exception=False)
        try:
            self._parley.comparisons.start(asked, caller)
        except ParleyError as error:
            raise told(error) from None

    async def follow(self, owner: str | None, labels: Labels) -> AsyncIterator[dict[Any, Any]]:
        """Updates until the owner's comparison has ended."""
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


def standing_html(standing: ComparisonStatus, labels: Labels) -> str:
    """How far a comparison is, and what it says by now."""
    asked, result = standing.comparison, standing.result
    names = [_name(config, labels) for config in asked.agents]
    about = text.PAIRS_OF.format(
        first=names[0],
        second=names[1],
        opponent=_name(asked.opponent, labels),
        scenario=asked.scenario.title,
        low=asked.seed,
        high=asked.seed + asked.pairs - 1,
    )
    parts = [tag("p", esc(about))]
    if standing.running:
        words = text.PAIRS_PROGRESS.format(done=standing.done, goal=standing.goal)
        parts.append(tag("p", meter(standing.done / standing.goal, words) + " " + esc(words), "progress"))
    if standing.error:
        parts.append(tag("p", esc(standing.error), "notice"))
    if result.difference is not None:
        parts.append(tag("p", esc(_said(result.difference, names, result.pairs)), "finding"))
        parts.append(interval_plot(result.difference, names[0], names[1]))
        parts.append(tag("p", esc(_more(standing)), "more"))
    elif not standing.running:
        parts.append(tag("p", esc(text.PAIRS_NOTHING)))
    if result.failed:
        words = text.PAIRS_FAILED.format(count=len(result.failed), reason=result.failed[-1])
        parts.append(tag("p", esc(words), "notice"))
    return tag("div", "".join(parts), "standing", role="status")


def _said(found: Interval, names: list[str], pairs: int) -> str:
    """The difference, from the side of the agent that is ahead."""
    ahead = found if found.mean >= 0 else Interval(-found.mean, -found.high, -found.low)
    form = text.PAIRS_SURE if found.excludes_zero else text.PAIRS_UNSURE
    shown = {"by": number(ahead.mean), "low": number(ahead.low), "high": number(ahead.high)}
    return form.format(name=names[0] if ahead is found else names[1], pairs=text.pairs(pairs), **shown)


def _more(standing: ComparisonStatus) -> str:
    result = standing.result
    if result.identical == "agents":
        return text.PAIRS_SAME
    if result.identical == "repeats":
        return text.PAIRS_REPEAT
    if result.more_pairs_needed is None:
        return text.PAIRS_UNKNOWN
    return (
        text.PAIRS_ENOUGH
        if result.more_pairs_needed == 0
        else text.PAIRS_MORE.format(pairs=text.pairs(result.more_pairs_needed))
    )


def _name(config: AgentConfig, labels: Labels) -> str:
    chosen = ", ".join(text.chosen(key, value) for key, value in config.chosen.items())
    name = labels.get(config.agent, config.agent)
    return f"{name} ({chosen})" if chosen else name
