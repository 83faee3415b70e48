"""The prompts of a model: plain words, its own preferences as a table, and no example that could be copied as an offer.

A conversation only grows at its end: what a turn adds never changes, so that the computed prefix can be reused. Numbers
are written as they appear in a reply. Results depend on the wording, so it carries a version.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from manager.generation.request import Message
from negotiation.agents.options import ModelOptions
from negotiation.game.agent import Decision, View
from negotiation.game.events import InvalidReply, PublicTurn, Turn
from negotiation.game.protocol import Action, GameState
from negotiation.replies.reader import split_thinking
from negotiation.scenario.issue import Issue
from negotiation.scenario.model import PLACES, Offer, Scenario, Seat

VERSION = 4
"""The version of the prompts; runs record it, and tables of results name it.

Raise it by one whenever a model would read anything else in a shipped scenario, be it for a change here or in the
scenario's texts, and add the digest of the new prompts to `tests/unit/negotiation/agents/prompt_versions.json`. Once
results were published with a version, its digest never changes.
"""
DEFAULTS = ModelOptions()
OMITTED = "(The oldest turns are omitted here.)"
EMPTY = "(empty)"
"""Stands for an empty reply, since chat templates and servers refuse empty messages."""
LAST_OFFERS = 3
"""Number of its own last offers whose worth an agent gets."""


def opening(view: View, options: ModelOptions = DEFAULTS, *, brief: bool = False) -> str:
    """Return the system message: role, story, goal, rules and form of a reply; without the story if `brief`.

    A model that only narrates gets no preferences, since it would chatter about them.
    """
    scenario, role = view.scenario, view.role
    parts = [
        f"You are the {role.name}, negotiating with the {view.other_name}.",
        *([] if brief else [scenario.story.strip(), role.briefing.strip()]),
        *([_order(view)] if options.narrates else [_goal(view), _rules(view)]),
        *_wishes(options),
        _form(view, options),
    ]
    return "\n\n".join(parts)


def turn_message(view: View, options: ModelOptions = DEFAULTS, decided: Decision | None = None) -> str:
    """Return the message before a turn: the other side's last move, the state, and the decision, if one was made."""
    state, lines = view.state, []
    if view.public:
        lines.append(_said(view, view.public[-1]))
    if not options.narrates:
        lines += _own_share(view)
        lines += _calculated(view) if options.calculator else []
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


def correction(invalid: InvalidReply, options: ModelOptions) -> tuple[Message, ...]:
    """Return an invalid reply, without its thinking, and its fault, as messages for the rest of its turn."""
    said = split_thinking(invalid.raw)[1] if options.thinking else invalid.raw
    fault = f"{invalid.detail} Reply again, with exactly one JSON object."
    return {"role": "assistant", "content": said if said.strip() else EMPTY}, {"role": "user", "content": fault}


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


def relation(worth: str, no_deal: str) -> str:
    """Return how two worths compare, as they are shown."""
    return "as much as" if worth == no_deal else "more than" if float(worth) > float(no_deal) else "less than"


def _said(view: View, turn: PublicTurn) -> str:
    quoted = json.dumps(turn.message, ensure_ascii=False)  # one line, whatever the other side writes
    words = f" and says: {quoted}" if turn.message else "."
    if turn.action is Action.OFFER and turn.offer is not None:
        return f"The {view.other_name} offers {plain(view.scenario, turn.offer)}{words}"
    return f"The {view.other_name} says: {quoted}"


def _own_share(view: View) -> list[str]:
    """Return the agent's own part of what the offer on the table splits; the offer itself counts role a's part."""
    if view.state.table is None:
        return []
    offer = view.state.table
    shares = [
        f"{name} {_share(view.seat, issue, int(offer[name]))}"
        for name, issue in view.scenario.issues.items()
        if issue.split
    ]
    return [f"Your share: {', '.join(shares)}."] if shares else []


def _calculated(view: View) -> list[str]:
    """Return what the current offers are worth in this round: small models misread the numbers."""
    lines, table = [], view.state.table
    if table is not None:
        worth, no_deal = _compared(_worth_now(view, table), view.role.reservation)
        compared = relation(worth, no_deal)
        lines.append(f"That offer is worth {worth} to you, {compared} the {no_deal} that you get if you leave.")
    made = [turn.offer for turn in view.own if turn.offer is not None][-LAST_OFFERS:]
    if made:
        worths = ", ".join(f"{_worth_now(view, offer):.2f}" for offer in made)
        lines.append(f"Your own last offers would be worth {worths} to you.")
    return lines


def _worth_now(view: View, offer: Offer) -> float:
    return view.scenario.discounted(view.scenario.utility(view.seat, offer), view.state.round)


def _compared(one: float, two: float) -> tuple[str, str]:
    """Return two worths with two decimal places, or with as many as show which is larger."""
    places = next((places for places in range(2, PLACES) if f"{one:.{places}f}" != f"{two:.{places}f}"), 2)
    return f"{one:.{places}f}", f"{two:.{places}f}"


def _question(view: View) -> str:
    other = view.other_name
    if view.state.last_turn:
        return "This is the last turn: a new offer can no longer be answered. Do you accept theirs?"
    warning = f"This is your last chance to make an offer that the {other} can accept. "
    question = "Do you accept it, or what do" if view.state.table is not None else "What do"
    return f"{warning if view.state.last_offer else ''}{question} you offer the {other}?"


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
        rule = "Your moves are chosen for you; you write only the message. Use no numbers except those in your offer."
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


def _goal(view: View) -> str:
    """Return the goal in one sentence, with the seat's preferences."""
    scenario = view.scenario
    weighted = "; its worth is the weighted sum of these values" if len(scenario.issues) > 1 else ""
    goal = f"Your goal: reach a deal worth as much as possible to you{weighted} (0 = worst, 1 = best):"
    others = f"The {view.other_name} wants different things, which you cannot see."
    return "\n".join([goal, *_preferences(scenario, view.seat), others])


def _preferences(scenario: Scenario, seat: Seat) -> list[str]:
    weights = scenario.roles[seat].weights
    lines = []
    for name, issue in scenario.issues.items():
        weight = f", weight {_percent(weights[name])}" if len(scenario.issues) > 1 else ""
        unit = f", in {issue.unit}" if issue.unit and not issue.split else ""
        title = f" ({issue.title}{unit})" if issue.title else ""
        lines.append(f"- {name}{title}{weight}: {_values(scenario, seat, name, issue)}")
    return lines


def _values(scenario: Scenario, seat: Seat, name: str, issue: Issue) -> str:
    """Return what the options of an issue are worth, the best one first: small models cannot search a list for it."""
    given = scenario.roles[seat].values[name]
    if issue.options is not None:
        best_first = sorted(issue.options, key=lambda option: -given[option])
        return ", ".join(f'"{option}" = {given[option]:.2f}' for option in best_first)
    numbers = sorted(given, key=int)
    if given[numbers[0]] < given[numbers[-1]]:
        numbers.reverse()
    shown = ", ".join(_point(seat, issue, int(number), given[number]) for number in numbers)
    step = f" in steps of {issue.range.step}" if issue.range and issue.range.step > 1 else ""
    return f"a whole number{step}; {shown}, linear in between"


def _point(seat: Seat, issue: Issue, number: int, value: float) -> str:
    share = f" (you get {_share(seat, issue, number)})" if issue.split else ""
    return f"{number}{share} = {value:.2f}"


def _share(seat: Seat, issue: Issue, number: int) -> str:
    """Return a seat's part of an issue that is split, as "2 of 3 packs"."""
    assert issue.range is not None
    most = issue.range.max
    return f"{number if seat == 'a' else most - number} of {most} {issue.unit}".strip()


def _rules(view: View) -> str:
    """Return the rules: rounds, the last word, what no deal is worth, and what time costs."""
    rounds = view.scenario.rounds
    ending = f"Leaving (walk_away), or no agreement by the end of round {rounds}, means no deal: you get"
    return " ".join([_order(view), f"{ending} {view.role.reservation:.2f}.", *_discount(view.scenario)])


def _order(view: View) -> str:
    rounds, starter = view.scenario.rounds, view.state.starts == view.seat
    order = f"you move first, then the {view.other_name}" if starter else f"the {view.other_name} moves first, then you"
    last = f"the {view.other_name} has" if starter else "you have"
    return f"There are {rounds} rounds. In each, {order}; {last} the last word."


def _discount(scenario: Scenario) -> list[str]:
    rounds, discount = scenario.rounds, scenario.discount
    if discount == 1 or rounds == 1:
        return []
    left = f"1.00 in round 1 is {scenario.discounted(1, rounds):.2f} in round {rounds}"
    return [f"Each new round multiplies what a deal is worth by {discount:.3g} ({left}); no deal keeps its worth."]


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
