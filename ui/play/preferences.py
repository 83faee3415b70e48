"""What each option is worth to a side, as a table: before a negotiation for one side, afterwards for both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from negotiation.scenario.issue import Issue, Value
from negotiation.scenario.model import SEATS, Scenario, Seat, other
from ui.kit.templates import render
from ui.kit.units import points
from ui.play import text

MOST_POINTS = 12
"""Of a range, at most this many given points are listed."""


@dataclass(frozen=True)
class Worth:
    """What an option adds to a deal for one seat: the points as shown, and its value from 0 to 1 as a bar."""

    seat: Seat
    points: str
    value: float


@dataclass(frozen=True)
class OptionRow:
    """One option of an issue, with its worth to each seat shown."""

    name: str
    worths: tuple[Worth, ...]


@dataclass(frozen=True)
class IssueRows:
    """One issue: the most it can add for each seat, and its options."""

    title: str
    most: tuple[tuple[Seat, str], ...]
    options: tuple[OptionRow, ...]


def preferences_html(scenario: Scenario, seats: Sequence[Seat]) -> Markup:
    """Draw how many points each option adds to a deal, for each of `seats`."""
    return render(
        "play/preferences",
        text=text,
        roles=[(seat, scenario.roles[seat].name) for seat in seats],
        issues=[_issue(scenario, name, issue, seats) for name, issue in scenario.issues.items()],
        no_deal=[(seat, points(scenario.roles[seat].reservation)) for seat in seats],
    )


def own_html(scenario: Scenario, seat: Seat) -> Markup:
    """Draw what a person knows before the first turn: their own briefing and preferences, never the other side's."""
    role = scenario.roles[seat]
    explained = text.WORTH.format(reservation=points(role.reservation))
    if scenario.discount < 1:
        explained += " " + text.DISCOUNT.format(share=1 - scenario.discount)
    return render(
        "play/own_side",
        title=text.SIDES.format(name=role.name, other=scenario.roles[other(seat)].name),
        briefing=role.briefing,
        explained=explained,
        rules=text.RULES[seat].format(rounds=scenario.rounds, other=scenario.roles[other(seat)].name),
        preferences=preferences_html(scenario, (seat,)),
    )


def most_points(scenario: Scenario, seat: Seat, name: str) -> str:
    """Return how much an issue can add to a deal for a seat, in words."""
    return text.UP_TO.format(points=points(scenario.roles[seat].weights[name]))


def added_points(scenario: Scenario, seat: Seat, name: str, choice: Value) -> str:
    """Return the points that an option adds to a deal for a seat, with their sign."""
    return f"+{points(scenario.roles[seat].weights[name] * scenario.value(seat, name, choice))}"


def _issue(scenario: Scenario, name: str, issue: Issue, seats: Sequence[Seat]) -> IssueRows:
    def row(choice: Value) -> OptionRow:
        worths = (
            Worth(seat, added_points(scenario, seat, name, choice), scenario.value(seat, name, choice))
            for seat in seats
        )
        return OptionRow(issue.show(choice), tuple(worths))

    most = tuple((seat, most_points(scenario, seat, name)) for seat in seats)
    return IssueRows(issue.title or name, most, tuple(map(row, _listed(scenario, name, issue))))


def _listed(scenario: Scenario, name: str, issue: Issue) -> list[Value]:
    """Return all options; for a range, the points between which values are interpolated."""
    if issue.range is None:
        return list(issue.choices)
    given: set[Value] = {point for seat in SEATS for point in scenario.roles[seat].values[name]}
    listed = sorted(given, key=int)
    return listed if len(listed) <= MOST_POINTS else [*listed[: MOST_POINTS - 1], listed[-1]]
