"""A visitor's GPU time on ZeroGPU: how much a call asks for, when it must end, and why it was refused, in plain words.

ZeroGPU compares the seconds *asked for* with what is left of the visitor's quota for the day (about two minutes without
an account, five with a free one), and on some GPUs counts each of them one and a half times. So a call asks for little,
and a long negotiation takes several. Knows the titles of ZeroGPU's errors, but imports nothing of its package.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from manager.config.model_spec import ModelSpec
from negotiation.agents.model import reply_limit
from negotiation.agents.options import ModelOptions
from negotiation.game.events import Turn
from negotiation.scenario.model import Scenario, Seat

TURN_TOKENS = 160
"""Tokens of a typical reply, including thought and message."""
CHARACTERS_PER_TOKEN = 4
TOKENS_PER_SECOND = 25.0
"""A conservative guess of the speed for one negotiation; not measured on ZeroGPU."""
FIRST_PROMPT_SECONDS = 5
"""Time to start a worker and read the first prompt."""
COPIED_PER_SECOND = 4e9
"""Bytes of placed models that a new worker copies to its GPU in a second; a guess, too."""
MOST_SECONDS = 60
"""The longest call. Even counted one and a half times, it is less than the two minutes of a visitor without account."""


@dataclass(frozen=True)
class Task:
    """The rest of a negotiation, for one GPU call. Plain values, because they are sent to another process.

    Attributes:
        names: Of the agents.
        preparing: Seconds until a new worker writes its first token.
    """

    run_id: str
    scenario: Scenario
    seed: int
    turns: tuple[Turn, ...]
    names: Mapping[Seat, str]
    models: Mapping[Seat, tuple[ModelSpec, ModelOptions]]
    preparing: int = FIRST_PROMPT_SECONDS

    @property
    def seconds(self) -> int:
        """Seconds of GPU time to request, from the length of the replies that the settings allow."""
        turns = self.scenario.rounds - len(self.turns) // 2
        tokens = sum(turns * turn_tokens(spec, options) for spec, options in self.models.values())
        return min(MOST_SECONDS, self.preparing + math.ceil(tokens / TOKENS_PER_SECOND))

    @property
    def writing_seconds(self) -> int:
        """Seconds of a call that are left for turns."""
        return self.seconds - self.preparing


def turn_tokens(spec: ModelSpec, options: ModelOptions) -> float:
    """Return the tokens that a turn takes, as a rule: less than is typical if the settings allow no more."""
    thinking = options.thinking / CHARACTERS_PER_TOKEN
    return min(TURN_TOKENS, reply_limit(spec)) + thinking


def preparing_seconds(placed: int) -> int:
    """Return the seconds until a new worker writes its first token.

    Args:
        placed: The bytes of all placed models, which it first copies to its GPU.

    >>> preparing_seconds(0), preparing_seconds(37_000_000_000)
    (5, 15)
    """
    return FIRST_PROMPT_SECONDS + math.ceil(placed / COPIED_PER_SECOND)


class Spent:
    """The time that a call has spent on turns."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._began = self._last = clock()
        self._longest: float | None = None

    def turn_ended(self) -> None:
        """Note that a turn has ended."""
        now = self._clock()
        self._longest, self._last = max(self._longest or 0.0, now - self._last), now

    def allows_another_turn(self) -> bool:
        """Return whether another turn as long as the longest so far would end in time; the first always may begin."""
        return self._longest is None or self._clock() - self._began + self._longest <= self._seconds


# -- refusals, by the title of ZeroGPU's error and what its message says ------------------------------------------

OVER_QUOTA = "not enough GPU time: {asked} seconds were asked for, and {left} are left of your quota{wait}"
WAIT = "; try again in {time}"
_FEWER_ROUNDS = "; a scenario with fewer rounds or a model that thinks less asks for less"
REFUSALS: tuple[tuple[str, str, str], ...] = (
    ("quota exceeded", "runs limit", "you have used up your GPU runs for now; try again later"),
    ("quota exceeded", "no gpu was available", "no GPU became free within a minute; continue to try again"),
    (
        "quota exceeded",
        "",
        "no GPU time: it is not known whose quota to use; open this Space on huggingface.co, signed in, and continue",
    ),
    ("illegal duration", "", "ZeroGPU lends no GPU for that long" + _FEWER_ROUNDS),
    (
        "pending credits",
        "",
        "too much of your GPU time is set aside for what is still running; try again when that has ended",
    ),
    ("queue timeout", "", "no GPU became free within a minute; continue to try again"),
    ("client error", "expired", "this page has been open for too long to use your GPU time; reload it, then continue"),
    ("client error", "no gpu was available", "no GPU is free at the moment; continue to try again"),
    ("worker error", "aborted", "the GPU was taken back before the end; continue to ask for another"),
)
NO_CALL = "the call for a GPU failed; continue to try again"
_QUOTA = re.compile(r"\((\d+)s requested vs\. (-?\d+)s left\)")
_TRY_AGAIN = re.compile(r"[Tt]ry again in ((?:\d+ days?, )?\d+:\d\d(?::\d\d)?)")


def refusal(error: BaseException) -> str:
    """Return why a GPU call was refused or ended early, in plain words and without the error's text.

    Args:
        error: With `title` and `message` if ZeroGPU's client raised it.
    """
    title, message = str(getattr(error, "title", "")).lower(), str(getattr(error, "message", ""))
    if not title.startswith("zerogpu"):
        return NO_CALL
    if found := _QUOTA.search(message):
        again = _TRY_AGAIN.search(message)
        wait = WAIT.format(time=_hours(again[1])) if again else ""
        return OVER_QUOTA.format(asked=found[1], left=max(0, int(found[2])), wait=wait) + _FEWER_ROUNDS
    known = (words for part, said, words in REFUSALS if part in title and said in message.lower())
    return next(known, NO_CALL)


def _hours(time: str) -> str:
    """Return a time such as 3:20:00 without its seconds, unless there is nothing else.

    >>> _hours("3:20:00"), _hours("0:12:30"), _hours("0:00:30"), _hours("1 day, 2:00:00")
    ('3 h 20 min', '13 min', '1 min', '1 day, 2 h')
    """
    days, _, clock = time.rpartition(", ")
    hours, minutes, seconds = (*map(int, clock.split(":")), 0)[:3]
    minutes = minutes + (seconds > 0) or (0 if hours or days else 1)
    told = [days] if days else []
    told.append(" ".join(f"{count} {unit}" for count, unit in ((hours, "h"), (minutes, "min")) if count))
    return ", ".join(filter(None, told))
