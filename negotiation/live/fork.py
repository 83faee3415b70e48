"""Forks: a new run that starts from the first turns of a stored one, with other agents or another last message.

Pure: returns the run to start. Turns of agents that stay the same are copied word for word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from negotiation.agents.config import AgentConfig
from negotiation.errors import IllegalTurn
from negotiation.game.events import Turn
from negotiation.game.session import replay
from negotiation.runs.record import Run
from negotiation.scenario.model import Seat


def fork(run: Run, turns: int, agents: Mapping[Seat, AgentConfig], message: str | None = None) -> Run:
    """Return the run that continues after the first `turns` turns of `run`, without an id, owner or comparison.

    Args:
        message: Replaces the message of the last of these turns.

    Raises:
        IllegalTurn: The run has no such point to continue from.
    """
    if not 0 <= turns <= len(run.turns):
        raise IllegalTurn(f"run '{run.run_id}' has {len(run.turns)} turns; it cannot be forked after {turns}")
    if message is not None and turns == 0:
        raise IllegalTurn("there is no message before the first turn; fork after a later turn to change the message")
    first = run.turns[:turns]
    if replay(run.scenario, first).ending is not None:
        raise IllegalTurn("the negotiation had already ended; fork after an earlier turn")
    changed = {seat for seat in agents if agents[seat] != run.agents[seat]}
    copied = [_public(turn) if turn.seat in changed else turn for turn in first]
    if message is not None:
        copied[-1] = replace(_public(first[-1]), message=message)
    return Run(
        run_id="",
        scenario=run.scenario,
        agents=dict(agents),
        seed=run.seed,
        turns=tuple(copied),
        forked_from=run.run_id,
        forked_turns=turns,
    )


def _public(turn: Turn) -> Turn:
    """Return a turn without its private parts; the agent that continues gets a new prompt (prompts.conversation)."""
    return replace(turn, prompt=(), raw="", thought="", invalid=())
