"""Run one negotiation as a generator of events: ask the protocol who moves, let that agent act, apply its decision.

Storage, threads and display are up to the caller that drives the generator.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from manager.cancel import CancelToken
from manager.errors import Cancelled, ParleyError
from negotiation.errors import SpendingLimit
from negotiation.game.agent import Agent, Decision, View
from negotiation.game.events import AgentEvent, Ended, Event, Halted, Started, Turn, TurnStarted, TurnTaken
from negotiation.game.measures import measure
from negotiation.game.protocol import GameState
from negotiation.scenario.analysers import analyser_of
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import Offer, Scenario, Seat, other


@dataclass(frozen=True)
class Negotiation:
    """A negotiation to run. `turns` are the earlier turns of a run that is continued."""

    run_id: str
    scenario: Scenario
    agents: Mapping[Seat, Agent]
    seed: int = 1
    turns: tuple[Turn, ...] = ()
    cancel: CancelToken = field(default_factory=CancelToken)


def negotiate(negotiation: Negotiation) -> Generator[Event, Any, None]:
    """Run a negotiation until it ends, fails or is cancelled.

    Yields:
        Events, of which the last is `Ended` or `Halted`. After `Asked`, send the person's `Decision` into the
        generator. Closing the generator stops the agent.
    """
    analyser = analyser_of(negotiation.scenario)
    state, turns = replay(negotiation.scenario, negotiation.turns), list(negotiation.turns)
    agents = negotiation.agents
    names: dict[Seat, str] = {"a": agents["a"].name, "b": agents["b"].name}
    yield Started(negotiation.run_id, negotiation.scenario.scenario_id, names, negotiation.seed, len(turns))
    try:
        while state.ending is None:
            negotiation.cancel.check()
            yield TurnStarted(state.turn, state.round, state.seat, names[state.seat])
            began = time.monotonic()
            decision = yield from _act(negotiation, analyser, state, turns)
            after = state.apply(decision.action, decision.offer)
            turns.append(_turn(state, after, names[state.seat], decision, time.monotonic() - began))
            yield TurnTaken(turns[-1], decision.writer)
            state = after
    except Cancelled:
        yield Halted("stopped", "stopped")
    except SpendingLimit as limit:
        yield Halted("stopped", str(limit), type(limit).__name__)
    except ParleyError as error:
        yield Halted("failed", str(error), type(error).__name__)
    else:
        yield Ended(state.ending, state.ended_by, state.agreement, measure(state, analyser, turns))


def replay(scenario: Scenario, turns: tuple[Turn, ...]) -> GameState:
    """Return the state after earlier turns; raise IllegalTurn if they do not fit the scenario."""
    state = GameState(scenario)
    for turn in turns:
        state = state.apply(turn.action, turn.offer)
    return state


def view_of(negotiation: Negotiation, analyser: Analyser, state: GameState, turns: list[Turn]) -> View:
    """Return the negotiation as the seat to move sees it."""
    seat = state.seat
    return View(
        run_id=negotiation.run_id,
        scenario=negotiation.scenario,
        space=analyser.space,
        state=state,
        seat=seat,
        public=tuple(turn.public for turn in turns),
        own=tuple(turn for turn in turns if turn.seat == seat),
        seed=negotiation.seed,
        cancel=negotiation.cancel,
        next_agent=negotiation.agents.get(other(seat)),
    )


def _act(
    negotiation: Negotiation, analyser: Analyser, state: GameState, turns: list[Turn]
) -> Generator[AgentEvent, Any, Decision]:
    view = view_of(negotiation, analyser, state, turns)
    return (yield from negotiation.agents[state.seat].act(view))


def _turn(before: GameState, after: GameState, agent: str, decision: Decision, seconds: float) -> Turn:
    settled: Offer | None = decision.offer if decision.offer is not None else after.agreement
    scenario = before.scenario
    return Turn(
        index=before.turn,
        round=before.round,
        seat=before.seat,
        agent=agent,
        action=decision.action,
        offer=decision.offer,
        message=decision.message,
        thought=decision.thought,
        utility_a=None if settled is None else scenario.utility("a", settled),
        utility_b=None if settled is None else scenario.utility("b", settled),
        invalid=decision.invalid,
        prompt=decision.prompt,
        raw=decision.raw,
        tokens=decision.tokens,
        prompt_tokens=decision.prompt_tokens,
        cost=decision.cost,
        estimated=decision.estimated,
        held=decision.held,
        notes=decision.notes,
        seconds=round(seconds, 3),
    )
