"""Negotiations on a GPU that is lent: from the first move of a model on, a forked process drives them to the end.

One outer call a lane. It ends early where somebody has to move who is not there, a person or a server elsewhere, who
is asked here; then another call goes on. Events come back through the call, so they are plain values, and whoever
listens cannot tell the difference. `gpu` is ZeroGPU's decorator `spaces.GPU`, or something like it; what the call
inherits through the fork is `Placed`. Knows no Gradio.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

from manager.cancel import CancelToken
from manager.config.registry import ModelSpec
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
"""Tokens of a usual reply, thought and message together."""
TOKENS_PER_SECOND = 25.0
"""A careful guess at what a lent GPU writes for one negotiation; it was not measured on ZeroGPU."""
PREPARING_SECONDS = 15
"""For copying what was placed to the GPU, and the first prompt."""
MOST_SECONDS = 120
"""No call asks for more: a visitor's daily share is a few minutes, and a longer call than is left of it is refused."""

Work = Callable[["Task"], Generator[Event, None, None]]


@dataclass(frozen=True)
class Task:
    """The rest of a negotiation, for one call to drive. Plain values, because they are sent to another process."""

    run_id: str
    scenario: Scenario
    seed: int
    turns: tuple[Turn, ...]
    names: Mapping[Seat, str]  # of the agents
    models: Mapping[Seat, tuple[ModelSpec, ModelOptions]]

    @property
    def seconds(self) -> int:
        """For how long a GPU is asked for, by what the settings allow to be written."""
        turns = {seat: self.scenario.rounds - len(self.turns) // 2 for seat in self.models}
        thinking = {seat: options.thinking / 4 for seat, (_, options) in self.models.items()}  # characters a token
        tokens = sum(turns[seat] * (TURN_TOKENS + thinking[seat]) for seat in self.models)
        return min(MOST_SECONDS, PREPARING_SECONDS + round(tokens / TOKENS_PER_SECOND))


def drive_here(placed: Placed, task: Task) -> Generator[Event, None, None]:
    """What the forked process does: negotiate until the end, or until somebody has to move who is not here."""
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
    """Who moves elsewhere."""

    name = "absent"

    def act(self, view: Any) -> Any:
        raise NotImplementedError


_ABSENT = _Absent()


class ZeroGpuCatalog(Catalog):
    """A catalog whose placed models play on a lent GPU."""

    zero_gpu = True

    def __init__(
        self,
        manager: LLMManager,
        placed: Placed,
        gpu: Callable[..., Callable[[Work], Work]],
        misfit: Callable[[ModelSpec], str] = lambda spec: "",
    ) -> None:
        super().__init__(manager, lambda spec: placed.misfit(spec) if spec.type == "huggingface" else misfit(spec))
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
        return self._lent(negotiation, models) if models else super().drive(negotiation)

    def _lent(
        self, negotiation: Negotiation, models: Mapping[Seat, tuple[ModelSpec, ModelOptions]]
    ) -> Generator[Event, Any, None]:
        """The events of a whole negotiation, wherever it is driven at the moment."""
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
            if (yield from self._borrow(task, turns, negotiation.cancel)):
                return

    def _borrow(self, task: Task, turns: list[Turn], cancel: CancelToken) -> Generator[Event, None, bool]:
        """The events of one call, its turns added to `turns`; whether the negotiation is over."""
        begun = False
        try:
            with ExitStack() as stack:
                for seat, (spec, _) in task.models.items():  # so that the status says who is at work
                    owner = f"{task.run_id} {seat}"
                    stack.enter_context(self.manager.lease(spec, owner=owner, cancel=cancel))
                for event in stack.enter_context(closing(self._call(task))):
                    if cancel.cancelled:
                        yield Halted("stopped", "stopped")
                        return True
                    if isinstance(event, Started) or (isinstance(event, TurnStarted) and not begun):
                        begun = begun or isinstance(event, TurnStarted)  # told already
                        continue
                    if isinstance(event, TurnTaken):
                        turns.append(event.turn)
                    yield event
                    if isinstance(event, Ended | Halted):
                        return True
        except Exception as error:  # noqa: BLE001 (a GPU that is not lent, or taken back, shows in many ways)
            stopped = cancel.cancelled
            told = str(getattr(error, "message", error)) or type(error).__name__
            logger.warning("run %s: no GPU was lent, or not for long enough: %s", task.run_id, type(error).__name__)
            yield (
                Halted("stopped", "stopped")
                if stopped
                else Halted("failed", f"no GPU was lent, or not for long enough: {told}")
            )
            return True
        if not begun:
            yield Halted(
                "failed", "the GPU was taken back before anything was written; continue, and another is asked for"
            )
        return not begun


def _until_a_model_moves(
    here: Generator[Event, Any, None], models: Mapping[Seat, Any], turns: list[Turn], first: bool
) -> Generator[Event, Any, Seat | None]:
    """Pass on what happens here until a placed model is to move; its seat, or None if it came to an end before.

    After `Asked`, the answer that is sent in is passed on.
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
    """The models to place, in the registry's order, as long as they have room together; aliases cost nothing."""
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
