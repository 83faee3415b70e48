"""Negotiations with GPU time on ZeroGPU: a forked process with a GPU drives them once a local model is to move.

Each lane makes one GPU call at a time. A call ends early when a person or a model on a remote server is to move, or
when its time may not suffice for another turn; another call continues. Events come back through the call as plain
values, so listeners see no difference. `gpu` is ZeroGPU's decorator `spaces.GPU` or an equivalent; the call inherits
`Placed` through the fork. The time is the visitor's, which gpu_time.py computes.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

from manager.cancel import CancelToken
from manager.config.model_spec import ModelSpec
from manager.config.provider_catalog import ProviderCatalog
from manager.manager import LLMManager
from manager.placed import Placed
from negotiation.agents.catalog import Catalog
from negotiation.agents.model import ModelAgent
from negotiation.agents.options import ModelOptions
from negotiation.agents.strategies import STRATEGIES
from negotiation.app.gpu_time import Spent, Task, preparing_seconds, refusal
from negotiation.app.machine_profile import Profile
from negotiation.game.agent import Agent
from negotiation.game.events import Ended, Event, Halted, Started, Turn, TurnStarted, TurnTaken, Waiting
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.model import Seat

logger = logging.getLogger(__name__)

Work = Callable[[Task], Generator[Event, None, None]]


def drive_here(placed: Placed, task: Task, clock: Callable[[], float] = time.monotonic) -> Generator[Event, None, None]:
    """Negotiate in the forked process until the end, or until another call must go on.

    That is when an agent outside this process is to move, or when the call's time may not suffice for another turn; the
    first turn is always taken.
    """
    agents: dict[Seat, Agent] = {
        seat: ModelAgent(placed, *task.models[seat]) if seat in task.models else STRATEGIES.get(name, _ABSENT)
        for seat, name in task.names.items()
    }
    spent = Spent(task.writing_seconds, clock)
    with closing(negotiate(Negotiation(task.run_id, task.scenario, agents, task.seed, task.turns))) as driving:
        for event in driving:
            if isinstance(event, TurnStarted):
                if agents[event.seat] is _ABSENT or not spent.allows_another_turn():
                    return
            elif isinstance(event, TurnTaken):
                spent.turn_ended()
            yield event


class _Absent:
    """Stands for an agent outside the forked process."""

    name = "absent"

    def act(self, view: Any) -> Any:
        raise NotImplementedError


_ABSENT = _Absent()


class ZeroGpuCatalog(Catalog):
    """A catalog whose placed models play with GPU time on ZeroGPU."""

    zero_gpu = True

    def __init__(
        self,
        manager: LLMManager,
        placed: Placed,
        gpu: Callable[..., Callable[[Work], Work]],
        misfit: Callable[[ModelSpec], str] = lambda spec: "",
        providers: ProviderCatalog | None = None,
    ) -> None:
        super().__init__(
            manager, lambda spec: placed.misfit(spec) if spec.type == "huggingface" else misfit(spec), providers
        )
        self._placed = placed

        def work(task: Task) -> Generator[Event, None, None]:
            yield from drive_here(placed, task)

        self._call = gpu(duration=lambda task: task.seconds)(work)
        self._preparing = preparing_seconds(placed.bytes)

    def drive(self, negotiation: Negotiation) -> Generator[Event, Any, None]:
        models = {
            seat: (agent.spec, agent.options)
            for seat, agent in negotiation.agents.items()
            if isinstance(agent, ModelAgent) and agent.spec in self._placed
        }
        return self._drive_with_gpu(negotiation, models) if models else super().drive(negotiation)

    def _drive_with_gpu(
        self, negotiation: Negotiation, models: Mapping[Seat, tuple[ModelSpec, ModelOptions]]
    ) -> Generator[Event, Any, None]:
        """Yield the events of a whole negotiation, from this process and from GPU calls."""
        names = {seat: agent.name for seat, agent in negotiation.agents.items()}
        turns, first, used = list(negotiation.turns), True, 0.0
        while True:
            with closing(super().drive(replace(negotiation, turns=tuple(turns)))) as here:
                seat = yield from _until_a_model_moves(here, models, turns, first)
            if seat is None:
                return
            first = False
            begun = negotiation.run_id, negotiation.scenario, negotiation.seed, tuple(turns)
            task = Task(*begun, names, models, self._preparing)
            yield Waiting(seat, "lending", done=round(used), total=task.seconds)
            seconds = yield from self._call_gpu(task, turns, negotiation.cancel)
            if seconds is None:
                return
            used += seconds

    def _call_gpu(self, task: Task, turns: list[Turn], cancel: CancelToken) -> Generator[Event, None, float | None]:
        """Yield the events of one GPU call and add its turns to `turns`.

        Returns:
            The seconds since it got the GPU, or None if the negotiation is over.
        """
        begun, lent = False, math.inf
        try:
            with ExitStack() as stack:
                for seat, (spec, _) in task.models.items():  # so that the status shows the models as busy
                    owner = f"{task.run_id} {seat}"
                    stack.enter_context(self.manager.lease(spec, owner=owner, cancel=cancel))
                for event in stack.enter_context(closing(self._call(task))):
                    lent = min(lent, time.monotonic())
                    if cancel.cancelled:
                        yield Halted("stopped", "stopped")
                        return None
                    if isinstance(event, Started) or (isinstance(event, TurnStarted) and not begun):
                        begun = begun or isinstance(event, TurnStarted)  # published already
                        continue
                    if isinstance(event, TurnTaken):
                        turns.append(event.turn)
                    yield event
                    if isinstance(event, Ended | Halted):
                        return None
        except Exception as error:  # noqa: BLE001 (a refused or aborted GPU call raises many kinds of errors)
            logger.warning("run %s: the GPU call was refused or aborted: %s", task.run_id, type(error).__name__)
            yield Halted("stopped", "stopped") if cancel.cancelled else Halted("failed", refusal(error))
            return None
        if not begun:
            yield Halted("failed", "the GPU call ended before anything was written; continue to request another")
            return None
        return time.monotonic() - lent


def _until_a_model_moves(
    here: Generator[Event, Any, None], models: Mapping[Seat, Any], turns: list[Turn], first: bool
) -> Generator[Event, Any, Seat | None]:
    """Yield the events of this process until a placed model is to move; return its seat, or None at the end.

    Passes on the answer that is sent in after `Asked`.
    """
    answer = None
    while True:
        try:
            event = next(here) if answer is None else here.send(answer)
        except StopIteration:
            return None
        answer = None
        if isinstance(event, TurnTaken):
            turns.append(event.turn)
        if first or not isinstance(event, Started):
            answer = yield event
        if isinstance(event, TurnStarted) and event.seat in models:
            return event.seat


def place_fitting(placed: Placed, specs: Iterable[ModelSpec], profile: Profile, budgets: Mapping[str, float]) -> None:
    """Place the first model, then the largest ones, as long as they fit together; aliases need no memory.

    The first is the one that a visit begins with. Then size counts, because a visitor's seconds pass about as fast
    whatever the size. What cannot be placed (gated, missing) takes no room.

    Args:
        specs: The registry, in its order.
        budgets: The operator's memory budgets in GB by device, which override the profile.
    """
    local = [spec for spec in specs if spec.type == "huggingface" and spec.parameters]
    left = profile.room("gpu", budgets)
    for spec in [*local[:1], *sorted(local[1:], key=lambda other: other.parameters, reverse=True)]:
        if spec in placed or (need := profile.need(spec)) > left:
            continue
        placed.place([spec])
        left -= need if spec in placed else 0
