"""Negotiations with GPU time on ZeroGPU: a forked process with a GPU drives them once a local model is to move.

Each lane makes one GPU call at a time. A call ends early when a person or a model on a remote server is to move; their
turn is taken in this process, and another call continues. Events come back through the call as plain values, so
listeners see no difference. `gpu` is ZeroGPU's decorator `spaces.GPU` or an equivalent; the call inherits `Placed`
through the fork.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
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
from negotiation.app.machine_profile import Profile
from negotiation.game.agent import Agent
from negotiation.game.events import Ended, Event, Halted, Started, Turn, TurnStarted, TurnTaken, Waiting
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.model import Scenario, Seat

logger = logging.getLogger(__name__)

TURN_TOKENS = 160
"""Tokens of a typical reply, including thought and message."""
TOKENS_PER_SECOND = 25.0
"""A conservative guess of the speed for one negotiation; not measured on ZeroGPU."""
PREPARING_SECONDS = 15
"""Time to copy placed models to the GPU and to read the first prompt."""
MOST_SECONDS = 120
"""The longest call: a visitor has a few minutes per day, and a call beyond the remaining time is refused."""

Work = Callable[["Task"], Generator[Event, None, None]]


@dataclass(frozen=True)
class Task:
    """The rest of a negotiation, for one GPU call. Plain values, because they are sent to another process."""

    run_id: str
    scenario: Scenario
    seed: int
    turns: tuple[Turn, ...]
    names: Mapping[Seat, str]  # of the agents
    models: Mapping[Seat, tuple[ModelSpec, ModelOptions]]

    @property
    def seconds(self) -> int:
        """Seconds of GPU time to request, from the length of the replies that the settings allow."""
        turns = {seat: self.scenario.rounds - len(self.turns) // 2 for seat in self.models}
        thinking = {seat: options.thinking / 4 for seat, (_, options) in self.models.items()}  # characters per token
        tokens = sum(turns[seat] * (TURN_TOKENS + thinking[seat]) for seat in self.models)
        return min(MOST_SECONDS, PREPARING_SECONDS + round(tokens / TOKENS_PER_SECOND))


def drive_here(placed: Placed, task: Task) -> Generator[Event, None, None]:
    """Negotiate in the forked process until the end, or until an agent outside this process is to move."""
    agents: dict[Seat, Agent] = {
        seat: ModelAgent(placed, *task.models[seat]) if seat in task.models else STRATEGIES.get(name, _ABSENT)
        for seat, name in task.names.items()
    }
    with closing(negotiate(Negotiation(task.run_id, task.scenario, agents, task.seed, task.turns))) as driving:
        for event in driving:
            if isinstance(event, TurnStarted) and agents[event.seat] is _ABSENT:
                return
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
        turns, first = list(negotiation.turns), True
        while True:
            with closing(super().drive(replace(negotiation, turns=tuple(turns)))) as here:
                seat = yield from _until_a_model_moves(here, models, turns, first)
            if seat is None:
                return
            first = False
            yield Waiting(seat, "lending")
            task = Task(negotiation.run_id, negotiation.scenario, negotiation.seed, tuple(turns), names, models)
            if (yield from self._call_gpu(task, turns, negotiation.cancel)):
                return

    def _call_gpu(self, task: Task, turns: list[Turn], cancel: CancelToken) -> Generator[Event, None, bool]:
        """Yield the events of one GPU call and add its turns to `turns`; return whether the negotiation is over."""
        begun = False
        try:
            with ExitStack() as stack:
                for seat, (spec, _) in task.models.items():  # so that the status shows the models as busy
                    owner = f"{task.run_id} {seat}"
                    stack.enter_context(self.manager.lease(spec, owner=owner, cancel=cancel))
                for event in stack.enter_context(closing(self._call(task))):
                    if cancel.cancelled:
                        yield Halted("stopped", "stopped")
                        return True
                    if isinstance(event, Started) or (isinstance(event, TurnStarted) and not begun):
                        begun = begun or isinstance(event, TurnStarted)  # published already
                        continue
                    if isinstance(event, TurnTaken):
                        turns.append(event.turn)
                    yield event
                    if isinstance(event, Ended | Halted):
                        return True
        except Exception as error:  # noqa: BLE001 (a refused or aborted GPU call raises many kinds of errors)
            stopped = cancel.cancelled
            problem = str(getattr(error, "message", error)) or type(error).__name__
            logger.warning("run %s: the GPU call was refused or aborted: %s", task.run_id, type(error).__name__)
            yield (
                Halted("stopped", "stopped")
                if stopped
                else Halted("failed", f"no GPU time, or not enough of it: {problem}")
            )
            return True
        if not begun:
            yield Halted("failed", "the GPU call ended before anything was written; continue to request another")
        return not begun


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


def placeable(specs: Iterable[ModelSpec], profile: Profile, budgets: Mapping[str, float]) -> list[ModelSpec]:
    """Return the models to place, in the registry's order, as long as they fit together; aliases need no memory."""
    left, chosen, seen = profile.room("gpu", budgets), [], set()
    for spec in specs:
        if spec.type != "huggingface":
            continue
        need = 0 if spec.weights in seen else profile.need(spec)
        if need <= left and (spec.parameters or spec.weights in seen):
            left -= need
            seen.add(spec.weights)
            chosen.append(spec)
    return chosen
