"""Read scenarios in the XML format of GENIUS, the platform of the ANAC competitions: a domain and two utility spaces.

Only linear additive utility spaces with discrete and integer issues are supported. The value of an option, as GENIUS
computes it (https://ii.tudelft.nl/genius; Lin et al. 2014, Computational Intelligence 30(1)):

- discrete: its evaluation, divided by the issue's largest evaluation
- integer: offset + slope x (value - lower bound), clipped to [0, 1]

GENIUS discounts by d^t, where t is the fraction of the time that has passed. Discounting by d^(1/rounds) per round
gives the same value at the end of the last round. `genius_export` keeps what GENIUS has no place for in attributes
that GENIUS ignores: `title`, `unit`, `compatible`, `split`, `step`, `role`, `rounds` and `absolute`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from negotiation.scenario.genius_domain import DomainIssue, bounds_of, domain_issues, issue_kind, items_of, objective_of
from negotiation.scenario.issue import Issue, Value
from negotiation.scenario.model import Scenario, parse_scenario
from negotiation.scenario.xml_reader import Element, Note, read_xml

ROUNDS = 8
WEIGHT_TOLERANCE = 0.02
"""Weights may add up to 1 plus or minus this much, as in GENIUS; they are then divided by their sum."""
_KIND_ATTRIBUTES = ("etype", "type", "vtype")
"""Attributes that name the kind of an issue in a utility space, strongest first, as in GENIUS."""


def import_genius(
    domain: Path, a: Path, b: Path, scenario_id: str = "imported", on_note: Note = lambda _: None
) -> Scenario:
    """Read a scenario from GENIUS files.

    Args:
        a: The utility space ("profile") of side a.
        b: The utility space of side b.
        scenario_id: The id of the new scenario.
        on_note: Called with each fault in the files that was tolerated, such as an option listed twice.

    Raises:
        ScenarioError: A file cannot be used; names the file and the line.
    """
    root = read_xml(domain, on_note)
    space = root if root.tag == "utility_space" else root.the("utility_space")
    objective = objective_of(space)
    issues = domain_issues(objective, on_note)
    roots = {"a": read_xml(a, on_note), "b": read_xml(b, on_note)}
    rounds = space.whole("rounds") if "rounds" in space.attributes else ROUNDS
    subjects = ", ".join(issue.element.text("name") for issue in issues)
    data = {
        "title": (objective.attributes.get("name", "").strip() or domain.stem)[:80],
        "story": objective.attributes.get("description") or f"Two sides negotiate about: {subjects}.",
        "rounds": rounds,
        "discount": _discount(roots, rounds),
        "issues": {issue.name: issue.issue.model_dump(exclude_none=True) for issue in issues},
        "roles": {seat: _role(seat, root, issues, on_note) for seat, root in roots.items()},
    }
    return parse_scenario(scenario_id, data, str(domain))


def _role(seat: str, root: Element, issues: Sequence[DomainIssue], on_note: Note) -> dict[str, Any]:
    objective = objective_of(root)
    found: dict[str, Element] = {}
    for element in objective.all("issue"):
        name = _matching(element, issues, on_note).name
        if found.setdefault(name, element) is not element:
            raise element.error("there are two issues with this name")
    if missing := [issue for issue in issues if issue.name not in found]:
        raise objective.error(f"the issue '{missing[0].element.text('name')}' is missing")
    absolute = any("absolute" in weight.attributes for weight in objective.all("weight"))
    return {
        "name": root.attributes.get("role") or f"Side {seat.upper()}",
        "briefing": objective.attributes.get("description")
        or "You want the best agreement you can get. Your preferences say what each option is worth to you.",
        "reservation": _reservation(root, absolute, on_note),
        "weights": _weights(objective, found, absolute),
        "values": {issue.name: _values(found[issue.name], issue, absolute, on_note) for issue in issues},
    }


def _matching(element: Element, issues: Sequence[DomainIssue], on_note: Note) -> DomainIssue:
    """Return the domain's issue that this element evaluates: the one with its index, whose name is checked."""
    name, index = element.text("name"), element.attributes.get("index")
    named = [issue for issue in issues if issue.is_named(name)]
    if not named:
        known = ", ".join(issue.element.text("name") for issue in issues)
        raise element.error(f"the domain has no such issue; its issues are: {known}")
    indexed = [issue for issue in issues if index is not None and issue.element.attributes.get("index") == index]
    if both := [issue for issue in indexed if issue in named]:
        return both[0]
    if indexed:
        other = indexed[0].element.text("name")
        raise element.error(f"its index {index} belongs to '{other}' in the domain; correct the index or the name")
    on_note(f"{element.where}: the domain has no issue with the index {index}; matched by name")
    return named[0]


def _reservation(root: Element, absolute: bool, on_note: Note) -> float:
    """Return the reservation value, which GENIUS accepts at every level; 0 without one."""
    element = _unique(root, "reservation")
    if element is None:
        return 0.0
    value = element.number("absolute" if absolute else "value")
    if value < 0:
        on_note(f"{element.where}: a reservation value of {value:g} is below 0; read as 0")
        return 0.0
    if value > 1:
        raise element.error(f"{value:g} is not between 0 and 1")
    return value


def _unique(root: Element, tag: str) -> Element | None:
    """Return the element with a tag at any level; several must have the same value."""
    found = list(root.everywhere(tag))
    for other in found[1:]:
        if other.number("value") != found[0].number("value"):
            raise other.error(f"another <{tag}> in line {found[0].line} has a different value; keep one")
    return found[0] if found else None


def _weights(objective: Element, issues: Mapping[str, Element], absolute: bool) -> dict[str, float]:
    given: dict[str, Element] = {}
    for weight in objective.all("weight"):
        if given.setdefault(weight.text("index"), weight) is not weight:
            raise weight.error(f"there is another weight with the index {weight.text('index')}")
    weights = {}
    for name, issue in issues.items():
        index = issue.text("index")
        if index not in given:
            raise issue.error(f'its <weight index="{index}"> is missing')
        weights[name] = given[index].number("absolute" if absolute else "value")
        if weights[name] < 0:
            raise given[index].error(f"a weight of {weights[name]:g} is below 0")
    total = math.fsum(weights.values())
    if abs(total - 1) > WEIGHT_TOLERANCE:
        raise objective.error(f"the weights add up to {total:.6g}, not to 1")
    if absolute or abs(total - 1) <= 1e-12:
        return weights
    return {name: weight / total for name, weight in weights.items()}


def _values(element: Element, issue: DomainIssue, absolute: bool, on_note: Note) -> dict[Value, float]:
    """Return what the options of an issue are worth, from 0 to 1: all of them, or where a range bends."""
    if (kind := issue_kind(element, _KIND_ATTRIBUTES)) != issue.kind and kind in ("discrete", "integer"):
        raise element.error(f"it is of type {issue.kind} in the domain")
    if issue.kind == "integer":
        return _linear(element, issue.issue)
    given: dict[str, float] = {}
    for value, item in items_of(element, on_note).items():
        given[value] = item.number("evaluation")
        if given[value] < 0:
            raise item.error(f"an evaluation of {given[value]:g} is below 0")
    options = issue.issue.choices
    known = {str(option) for option in options}
    if unknown := [value for value in given if value not in known]:
        raise element.error(f"the domain has no option '{unknown[0]}'")
    if missing := [option for option in options if str(option) not in given]:
        raise element.error(f"the evaluation of '{missing[0]}' is missing")
    largest = 1.0 if absolute else max(given.values()) or 1.0
    worth = {option: given[str(option)] / largest for option in options}
    return worth if issue.issue.options is not None else dict(_bends(list(worth.items())))


def _linear(element: Element, issue: Issue) -> dict[Value, float]:
    assert issue.range is not None
    low, high = issue.range.min, issue.range.max
    if ("lowerbound" in element.attributes or element.first("range")) and bounds_of(element) != (low, high):
        raise element.error(f"its bounds are not those of the domain ({low} to {high})")
    evaluator = element.the("evaluator")
    if (form := evaluator.attributes.get("ftype", "linear")) != "linear":
        raise evaluator.error(f"ftype '{form}' is not supported; only 'linear'")
    slope, offset = evaluator.number("slope"), evaluator.number("offset")
    points = {low, high}
    for edge in (0.0, 1.0):  # the line bends where it is clipped
        place = (edge - offset) / slope if slope else 0.0
        if 0 < place < high - low:
            points |= {low + math.floor(place), low + math.ceil(place)}
    return {point: rounded(min(1.0, max(0.0, offset + slope * (point - low)))) for point in sorted(points)}


def _bends(points: Sequence[tuple[Value, float]]) -> Iterator[tuple[Value, float]]:
    """Yield the ends of a range and the numbers at which the slope of its value changes."""
    start = 0
    for place, (number, value) in enumerate(points):
        if 0 < place < len(points) - 1:
            _, from_value = points[start]
            _, next_value = points[place + 1]
            straight = from_value + (next_value - from_value) * (place - start) / (place + 1 - start)
            if abs(straight - value) <= 1e-12:
                continue
        start = place
        yield number, value


def _discount(roots: Mapping[str, Element], rounds: int) -> float:
    factors = {}
    for seat, root in roots.items():
        element = _unique(root, "discount_factor")
        factor = element.number("value") if element else 1.0
        if element and "absolute" in element.attributes:
            factors[seat] = element.number("absolute")
        else:
            factors[seat] = rounded(factor ** (1 / max(rounds, 1))) if 0 < factor < 1 else 1.0  # as in GENIUS
    if factors["a"] != factors["b"]:
        raise roots["b"].error("the other side has a different discount factor; both must have the same")
    return factors["a"]


def rounded(number: float) -> float:
    """Return a number without the noise of powers, roots and products: to 12 significant digits."""
    return float(f"{number:.12g}")
