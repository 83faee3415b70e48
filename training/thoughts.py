"""The teacher's private thought: the few figures that lead to its decision, in the order in which they are needed."""

from __future__ import annotations

from negotiation.agents import prompts
from negotiation.game.agent import View
from negotiation.game.protocol import Action
from training.teacher import Choice


def thought(view: View, choice: Choice) -> str:
    """Return the thought behind a choice. Worths have two decimal places, as usually in the prompt."""
    state, reservation = view.state, view.role.reservation
    if choice.worth is None:
        return f"No offer yet, aim {choice.aim:.2f}. I ask for my best."
    worth, least = f"{choice.worth:.2f}", f"{reservation:.2f}"
    begun = f"Theirs {worth}, {prompts.relation(worth, least)} no deal,"
    if state.last_turn:
        return f"{begun} last turn: {'I accept' if choice.action is Action.ACCEPT else 'I leave'}."
    begun = f"{begun} aim {choice.aim:.2f}:"
    if choice.action is Action.ACCEPT:
        return f"{begun} enough, I accept."
    if not view.own:
        return f"{begun} too low. I ask for my best."
    return f"{begun} too low. {f'I give on {choice.given}' if choice.given else 'I hold'}."
