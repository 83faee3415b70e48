"""The prompts of a model: plain words, its own preferences as a table, and no example that could be copied as an offer.

A conversation only grows at its end: what a turn adds never changes, so that the computed prefix can be reused. Numbers
are written as they appear in a reply.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from manager.generation.request import Message
from negotiation.agents.options import ModelOptions
from negotiation.game.agent import Decision, View
from negotiation.game.events import PublicTurn, Turn
from negotiation.game.protocol import Action, GameState
from negotiation.replies.reader import split_thinking
from negotiation.scenario.issue import Issue
from negotiation.scenario.model import Offer, Scenario, Seat

DEFAULTS = ModelOptions()
OMITTED = "(The oldest turns are omitted here.)"
LAST_OFFERS = 3
"""Number of its own last offers whose worth an agent gets."""


def opening(view: View, options: ModelOptions = DEFAULTS, *, brief: bool = False) -> str:
    """Return the system message: role, story, preferences, rules and form of a reply; without the story if `brief`."""
    scenario, role = view.scenario, view.role
    rounds = f"There are {scenario.rounds} rounds; without an agreement by the end, there is no deal."
    parts = [
        f"You are the {role.name}, and you negotiate with the {view.other_name}.",
        *([] if brief else [scenario.story.strip(), role.briefing.strip()]),
        *([] if options.narrates else _stakes(view)),
        " ".join([rounds, *_discount(scenario)]),
        *_wishes(options),
        _form(view, options),
    ]
    return "\n\n".join(parts)


def turn_message(view: View, options: ModelOptions = DEFAULTS, decided: Decision | None = None) -> str:
    """Return the message before a turn: the other side's last move, the state, and the decision, if one was made."""
    state, lines = view.state, []
    if view.public:
        lines.append(_said(view, view.public[-1]))
    if options.calculator and not options.narrates:
        lines += _calculated(view)
    lines.append(f"Round {state.round} of {view.scenario.rounds}.")
    lines.append(_question(view) if decided is None else _decided(view, decided))
    return "\n".join(lines)


def new_messages(view: View, options: ModelOptions = DEFAULTS, decided: Decision | None = None) -> tuple[Message, ...]:
    """Return the messages that this turn adds to an agent's conversation."""
    asked: Message = {"role": "user", "content": turn_message(view, options, decided)}
    if view.own:
        return (asked,)
    return ({"role": "system", "content": opening(view, options)}, asked)


def conversation(view: View, options: ModelOptions = DEFAULTS) -> tuple[Message, ...]:
    """Return an agent's conversation before this turn, oldest message first, without what was dropped on the way.

    A turn for which the conversation was shortened has the whole shortened conversation as its prompt, from the system
    message on. Turns that were not made by a model are written as if they had been.
    """
    starts = [number for number, turn in enumerate(view.own) if turn.prompt and turn.prompt[0]["role"] == "system"]
    messages: list[Message] = []
    for number, turn in enumerate(view.own[max(starts, default=0) :], max(starts, default=0)):
        messages += turn.prompt or new_messages(_before(view, number), options)
        messages.append({"role": "assistant", "content": split_thinking(turn.raw)[1] if turn.prompt else _move(turn)})
    return tuple(messages)


def shortened(view: View, options: ModelOptions, messages: Sequence[Message]) -> tuple[Message, ...] | None:
    """Return a conversation without the older half of its turns, with a note; None if nothing can be dropped.

    Once only the current turn remains, the story and the briefing are dropped.
    """
    system, *turns = messages
    pairs = len(turns) // 2
    if pairs:
        first, *rest = turns[2 * ((pairs + 1) // 2) :]
        noted = first["content"] if first["content"].startswith(OMITTED) else f"{OMITTED}\n{first['content']}"
        return (system, {"role": "user", "content": noted}, *rest)
    brief = opening(view, options, brief=True)
    return None if system["content"] == brief else ({"role": "system", "content": brief}, *turns)


def plain(scenario: Scenario, offer: Offer) -> str:
    """Return an offer on one line, with numbers as they appear in a reply."""
    return ", ".join(f"{name} = {offer[name]}" for name in scenario.issues)


def _said(view: View, turn: PublicTurn) -> str:
    quoted = json.dumps(turn.message, ensure_ascii=False)  # one line, whatever the other side writes
    words = f" and says: {quoted}" if turn.message else "."
    if turn.action is Action.OFFER and turn.offer is not None:
        return f"The {view.other_name} offers {plain(view.scenario, turn.offer)}{words}"
    return f"The {view.other_name} says: {quoted}"


def _calculated(view: View) -> list[str]:
    """Return what the current offers are worth: small models misread the numbers."""
    lines, table = [], view.state.table
    if table is not None:
        worth = view.scenario.utility(view.seat, table)
        lines.append(f"That offer is worth {worth:.2f} to you.")
        if view.scenario.discounted(worth, view.state.round) < view.role.reservation:
            lines.append("Having no deal is worth more to you than that offer.")
    made = [turn.offer for turn in view.own if turn.offer is not None][-LAST_OFFERS:]
    if made:
        worths = ", ".join(f"{view.scenario.utility(view.seat, offer):.2f}" for offer in made)
        lines.append(f"Your own last offers were worth {worths} to you.")
    return lines


def _question(view: View) -> str:
    if view.state.table is None:
        return f"What do you offer the {view.other_name}?"
    if view.state.last_turn:
        return "This is the last turn: a new offer can no longer be answered. Do you accept theirs?"
    return f"Do you accept it, or what do you offer the {view.other_name}?"


def _decided(view: View, decided: Decision) -> str:
    match decided.action:
        case Action.OFFER if decided.offer is not None:
            move = f"offer {plain(view.scenario, decided.offer)}"
        case Action.ACCEPT:
            move = "accept their offer"
        case _:
            move = "leave without a deal"
    return f"You have decided to {move}. What do you say to the {view.other_name}?"


def _wishes(options: ModelOptions) -> list[str]:
    wishes = [
        f"Your manner: {options.persona}" if options.persona else "",
        f"Your plan: {options.hint}" if options.hint else "",
        f"Write your thought and your message in {options.language}." if options.language else "",
    ]
    return ["\n".join(wish for wish in wishes if wish)] if any(wishes) else []


def _form(view: View, options: ModelOptions) -> str:
    """Return the form of a reply, without an example; in full if no grammar enforces it."""
    if options.narrates:
        rule = "Your moves are decided for you; you find the words. Name no numbers other than those of your offer."
        return f"{rule} {_keys(view)}" if options.guard == "free" else rule
    if options.guard == "free":
        return _keys(view)
    return (
        "Answer in JSON: your private thought, your action (offer, accept or walk_away), your offer "
        f"(null unless your action is offer), and your message to the {view.other_name}."
    )


def _keys(view: View) -> str:
    return (
        "Answer with exactly one JSON object and nothing around it. It has the keys thought (text, private), action "
        "(offer, accept or walk_away, in quotes), offer (an object with exactly the keys "
        f"{', '.join(view.scenario.issues)} if your action is offer, else null) and message (text to the "
        f"{view.other_name}). Write integers without quotes."
    )


def _before(view: View, number: int) -> View:
    """Return the view before the agent's own turn with a number."""
    index = view.own[number].index
    table = view.public[index - 1].offer if index else None
    state = GameState(view.scenario, index, view.state.starts, table)
    return replace(view, state=state, public=view.public[:index], own=view.own[:number])


def _move(turn: Turn) -> str:
    """Return a turn that no model made as the reply that would have made it."""
    offer = None if turn.offer is None else dict(turn.offer)
    return json.dumps(
        {"thought": "", "action": turn.action, "offer": offer, "message": turn.message}, ensure_ascii=False
    )


def _stakes(view: View) -> list[str]:
    """Return the preferences, for models that decide; one that only narrates would chatter about them."""
    lines = _preferences(view.scenario, view.seat)
    no_deal = f"Having no deal is worth {view.role.reservation:.2f} to you."
    return ["\n".join(["What you want (0 = worst for you, 1 = best for you):", *lines, no_deal])]


def _preferences(scenario: Scenario, seat: Seat) -> list[str]:
    weights = scenario.roles[seat].weights
    lines = []
    for name, issue in scenario.issues.items():
        share = f", {_percent(weights[name])} of the total" if len(scenario.issues) > 1 else ""
        title = f" ({issue.title}{f', in {issue.unit}' if issue.unit else ''})" if issue.title else ""
        lines.append(f"- {name}{title}{share}: {_values(scenario, seat, name, issue)}")
    return lines


def _values(scenario: Scenario, seat: Seat, name: str, issue: Issue) -> str:
    given = scenario.roles[seat].values[name]
    if issue.options is not None:
        return ", ".join(f'"{option}" = {given[option]:.2f}' for option in issue.options)
    points = sorted(given, key=int)
    shown = ", ".join(f"{point} = {given[point]:.2f}" for point in points)
    step = f" in steps of {issue.range.step}" if issue.range and issue.range.step > 1 else ""
    return f"a whole number{step}; {shown}, linear in between"


def _discount(scenario: Scenario) -> list[str]:
    if scenario.discount == 1:
        return []
    return [f"With each round, a deal loses {_percent(1 - scenario.discount)} of its worth."]


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
