"""The form in which a person puts a turn together (`scripts/builder.js` sends it), and what the offer is worth."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from negotiation.agents.human import MAX_MESSAGE
from negotiation.game.protocol import Action, GameState
from negotiation.scenario.issue import Issue, Value
from negotiation.scenario.model import Offer, Scenario, Seat, other
from ui.drawing.table_and_verdict import bars_html
from ui.kit.templates import render
from ui.kit.units import points
from ui.play import text
from ui.play.preferences import added_points, most_points


@dataclass(frozen=True)
class Control:
    """One issue in the form: a pick list of options, or a slider over a range."""

    issue_id: str
    issue: Issue
    title: str
    most: str
    value: Value
    options: tuple[tuple[Value, str], ...]


def best_offer(scenario: Scenario, seat: Seat) -> Offer:
    """Return the offer that is worth most to a seat."""
    wanted: dict[str, Value] = {}
    for name, issue in scenario.issues.items():
        worth = [scenario.value(seat, name, choice) for choice in issue.choices]
        wanted[name] = issue.choices[worth.index(max(worth))]
    return wanted


def builder_html(state: GameState, seat: Seat, run_id: str, start: Offer, *, taken: int, turn: bool) -> Markup:
    """Draw the form for an offer and its message, with what the person can do.

    Args:
        state: The negotiation so far, which decides what the person can do in their turn.
        run_id: The run that is played; a new one makes the browser start with a fresh form.
        start: The offer that the form shows at first.
        taken: The number of turns the person has taken; each clears the message.
        turn: Whether it is the person's turn.
    """
    scenario = state.scenario
    controls = [_control(scenario, seat, name, issue, start[name]) for name, issue in scenario.issues.items()]
    return render(
        "play/offer_form",
        text=text,
        controls=controls,
        run_id=run_id,
        taken=taken,
        warning=last_words(state, seat) if turn else "",
        may_move=turn,
        may_offer=turn and not state.last_turn,
        may_accept=turn and Action.ACCEPT in state.legal,
        last_turn=turn and state.last_turn,
        message_length=MAX_MESSAGE,
    )


def last_words(state: GameState, seat: Seat) -> str:
    """Return the warning that a turn is the person's last, or their last that can hold an offer."""
    if state.last_turn:
        return text.LAST_WORD
    return text.LAST_OFFER[seat].format(other=state.scenario.roles[other(seat)].name) if state.last_offer else ""


def worth_html(scenario: Scenario, seat: Seat, offer: Offer | None, round_number: int) -> Markup:
    """Draw what a legal offer would be worth to the person who builds it; None means that it is incomplete."""
    if offer is None:
        return render("notice", words=text.OFFER_INCOMPLETE)
    value, now = scenario.utility(seat, offer), ""
    if scenario.discount < 1 and round_number > 1:
        worth = points(scenario.discounted(value, round_number))
        now = text.WORTH_NOW.format(round=round_number, worth=worth)
    a, b = (value, None) if seat == "a" else (None, value)
    return render("play/worth", title=text.OFFER_WORTH, bars=bars_html(scenario, a, b, (seat,)), now=now)


def _control(scenario: Scenario, seat: Seat, name: str, issue: Issue, value: Value) -> Control:
    options: tuple[tuple[Value, str], ...] = ()
    if issue.range is None:
        options = tuple(
            (choice, f"{issue.show(choice)}  ({added_points(scenario, seat, name, choice)})")
            for choice in issue.choices
        )
    return Control(name, issue, issue.title or name, most_points(scenario, seat, name), value, options)
