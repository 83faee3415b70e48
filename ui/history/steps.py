"""Going through the turns of a replay: step by step, with the slider, or by itself."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from ui.history import text
from ui.history.access import Access
from ui.kit.components import QUIET, Updates
from ui.widgets.pace import PaceControl
from ui.widgets.pacing import PACES, Reading

STEP_SECONDS = 3.0
"""How long a turn is shown at the normal pace."""


class Steps:
    """Builds its components where it is created."""

    def __init__(self, access: Access, pace: str) -> None:
        self._access = access
        self.playing = gr.State(False)
        self.back = gr.Button("◀", size="sm", min_width=44, scale=0, elem_id="replay-back")
        self.play = gr.Button(text.PLAY_STEPS, size="sm", min_width=80, scale=0, elem_id="replay-play")
        self.on = gr.Button("▶", size="sm", min_width=44, scale=0, elem_id="replay-on")
        self.turn = gr.Slider(0, 1, 0, step=1, label=text.TURN, elem_id="replay-turn", min_width=200)
        self.pace = PaceControl(pace, "replay-pace")
        self.timer = gr.Timer(STEP_SECONDS, active=False)

    @property
    def outputs(self) -> list[Any]:
        """The components that `pause` updates."""
        return [self.playing, self.timer, self.play]

    def connect(self, runs: gr.State) -> None:
        """Connect the parts; `runs` holds the ids of the runs that are replayed."""
        for button, step in ((self.back, -1), (self.on, 1)):
            button.click(partial(self._step, step), [runs, self.turn], [self.turn], **QUIET)
        moved = [self.turn, *self.outputs]
        reading = self.pace.reading
        self.play.click(self._play, [runs, self.turn, self.playing, reading], moved, **QUIET)
        self.timer.tick(self._tick, [runs, self.turn, reading], moved, **QUIET)

    def pause(self) -> Updates:
        """Return the updates that stop going on by itself."""
        return {self.playing: False, self.timer: gr.Timer(active=False), self.play: text.PLAY_STEPS}

    def _step(self, step: int, runs: tuple[str, ...], turn: float) -> int:
        return min(self._last(runs), max(0, int(turn) + step))

    def _play(self, runs: tuple[str, ...], turn: float, playing: bool, reading: Reading) -> Updates:
        """Go on turn by turn, from the beginning if it is at the end, or pause."""
        if playing:
            return self.pause()
        start = 0 if int(turn) >= self._last(runs) else int(turn)
        return {self.playing: True, self.turn: start, self.timer: _running(reading), self.play: text.PAUSE_STEPS}

    def _tick(self, runs: tuple[str, ...], turn: float, reading: Reading) -> Updates:
        last, now = self._last(runs), int(turn) + 1
        return {self.turn: now, self.timer: _running(reading)} if now < last else {self.turn: last, **self.pause()}

    def _last(self, runs: tuple[str, ...]) -> int:
        return max((len(run.turns) for run in self._access.runs(runs)), default=0)


def _running(reading: Reading) -> gr.Timer:
    """Return the timer at the chosen pace; whoever plays a replay wants to see it, so nothing is instant."""
    return gr.Timer(STEP_SECONDS * (reading.factor or PACES["fast"]), active=True)
