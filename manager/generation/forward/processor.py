"""The one thread on which models on the CPU compute, for all engines.

Each pass uses all cores, so that two at once would only slow each other down: they take turns in order of arrival.
Moreover, OpenMP gives every thread that has ever computed its own team of threads. Once all teams together have more
threads than the machine has cores, libgomp's threads sleep instead of spinning while they wait for each other
(GOMP_SPINCOUNT in its manual), and a pass of some hundred short operations takes twice as long.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from manager.generation.forward.team import Team

Result = TypeVar("Result")
ROUNDS = 30

_thread = ThreadPoolExecutor(1, thread_name_prefix="processor")
_team: Team | None = None
_MOST = torch.get_num_threads()  # now: a team changes it, and a forked process inherits what it was


def _after_fork() -> None:
    """Replace the thread in a forked process, which inherits none."""
    global _thread, _team
    _team = None
    _thread = ThreadPoolExecutor(1, thread_name_prefix="processor")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def on_processor(compute: Callable[[], Result]) -> Result:
    """Return or raise the result of `compute`, run without gradients after all earlier calls."""
    return _thread.submit(_computed, compute).result()


def team() -> Team:
    """Return the threads that compute on the processor, as one team for all engines."""
    global _team
    if _team is None:
        _team = Team(_MOST, torch.set_num_threads)
    return _team


def apart(compute: Callable[[], Result]) -> Result:
    """Return or raise the result of `compute`, run on a temporary thread, which leaves no team behind. For loading."""
    with ThreadPoolExecutor(1, thread_name_prefix="apart") as thread:
        return thread.submit(compute).result()


def ratio(prepare: Callable[[], tuple[Callable[[], object], Callable[[], object]]]) -> float:
    """Return how many times as long the first of two computations takes as the second. For loading.

    Each counts with its fastest of `ROUNDS`; they run in turn, so that what else the machine does disturbs both.
    """

    def measure() -> float:
        contenders = prepare()
        fastest = [math.inf, math.inf]
        for _ in range(ROUNDS):
            for number, contender in enumerate(contenders):
                began = time.perf_counter()
                contender()
                fastest[number] = min(fastest[number], time.perf_counter() - began)
        return fastest[0] / fastest[1]

    return apart(lambda: _computed(measure))


def _computed(compute: Callable[[], Result]) -> Result:
    with torch.inference_mode():
        return compute()
