"""How two finished lanes compare: which came out ahead for a side, what was left on the table, and what decided it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from negotiation.runs.record import Run
from negotiation.scenario.model import Offer, Seat
from ui.drawing import text
from ui.drawing.outcome_space import space_of
from ui.drawing.table_and_verdict import SMALL, costliest
from ui.kit import text as shared
from ui.kit.units import in_points, points

CURRENCIES = "€$£¥"


@dataclass(frozen=True)
class LaneVerdict:
    """The lanes from the point of view of one side; `ahead` is the number of the better lane, 0 if they are equal."""

    role: str
    ahead: int
    headline: str
    details: tuple[str, ...]


def compare(runs: Sequence[Run]) -> LaneVerdict | None:
    """Compare the two lanes of a comparison; None unless both have ended by their own rules."""
    if len(runs) != 2 or any(run.status != "done" or run.measures is None for run in runs):
        return None
    seat = contested(runs)
    role = runs[0].scenario.roles[seat].name
    worths = [_worth(run, seat) for run in runs]
    difference = worths[0] - worths[1]
    ahead = 0 if abs(difference) <= SMALL else 1 if difference > 0 else 2
    headline, told = _headline(runs, seat, ahead, abs(difference))
    details = [*_other_issues(runs, ahead, told), _left(runs)]
    if ahead and (decided := _decided(runs[2 - ahead], seat, 3 - ahead)):
        details.append(decided)
    return LaneVerdict(role, ahead, headline, tuple(details))


def contested(runs: Sequence[Run]) -> Seat:
    """Return the seat in which the lanes' agents differ; a if they differ in both or none."""
    first, second = runs
    return "b" if first.agents["a"] == second.agents["a"] and first.agents["b"] != second.agents["b"] else "a"


def _worth(run: Run, seat: Seat) -> float:
    assert run.measures is not None
    return run.measures.utility_a if seat == "a" else run.measures.utility_b


def _headline(runs: Sequence[Run], seat: Seat, ahead: int, difference: float) -> tuple[str, str]:
    """Return who came out ahead and by how much, and the issue in whose terms that is, if any."""
    role = runs[0].scenario.roles[seat].name
    first, second = (run.agreement for run in runs)
    by = in_points(difference)
    if first is None and second is None:
        return text.END_NO_DEALS, ""
    if first is None or second is None:
        number = 2 if first is None else 1
        form = text.END_ONE_DEAL if ahead == number else text.END_WORSE_DEAL if ahead else text.END_EVEN_DEAL
        return form.format(number=number, role=role, by=by), ""
    if dict(first) == dict(second):
        return text.END_SAME_DEAL, ""
    if not ahead:
        return text.END_EQUAL.format(role=role, worth=in_points(_worth(runs[0], seat))), ""
    better, worse = (first, second) if ahead == 1 else (second, first)
    in_terms, issue = _in_own_terms(runs[0], seat, better, worse)
    if not issue:
        return text.END_POINTS.format(number=ahead, role=role, by=by), ""
    high, low = (points(_worth(runs[number - 1], seat)) for number in (ahead, 3 - ahead))
    return text.END_TERMS.format(number=ahead, terms=in_terms, high=high, low=low), issue


def _in_own_terms(run: Run, seat: Seat, better: Offer, worse: Offer) -> tuple[str, str]:
    """Return the advantage of a deal in the numbers of the side's weightiest issue, and that issue, if it is one."""
    scenario = run.scenario
    role = scenario.roles[seat]
    name = max(role.weights, key=lambda issue: role.weights[issue])
    issue, high, low = scenario.issues[name], better[name], worse[name]
    gains = scenario.value(seat, name, high) > scenario.value(seat, name, low)
    if not gains or not isinstance(high, int) or not isinstance(low, int):
        return "", ""
    amount, title = issue.show(abs(high - low)), issue.title or name
    money = any(sign in issue.unit for sign in CURRENCIES)
    form = text.TERMS[money, high > low]
    return form.format(role=role.name, amount=amount, title=title), name


def _other_issues(runs: Sequence[Run], ahead: int, told: str) -> list[str]:
    """Name what else differs between two deals."""
    first, second = (run.agreement for run in runs)
    if first is None or second is None or not ahead:
        return []
    differing = [
        (issue.title or name, issue.show(first[name]), issue.show(second[name]))
        for name, issue in runs[0].scenario.issues.items()
        if first[name] != second[name] and name != told
    ]
    return [text.END_ISSUE.format(title=title, first=one, second=two) for title, one, two in differing]


def _left(runs: Sequence[Run]) -> str:
    """Name what both sides together could still have gained without loss to either."""
    left = []
    for run in runs:
        a, b = _worth(run, "a"), _worth(run, "b")
        better = space_of(run.scenario).analyser.improvement(a, b)
        left.append(0.0 if better is None else better.utility_a - a + better.utility_b - b)
    if max(left) <= SMALL:
        return text.LEFT_NOTHING
    first, second = (text.LEFT_NONE if value <= SMALL else in_points(value) for value in left)
    return text.LEFT.format(first=first, second=second)


def _decided(run: Run, seat: Seat, number: int) -> str:
    """Name the turn by which a side lost most; without a deal, how the negotiation ended."""
    if run.agreement is None:
        by = run.scenario.roles[run.ended_by].name if run.ended_by else ""
        return text.DECIDED_BY.format(number=number, why=shared.VERDICT[str(run.ending)].format(name=by))
    found = costliest([turn for turn in run.turns if turn.seat == seat], space_of(run.scenario))
    if found is None:
        return ""
    turn, cost = found
    role = run.scenario.roles[seat].name
    return text.DECIDED.format(number=number, round=turn.round, role=role, cost=in_points(cost))
