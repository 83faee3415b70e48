"""A new run that begins with the first turns of an old one, played on by others or after another message.

Pure: it answers the run to be started. What a seat's new player is told of the past is worked out afresh, as if it
had played those turns itself; what stays with the same player is kept word for word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from negotiation.agents.base import Agent
from negotiation.agents.catalog import AgentConfig
from negotiation.analysis import Analyser
from negotiation.errors import IllegalTurn
from negotiation.events import Turn
from negotiation.prompts import new_messages
from negotiation.scenario import Seat
from negotiation.session import Negotiation, replay, view_of
from negotiation.store import Run


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
    if message is not None:
        kept[-1] = replace(kept[-1], message=message, raw=_reply(replace(kept[-1], message=message)), invalid=())
    changed = {seat for seat in agents if agents[seat] != run.agents[seat]}
    told = _told_again(run, kept, changed) if changed else tuple(kept)
    return Run(
        "",
        run.scenario,
        dict(agents),
        run.seed,
        turns=told,
        forked_from=run.run_id,
        forked_turns=turns,
    )


def _told_again(run: Run, kept: list[Turn], changed: set[Seat]) -> tuple[Turn, ...]:
    """The turns, those of changed seats with a prompt and a reply as their new player would have had them."""
    analyser = Analyser(run.scenario)
    nobody: dict[Seat, Agent] = {}
    told: list[Turn] = []
    for turn in kept:
        if turn.seat in changed:
            state = replay(run.scenario, tuple(told))
            past = Negotiation(run.run_id, run.scenario, nobody, run.seed)
            prompt = new_messages(view_of(past, analyser, state, told))
            told.append(replace(turn, prompt=prompt, raw=_reply(turn)))
        else:
            told.append(turn)
    return tuple(told)


def _reply(turn: Turn) -> str:
    reply = {"thought": turn.thought, "action": str(turn.action), "offer": turn.offer, "message": turn.message}
    return json.dumps(reply, ensure_ascii=False)
