"""A new run that begins with the first turns of an old one, played on by others or after another message.

Pure: it answers the run to be started. What stays with the same player is kept word for word.
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
    """The run that goes on after the first `turns` turns of `run`; raises IllegalTurn if there is no such point.

    `message` replaces what was said in the last turn that is kept. The new run has no id, owner or comparison yet.
    """
    if not 0 <= turns <= len(run.turns):
        raise IllegalTurn(f"run '{run.run_id}' has {len(run.turns)} turns; it cannot be forked after {turns}")
    if message is not None and turns == 0:
        raise IllegalTurn("there is no message before the first turn; fork after a later one to change what was said")
    kept = list(run.turns[:turns])
    if replay(run.scenario, tuple(kept)).ending is not None:
        raise IllegalTurn("the negotiation had ended by then; fork after an earlier turn")
    changed = {seat for seat in agents if agents[seat] != run.agents[seat]}
    turns_told = [_untold(turn) if turn.seat in changed else turn for turn in kept]
    if message is not None:
        turns_told[-1] = replace(_untold(kept[-1]), message=message)
    return Run(
        run_id="",
        scenario=run.scenario,
        agents=dict(agents),
        seed=run.seed,
        turns=tuple(turns_told),
        forked_from=run.run_id,
        forked_turns=turns,
    )


def _untold(turn: Turn) -> Turn:
    """A turn without what its maker was told and wrote: whoever plays on is told it afresh (`prompts.conversation`)."""
    return replace(turn, prompt=(), raw="", thought="", invalid=())
