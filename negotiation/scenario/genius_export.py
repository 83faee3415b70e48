"""Write scenarios in the XML format of GENIUS; see `genius_import` for what the format means.

GENIUS divides the evaluations of a discrete issue by the largest of them. A role whose best option of an issue is worth
less than 1 is therefore written on another scale: its weights are multiplied by that largest value and divided by their
sum S, which makes every utility, and the reservation value, 1/S of Parley's. What GENIUS computes is then proportional
to Parley's utilities, and the attribute `absolute`, which GENIUS ignores, holds the original numbers.
"""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

from negotiation.errors import ScenarioError
from negotiation.scenario.genius_import import rounded
from negotiation.scenario.model import SEATS, Scenario, Seat

FILES = {"domain": "domain.xml", "a": "a.xml", "b": "b.xml"}


def export_genius(scenario: Scenario) -> dict[str, bytes]:
    """Return the contents of the three files of a scenario by file name.

    Raises:
        ScenarioError: A text contains characters that XML does not allow.
    """
    domain = ElementTree.Element("negotiation_template")
    space = ElementTree.SubElement(
        domain, "utility_space", number_of_issues=str(len(scenario.issues)), rounds=str(scenario.rounds)
    )
    objective = _add_objective(space, scenario, scenario.story)
    for index, name in enumerate(scenario.issues, 1):
        _add_issue(objective, scenario, index, name)
    files = {FILES["domain"]: _bytes(domain, scenario)}
    return files | {FILES[seat]: _bytes(_utility_space(scenario, seat), scenario) for seat in SEATS}


def _utility_space(scenario: Scenario, seat: Seat) -> ElementTree.Element:
    role = scenario.roles[seat]
    space = ElementTree.Element("utility_space", number_of_issues=str(len(scenario.issues)), role=role.name)
    objective = _add_objective(space, scenario, role.briefing)
    for index, name in enumerate(scenario.issues, 1):
        _add_issue(objective, scenario, index, name, seat)
    scales = {name: 1.0 if _is_linear(scenario, name) else max(role.values[name].values()) for name in scenario.issues}
    total = math.fsum(role.weights[name] * scale for name, scale in scales.items())
    scaled = set(scales.values()) != {1.0} or abs(total - 1) > 1e-12
    for index, name in enumerate(scenario.issues, 1):
        weight = role.weights[name]
        value = weight * scales[name] / total if scaled and total else weight
        _add_number(objective, "weight", value, weight if scaled else None, index=str(index))
    _add_number(space, "discount_factor", rounded(scenario.discount**scenario.rounds), scenario.discount)
    reservation = min(1.0, role.reservation / total) if scaled and total else role.reservation
    _add_number(space, "reservation", reservation, role.reservation if scaled else None)
    return space


def _add_objective(space: ElementTree.Element, scenario: Scenario, text: str) -> ElementTree.Element:
    kinds = {"type": "objective", "etype": "objective"}
    attributes = {"index": "0", "name": scenario.title, "description": text, **kinds}
    return ElementTree.SubElement(space, "objective", attributes)


def _add_number(
    parent: ElementTree.Element, tag: str, value: float, absolute: float | None = None, **attributes: str
) -> None:
    element = ElementTree.SubElement(parent, tag, attributes, value=repr(float(value)))
    if absolute is not None:
        element.set("absolute", repr(float(absolute)))


def _add_issue(
    objective: ElementTree.Element, scenario: Scenario, index: int, name: str, seat: Seat | None = None
) -> None:
    """Add an issue of the domain or, with a seat, its evaluations."""
    issue = scenario.issues[name]
    kind = "integer" if _is_linear(scenario, name) else "discrete"
    attributes = {"index": str(index), "name": name, "vtype": kind, "type": kind, "etype": kind}
    marks = {"compatible": issue.compatible, "split": issue.split}
    extra = {"title": issue.title, "unit": issue.unit, **{mark: "true" for mark, marked in marks.items() if marked}}
    attributes |= {key: text for key, text in extra.items() if text}
    if kind == "integer":
        assert issue.range is not None
        low, high = issue.range.min, issue.range.max
        element = ElementTree.SubElement(objective, "issue", attributes, lowerbound=str(low), upperbound=str(high))
        if seat is not None:
            start, end = scenario.value(seat, name, low), scenario.value(seat, name, high)
            slope, offset = repr((end - start) / (high - low)), repr(float(start))
            ElementTree.SubElement(element, "evaluator", ftype="linear", offset=offset, slope=slope)
        return
    if issue.range is not None:
        attributes["step"] = str(issue.range.step)
    element = ElementTree.SubElement(objective, "issue", attributes)
    for number, choice in enumerate(issue.choices, 1):
        item = ElementTree.SubElement(element, "item", index=str(number), value=str(choice))
        if seat is not None:
            item.set("evaluation", repr(float(scenario.value(seat, name, choice))))


def _is_linear(scenario: Scenario, name: str) -> bool:
    """Return whether GENIUS has an integer issue for a range: step 1 and a straight line for both sides."""
    span = scenario.issues[name].range
    return span is not None and span.step == 1 and all(len(scenario.roles[seat].values[name]) == 2 for seat in SEATS)


_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _bytes(root: ElementTree.Element, scenario: Scenario) -> bytes:
    for element in root.iter():
        for key, text in element.attrib.items():
            if found := _NOT_XML.search(text):
                where = f"{scenario.scenario_id}: {key} {text[:40]!r}"
                raise ScenarioError(f"{where}: XML cannot hold the character {found[0]!r}")
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
