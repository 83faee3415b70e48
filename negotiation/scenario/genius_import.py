"""Reads scenarios in the XML form of GENIUS, the platform of the ANAC competitions: a domain and two utility spaces.

What is read is linear additive, with discrete and integer issues. Worth of an option, as GENIUS has it
(https://ii.tudelft.nl/genius; Lin et al. 2014, Computational Intelligence 30(1)):

- discrete: its evaluation; where an issue has evaluations above 1, divided by the largest of them
- integer: offset + slope x (value - lower bound), cut to [0, 1]

GENIUS discounts by d^t, t being the share of the time that has passed; the same worth in the last round's end is
had with d^(1/rounds) a round. What GENIUS has no place for goes into attributes that it ignores: `title`, `unit`,
`compatible`, `step`, `role`, `rounds`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from manager.config.strict_yaml import problems
from negotiation.scenario.model import Issue, Scenario, check_outcomes, parse_scenario
from negotiation.scenario.xml_reader import Element, read_xml

ROUNDS = 8
WEIGHTS_OFF = 0.02
"""So far from 1 may weights add up, as in GENIUS; they are then divided by their sum."""
Values = dict[str | int, float]


def import_genius(domain: Path, a: Path, b: Path, scenario_id: str = "imported") -> Scenario:
    """The scenario in a domain file and the utility spaces of both sides; raises ScenarioError with file and line."""
    root = read_xml(domain)
    space = root if root.tag == "utility_space" else root.the("utility_space")
    objective = _objective(space)
    issues: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}
    for element in objective.all("issue"):
        name = element.text("name")
        if name in names:
            raise element.error("there are two issues of this name")
        names[name] = _plain(name, issues)
        issues[names[name]] = _issue(element, names[name])
    if not issues:
        raise objective.error("there is no <issue> in it")
    checked = [_checked(element, data) for element, data in zip(objective.all("issue"), issues.values(), strict=True)]
    try:
        check_outcomes(checked)
    except ValueError as error:
        raise objective.error(str(error)) from None
    roots = {"a": read_xml(a), "b": read_xml(b)}
    rounds = space.whole("rounds") if "rounds" in space.attributes else ROUNDS
    title = objective.attributes.get("name", "").strip() or domain.stem
    data = {
        "title": title[:80],
        "story": objective.attributes.get("description") or f"Two sides negotiate about: {', '.join(names)}.",
        "rounds": rounds,
        "discount": _discount(roots, rounds),
        "issues": issues,
        "roles": {seat: _role(seat, root, names, issues) for seat, root in roots.items()},
    }
    return parse_scenario(scenario_id, data, str(domain))


def _objective(space: Element) -> Element:
    objective = space.the("objective")
    if objective.first("objective"):
        raise objective.error("objectives within objectives are not supported; put all issues into one")
    for other in ("constraint", "ufun", "utility", "utility_function"):
        if space.first(other) or objective.first(other):
            raise objective.error(f"<{other}> makes it nonlinear; only linear additive utility spaces are supported")
    return objective


def _plain(name: str, taken: Mapping[str, Any]) -> str:
    """An issue's name as a plain word that is not taken."""
    word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    word = word if word[:1].isalpha() and word.isascii() else f"issue_{word}".strip("_")
    word, number = word[:36], 1
    unique = word
    while unique in taken:
        number += 1
        unique = f"{word}_{number}"
    return unique


def _kind(element: Element) -> str:
    kinds = (element.attributes.get(key) for key in ("vtype", "etype", "type"))
    return next((kind for kind in kinds if kind), "discrete")


def _issue(element: Element, name: str) -> dict[str, Any]:
    given = element.text("name")
    title = element.attributes.get("title", "" if given == name else given)
    compatible = element.attributes.get("compatible") == "true"
    data = {"title": title[:80], "unit": element.attributes.get("unit", ""), "compatible": compatible}
    match _kind(element):
        case "discrete":
            items = [item.text("value") for item in element.all("item")]
            if "step" not in element.attributes:
                return {**data, "options": items}
            numbers = [item.whole("value") for item in element.all("item")]
            step = element.whole("step")
            if not numbers or step < 1 or numbers != [numbers[0] + step * place for place in range(len(numbers))]:
                raise element.error(f"its items are not rising numbers in steps of {step}")
            return {**data, "range": {"min": numbers[0], "max": numbers[-1], "step": step}}
        case "integer":
            low, high = _bounds(element)
            return {**data, "range": {"min": low, "max": high}}
        case kind:
            raise element.error(f"issues of type '{kind}' are not supported; only discrete and integer ones")


def _checked(element: Element, data: Mapping[str, Any]) -> Issue:
    try:
        return Issue.model_validate(data)
    except ValidationError as error:
        raise element.error("; ".join(text for _, text in problems(Issue, error))) from None


def _bounds(element: Element) -> tuple[int, int]:
    bounds = element.first("range") or element
    low, high = bounds.whole("lowerbound"), bounds.whole("upperbound")
    if low >= high:
        raise element.error(f"the upper bound ({high}) must be above the lower bound ({low})")
    return low, high


def _role(seat: str, root: Element, names: Mapping[str, str], issues: Mapping[str, Any]) -> dict[str, Any]:
    objective = _objective(root)
    found: dict[str, Element] = {}
    for element in objective.all("issue"):
        name = element.text("name")
        if name not in names:
            raise element.error(f"the domain has no such issue (it has: {', '.join(names)})")
        found[name] = element
    if missing := [name for name in names if name not in found]:
        raise objective.error(f"the issue '{missing[0]}' is missing")
    reservation = root.first("reservation")
    value = reservation.number("value") if reservation else 0.0
    if reservation and not 0 <= value <= 1:
        raise reservation.error(f"{value:g} is not from 0 to 1")
    return {
        "name": root.attributes.get("role") or f"Side {seat.upper()}",
        "briefing": objective.attributes.get("description")
        or "You want the best agreement you can get. What each option is worth to you stands in your preferences.",
        "reservation": value,
        "weights": _weights(objective, {names[name]: element for name, element in found.items()}),
        "values": {names[name]: _values(found[name], issues[names[name]]) for name in names},
    }


def _weights(objective: Element, issues: Mapping[str, Element]) -> dict[str, float]:
    given: dict[str, Element] = {}
    for weight in objective.all("weight"):
        if given.setdefault(weight.text("index"), weight) is not weight:
            raise weight.error(f"there is another weight with the index {weight.text('index')}")
    weights = {}
    for name, issue in issues.items():
        index = issue.text("index")
        if index not in given:
            raise issue.error(f'there is no <weight index="{index}">')
        weights[name] = given[index].number("value")
        if weights[name] < 0:
            raise given[index].error(f"a weight of {weights[name]:g} is below 0")
    total = math.fsum(weights.values())
    if abs(total - 1) > WEIGHTS_OFF:
        raise objective.error(f"the weights add up to {total:.6g}, not to 1")
    if abs(total - 1) <= 1e-12:
        return weights
    return {name: weight / total for name, weight in weights.items()}


def _values(element: Element, issue: Mapping[str, Any]) -> Values:
    if _kind(element) == "integer":
        return _linear(element, issue)
    given: dict[str, float] = {}
    for item in element.all("item"):
        value = item.text("value")
        if value in given:
            raise item.error("stands here twice")
        given[value] = item.number("evaluation")
        if given[value] < 0:
            raise item.error(f"an evaluation of {given[value]:g} is below 0")
    span = issue.get("range")
    if span is not None and "step" not in span:
        raise element.error("it is of type integer in the domain")
    options = issue["options"] if span is None else range(span["min"], span["max"] + 1, span["step"])
    known = {str(option) for option in options}
    if unknown := [value for value in given if value not in known]:
        raise element.error(f"the domain has no option '{unknown[0]}'")
    if missing := [option for option in options if str(option) not in given]:
        raise element.error(f"the evaluation of '{missing[0]}' is missing")
    scale = max([1.0, *given.values()])
    worth = [given[str(option)] / scale for option in options]
    return dict(zip(options, worth, strict=True)) if span is None else _bends(list(options), worth)


def _linear(element: Element, issue: Mapping[str, Any]) -> Values:
    span = issue.get("range")
    if span is None:
        raise element.error("it is discrete in the domain")
    low, high = span["min"], span["max"]
    if ("lowerbound" in element.attributes or element.first("range")) and _bounds(element) != (low, high):
        raise element.error(f"its bounds are not those of the domain ({low} to {high})")
    evaluator = element.the("evaluator")
    if evaluator.attributes.get("ftype", "linear") != "linear":
        raise evaluator.error(f"ftype '{evaluator.attributes['ftype']}' is not supported; only 'linear'")
    slope, offset = evaluator.number("slope"), evaluator.number("offset")
    points = {low, high}
    for edge in (0.0, 1.0):  # where it is cut, the line bends
        place = (edge - offset) / slope if slope else 0.0
        if 0 < place < high - low:
            points |= {low + math.floor(place), low + math.ceil(place)}
    ordered = sorted(points)
    return {point: min(1.0, max(0.0, offset + slope * (point - low))) for point in ordered}


def _bends(numbers: Sequence[int], worth: Sequence[float]) -> Values:
    """The ends of a range and the numbers between which its worth does not rise evenly."""
    kept = [0]
    for place in range(1, len(numbers) - 1):
        start = kept[-1]
        even = worth[start] + (worth[place + 1] - worth[start]) * (place - start) / (place + 1 - start)
        if abs(even - worth[place]) > 1e-12:
            kept.append(place)
    return {numbers[place]: worth[place] for place in [*kept, len(numbers) - 1]}


def _discount(roots: Mapping[str, Element], rounds: int) -> float:
    factors = {}
    for seat, root in roots.items():
        element = root.first("discount_factor")
        factor = element.number("value") if element else 1.0
        factors[seat] = factor if 0 < factor < 1 else 1.0  # as GENIUS takes it
    if factors["a"] != factors["b"]:
        raise roots["b"].error(
            f"its discount factor is {factors['b']:g}, the other side's {factors['a']:g}; both must have the same"
        )
    return digits(factors["a"] ** (1 / max(rounds, 1)))


def digits(number: float) -> float:
    """A number without the noise of powers and roots."""
    return float(f"{number:.12g}")
