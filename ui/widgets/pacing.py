"""When the turns of a negotiation become visible: at a pace at which people can read. Uses neither Gradio nor HTML.

A script moves at once, and two scripts are done before anybody has read their first words. The run is not slowed down
for that: it is stored with the time that it took, and holds no lane longer. Each page shows it turn by turn, as if it
were happening, at a pace of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from negotiation.agents.strategies import STRATEGIES
from negotiation.game.events import Halted, Turn
from ui.drawing.lane_view import LaneView, Moving

PACES: Mapping[str, float] = MappingProxyType({"slow": 2.0, "normal": 1.0, "fast": 0.4, "instant": 0.0})
"""How much time turns get, by the name of the pace."""
WORD_SECONDS = 0.2
"""Time to read a word of the message before, while the next turn is prepared."""
PAUSE_LEAST, PAUSE_MOST = 0.8, 6.0
"""Limits of that time in seconds."""
TYPING_SECONDS, TYPING_STEPS = 1.2, 8
"""How long a message takes to appear, and in how many pieces."""


@dataclass
class Reading:
    """The pace that a visitor chose; mutable, since those who follow a run hold the same object."""

    pace: str

    @property
    def factor(self) -> float:
        """How much time turns get; 0 shows them at once."""
        return PACES[self.pace]


class Pacer:
    """Decides what of a negotiation is visible.

    A turn is played, with a typing indicator and a message that appears bit by bit, unless it was already seen being
    made: written by a model, or decided by a person.

    Args:
        seen: How many turns are visible at once; by default those of the first view.
    """

    def __init__(self, seen: int | None = None) -> None:
        self._visible = seen
        self._watched = -1  # the index of the latest turn that was seen being made
        self._elapsed = 0.0  # since the last turn became visible, at the normal pace
        self._at: float | None = None

    def show(self, view: LaneView, now: float, factor: float) -> LaneView:
        """Return what is visible of a view.

        Args:
            view: The negotiation so far. A run that was stopped is visible at once.
            now: The time in seconds, from any start.
            factor: How much time turns get (`PACES`).
        """
        if self._visible is None or not factor or isinstance(view.end, Halted):
            self._visible = len(view.turns)
        if self._at is not None and factor:
            self._elapsed += (now - self._at) / factor
        self._at = now
        while self._visible < len(view.turns):
            if self._visible != self._watched:
                playing = self._playing(view, self._visible)
                if playing is not None:
                    return playing
            self._visible += 1
            self._elapsed = 0.0
        if view.moving is None or view.moving.agent not in STRATEGIES:  # a script's turn is on its way
            self._elapsed = 0.0
            self._watched = self._visible if view.moving is not None else self._watched
        return view

    def _playing(self, view: LaneView, index: int) -> LaneView | None:
        """Return a view in which a turn is being made; None once it has been."""
        turn, before = view.turns[index], view.turns[index - 1] if index else None
        typed = self._elapsed - _pause(turn, before)
        if typed >= TYPING_SECONDS or (typed >= 0 and not turn.message):
            return None
        pieces = int(typed / TYPING_SECONDS * TYPING_STEPS) + 1 if typed >= 0 else 0
        reply = json.dumps({"message": turn.message}, ensure_ascii=False)  # written as a model writes it
        moving = Moving(turn.round, turn.seat, turn.agent, written=reply[: len(reply) * pieces // TYPING_STEPS])
        return replace(view, turns=view.turns[:index], moving=moving, end=None, queued=None, unfinished=None)


def _pause(turn: Turn, before: Turn | None) -> float:
    """Return the seconds before a turn's message appears: time to read the last one, and what the turn really took."""
    words = len(before.message.split()) if before is not None else 0
    return min(max(words * WORD_SECONDS, turn.seconds, PAUSE_LEAST), PAUSE_MOST)
