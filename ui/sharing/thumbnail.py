"""The thumbnail of the Space: what Parley is, and a negotiation as it draws it. As a program, this writes the picture.

The Hub shows it on the Space's card, and wherever somebody posts the Space's address.
"""

from __future__ import annotations

import json
from pathlib import Path

from negotiation.app.settings import SHIPPED
from negotiation.runs.export import read_export
from negotiation.runs.record import Run
from negotiation.scenario.model import Seat
from ui.kit import text as shared
from ui.sharing import text
from ui.sharing.canvas import Canvas, wrapped
from ui.sharing.card import ACCENT, GROUND, HEIGHT, INK, LINE, MUTED, PAPER, SIDE, WIDTH, Box, mark, plot

PLACE = Path(__file__).parents[2] / "docs" / "thumbnail.png"
RECORDING = SHIPPED / "recordings" / "gives_in.jsonl"
LANE = 1
"""The lane of the recording in which the offers move most."""
EDGE = 64
BUBBLE = {"a": "#e8edff", "b": "#fdf0e3"}


def thumbnail_png(run: Run) -> bytes:
    """Draw the thumbnail around a run with a deal."""
    canvas = Canvas(WIDTH, HEIGHT, GROUND)
    canvas.panel((0, 0, WIDTH, 10), ACCENT, round_by=0)
    mark(canvas, "a", (EDGE + 15, 104), 15)
    mark(canvas, "b", (EDGE + 54, 104), 15)
    canvas.text((EDGE + 90, 130), shared.TITLE, 86, INK, bold=True)
    canvas.paragraph((EDGE, 192), text.THUMBNAIL, 34, MUTED, width=540, lines=3)
    top = 310.0
    for turn in run.turns[-2:]:
        top = _bubble(canvas, turn.seat, run.scenario.roles[turn.seat].name, turn.message, top) + 18
    panel = Box(660, 66, WIDTH - 56, HEIGHT - 54)
    canvas.panel((panel.left, panel.top, panel.right, panel.bottom), PAPER, LINE, round_by=24)
    plot(canvas, Box(panel.left + 24, panel.top + 26, panel.right - 24, panel.bottom - 22), run)
    return canvas.png()


def _bubble(canvas: Canvas, seat: Seat, role: str, words: str, top: float) -> float:
    """Draw what a side says, with its name, and return where the bubble ends."""
    left = EDGE if seat == "a" else EDGE + 40
    lines = len(wrapped(words, 28, 470, 2))
    bottom = top + 58 + 35 * lines
    canvas.panel((left, top, left + 510, bottom), BUBBLE[seat], round_by=18)
    canvas.text((left + 20, top + 36), role, 24, SIDE[seat], bold=True)
    canvas.paragraph((left + 20, top + 72), words, 28, INK, width=470, lines=2)
    return bottom


def recorded() -> Run:
    """Return the run that the thumbnail shows: a lane of the recording on which the arena opens."""
    lines = RECORDING.read_text(encoding="utf-8").splitlines()
    return read_export(json.loads(lines[LANE]))


if __name__ == "__main__":
    PLACE.write_bytes(thumbnail_png(recorded()))
