"""What a model read before the reply of a stored turn, put together again as agents/model.py did it."""

from __future__ import annotations

from pydantic import ValidationError

from manager.generation.request import Message
from negotiation.agents.options import ModelOptions
from negotiation.agents.prompts import conversation, correction
from negotiation.game.events import Turn
from negotiation.game.session import Negotiation, replay, view_of
from negotiation.runs.record import Run
from negotiation.scenario.analysers import analyser_of


def model_input(run: Run, turn: Turn) -> tuple[Message, ...]:
    """Return the conversation before a model's last reply in a turn, with the corrections of its invalid replies.

    What a fork's model read of turns that it did not play itself was never stored, and is written anew by this version.
    """
    try:
        options = ModelOptions.model_validate(dict(run.agents[turn.seat].options))
    except ValidationError:  # options of another version
        options = ModelOptions()
    use = run.provenance.of_turn(turn.seat, turn.index) if run.provenance is not None else None
    if use is not None and use.identity.server is not None:
        options = options.model_copy(update={"guard": "free"})
    before: tuple[Message, ...] = ()
    if turn.prompt[0]["role"] != "system":  # neither its first turn nor a conversation that was shortened
        earlier = run.turns[: turn.index]
        negotiation, state = Negotiation(run.run_id, run.scenario, {}, run.seed), replay(run.scenario, earlier)
        before = conversation(view_of(negotiation, analyser_of(run.scenario), state, list(earlier)), options)
    gave_up = bool(turn.invalid) and turn.invalid[-1].outcome == "gave_up"
    corrected = (turn.invalid[:-1] if gave_up else turn.invalid) if options.retry == "specific" else ()
    return (*before, *turn.prompt, *(message for invalid in corrected for message in correction(invalid, options)))
