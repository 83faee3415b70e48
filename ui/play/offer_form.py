"""What a person negotiates with: their own preferences as a table, and the form in which a turn is put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from negotiation.agents.human import MAX_WORDS
from negotiation.scenario.model import SEATS, Issue, Offer, Scenario, Seat, Value, other
from ui.drawing.table_and_verdict import bars_html
from ui.kit import text
from ui.kit.html import esc, number, tag

MOST_POINTS = 12
"""Of a range, at most so many given points are listed."""


def best_offer(scenario: Scenario, seat: Seat) -> Offer:
    """What a seat wants most: on each issue the option that is worth most to it."""
    wanted: dict[str, Value] = {}
    for name, issue in scenario.issues.items():
        worth = [scenario.value(seat, name, choice) for choice in issue.choices]
        wanted[name] = issue.choices[worth.index(max(worth))]
    return wanted


# -- preferences -----------------------------------------------------------------------------------------------


def preferences_html(scenario: Scenario, seats: Sequence[Seat]) -> str:
    """What every option is worth to `seats`: how much it adds to the utility of a deal."""
    names = "".join(tag("th", esc(scenario.roles[seat].name), f"seat-{seat}", scope="col") for seat in seats)
    head = tag("tr", tag("th", esc(text.PREFERENCES_OPTION), scope="col") + names)
    body = "".join(_issue_rows(scenario, name, issue, seats) for name, issue in scenario.issues.items())
    least = "".join(tag("td", esc(number(scenario.roles[seat].reservation)), f"seat-{seat}") for seat in seats)
    foot = tag("tr", tag("th", esc(text.PREFERENCES_NO_DEAL), scope="row") + least)
    table = tag("table", tag("thead", head) + body + tag("tfoot", foot), "preferences")
    return tag("div", table, "scroll", tabindex=0, role="region", aria_label=text.PREFERENCES_LABEL)


def _issue_rows(scenario: Scenario, name: str, issue: Issue, seats: Sequence[Seat]) -> str:
    shares = "".join(
        tag("td", esc(text.MATTERS.format(share=scenario.roles[seat].weights[name])), f"seat-{seat}") for seat in seats
    )
    rows = tag("tr", tag("th", esc(issue.title or name), scope="row") + shares, "issue")
    for choice in _listed(scenario, name, issue):
        cells = "".join(_worth_cell(scenario, seat, name, choice) for seat in seats)
        rows += tag("tr", tag("th", esc(issue.show(choice)), scope="row") + cells)
    return tag("tbody", rows)


def _worth_cell(scenario: Scenario, seat: Seat, name: str, choice: Value) -> str:
    value = scenario.value(seat, name, choice)
    bar = tag("span", tag("i"), "bar", style=f"--value:{value:.4f}", aria_hidden="true")
    return tag("td", bar + tag("b", esc(_adds(scenario, seat, name, choice))), f"seat-{seat}")


def _adds(scenario: Scenario, seat: Seat, name: str, choice: Value) -> str:
    return f"+{number(scenario.roles[seat].weights[name] * scenario.value(seat, name, choice))}"


def _listed(scenario: Scenario, name: str, issue: Issue) -> list[Value]:
    """All options, or of a range the points between which values are interpolated."""
    if issue.range is None:
        return list(issue.choices)
    points: set[Value] = {point for seat in SEATS for point in scenario.roles[seat].values[name]}
    listed = sorted(points, key=int)
    return listed if len(listed) <= MOST_POINTS else [*listed[: MOST_POINTS - 1], listed[-1]]


def own_html(scenario: Scenario, seat: Seat) -> str:
    """What a person needs to know before the first turn: their briefing and preferences, and nobody else's."""
    role = scenario.roles[seat]
    head = text.OWN_SIDE.format(name=role.name, other=scenario.roles[other(seat)].name)
    explained = text.OWN_WORTH.format(reservation=number(role.reservation))
    if scenario.discount < 1:
        explained += " " + text.OWN_DISCOUNT.format(share=1 - scenario.discount)
    told = tag("h3", esc(head)) + tag("p", esc(role.briefing), "briefing") + tag("p", esc(explained), "note")
    return tag("div", tag("div", told) + preferences_html(scenario, (seat,)), "own-side")


# -- the form --------------------------------------------------------------------------------------------------


def builder_html(
    scenario: Scenario, seat: Seat, run_id: str, start: Offer, *, taken: int, turn: bool, table: bool
) -> str:
    """The form of an offer with a message and what can be done with it (`scripts/builder.js` sends it).

    `start` is what it shows at first, `taken` how many turns the person took, `turn` whether it is their turn, and
    `table` whether there is an offer that could be accepted.
    """
    rows = "".join(_control(scenario, seat, name, issue, start[name]) for name, issue in scenario.issues.items())
    message = tag(
        "label",
        tag("span", esc(text.MESSAGE))
        + tag("textarea", "", rows=2, maxlength=MAX_WORDS, placeholder=text.MESSAGE_HINT, data_message="", dir="auto"),
        "message-field",
    )
    off = None if turn else ""
    buttons = tag("button", esc(text.MAKE_OFFER), "primary", type="button", data_do="offer", disabled=off)
    buttons += tag("button", esc(text.ACCEPT), type="button", data_do="accept", disabled=None if turn and table else "")
    buttons += tag(
        "button", esc(text.WALK_AWAY), "leave", type="button", data_do="walk_away", disabled=off, data_sure=text.SURE
    )
    form = rows + message + tag("div", buttons, "acts")
    return tag(
        "form", form, "builder", data_run=run_id, data_taken=taken, aria_label=text.BUILDER_LABEL, autocomplete="off"
    )


def _control(scenario: Scenario, seat: Seat, name: str, issue: Issue, start: Value) -> str:
    title = issue.title or name
    head = tag("span", esc(title)) + tag("small", esc(text.MATTERS.format(share=scenario.roles[seat].weights[name])))
    if issue.range is None:
        options = "".join(
            tag(
                "option",
                esc(f"{issue.show(choice)}  ({_adds(scenario, seat, name, choice)})"),
                value=choice,
                selected="" if choice == start else None,
            )
            for choice in issue.choices
        )
        return tag("label", head + tag("select", options, data_issue=name), "control")
    bounds: dict[str, Any] = {"min": issue.range.min, "max": issue.range.max, "step": issue.range.step}
    exact = tag("input", "", type="number", value=start, data_issue=name, aria_label=title, **bounds)
    slider = tag("input", "", type="range", value=start, data_slides=name, aria_label=title, **bounds)
    unit = tag("small", esc(issue.unit)) if issue.unit else ""
    return tag("div", tag("span", head, "head") + slider + tag("span", exact + unit, "exact"), "control range")


def worth_html(scenario: Scenario, seat: Seat, offer: Offer | None, round_number: int) -> str:
    """What the offer that is being built would be worth to who builds it; it is legal."""
    if offer is None:
        return tag("p", esc(text.OFFER_INCOMPLETE), "notice")
    value = scenario.utility(seat, offer)
    a, b = (value, None) if seat == "a" else (None, value)
    shown = tag("h3", esc(text.OFFER_WORTH)) + bars_html(scenario, a, b, (seat,))
    if scenario.discount < 1 and round_number > 1:
        now = number(scenario.discounted(value, round_number))
        shown += tag("p", esc(text.WORTH_NOW.format(round=round_number, worth=now)), "note")
    return tag("div", shown, "building", aria_live="polite")
