"""The one thread on which models on the CPU compute, whichever engine asks.

Each pass uses all cores, so two at once would only slow each other down: they take turns, first come, first served.
And OpenMP gives every thread that ever computed a team of threads of its own. As soon as the teams together have more
threads than the machine has cores, libgomp's threads no longer spin while they wait for each other but go to sleep
(GOMP_SPINCOUNT in its manual): with some hundred short operations a pass, it then takes twice as long.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from manager.generation.team import Team

Result = TypeVar("Result")

_thread = ThreadPoolExecutor(1, thread_name_prefix="processor")
_team: Team | None = None


def _after_fork() -> None:
    """A fork takes no threads along."""
    global _thread, _team
    _team = None
    _thread = ThreadPoolExecutor(1, thread_name_prefix="processor")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def on_processor(compute: Callable[[], Result]) -> Result:
    """What `compute` returns or raises, computed without gradients when those who asked before are done."""
    return _thread.submit(_computed, compute).result()


def team() -> Team:
    """Return the threads that compute on the processor, as one team for all engines."""
    global _team
    if _team is None:
        _team = Team(torch.get_num_threads(), torch.set_num_threads)
    return _team


def apart(compute: Callable[[], Result]) -> Result:
    """What `compute` returns or raises, on a thread that ends with it and leaves no team behind: for loading."""
    with ThreadPoolExecutor(1, thread_name_prefix="apart") as thread:
        return thread.submit(compute).result()


def _computed(compute: Callable[[], Result]) -> Result:
    with torch.inference_mode():
        return compute()
