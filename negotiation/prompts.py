"""What a model is told. Plain words, its own preferences as a table, and no example that could be copied as an offer.

A conversation only ever grows at its end: what a turn adds is written once and never changed, so that the model's
work on it can be reused. Numbers are written as they stand in a reply.
"""

from __future__ import annotations

import json

from manager.generation.request import Message
from negotiation.agents.base import PublicTurn, View
from negotiation.protocol import Action
from negotiation.scenario import Issue, Offer, Scenario, Seat


def opening(view: View) -> str:
    """The system message: who one is, what one wants, the rules and the form of a reply."""
    scenario, role = view.scenario, view.role
    rounds = f"There are {scenario.rounds} rounds; without a deal by then there is no deal."
    parts = [
        f"You are the {role.name} and you negotiate with the {view.other_name}.",
        scenario.story.strip(),
        role.briefing.strip(),
        "\n".join(
            [
                "What you want (0 = worst for you, 1 = best for you):",
                *_preferences(scenario, view.seat),
                f"No deal is worth {role.reservation:.2f} to you.",
            ]
        ),
        " ".join([rounds, *_discount(scenario)]),
        "Answer in JSON: your private thought, your action (offer, accept or walk_away), your offer "
        f"(null unless your action is offer), and your message to the {view.other_name}.",
    ]
    return "\n\n".join(parts)


def turn_message(view: View) -> str:
    """What is told before a turn: what the other side did last, and where things stand."""
    state, lines = view.state, []
    if view.public:
        lines.append(_said(view, view.public[-1]))
    if state.table is not None:
        lines.append(f"That offer is worth {view.scenario.utility(view.seat, state.table):.2f} to you.")
    lines.append(f"Round {state.round} of {view.scenario.rounds}.")
    if state.table is None:
        lines.append(f"What do you offer the {view.other_name}?")
    elif state.last_turn:
        lines.append("This is the last turn: a new offer can no longer be answered. Do you accept theirs?")
    else:
        lines.append(f"Do you accept it, or what do you offer the {view.other_name}?")
    return "\n".join(lines)


def new_messages(view: View) -> tuple[Message, ...]:
    """What an agent is told now that it was not told before."""
    told: Message = {"role": "user", "content": turn_message(view)}
    if view.own:
        return (told,)
    return ({"role": "system", "content": opening(view)}, told)


def conversation(view: View) -> tuple[Message, ...]:
    """All that an agent was told and replied before this turn, oldest first."""
    messages: list[Message] = []
    for turn in view.own:
        messages += turn.prompt
        messages.append({"role": "assistant", "content": turn.raw})
    return tuple(messages)


def plain(scenario: Scenario, offer: Offer) -> str:
    """An offer in a line, with numbers as they stand in a reply."""
    return ", ".join(f"{name} = {offer[name]}" for name in scenario.issues)


def _said(view: View, turn: PublicTurn) -> str:
    quoted = json.dumps(turn.message, ensure_ascii=False)  # one line, whatever the other side writes
    words = f" and says: {quoted}" if turn.message else "."
    if turn.action is Action.OFFER and turn.offer is not None:
        return f"The {view.other_name} offers {plain(view.scenario, turn.offer)}{words}"
    return f"The {view.other_name} says: {quoted}"


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
    return f"a whole number{step}; {shown}, in proportion between"


def _discount(scenario: Scenario) -> list[str]:
    if scenario.discount == 1:
        return []
    return [f"With each round, a deal loses {_percent(1 - scenario.discount)} of its worth."]


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
