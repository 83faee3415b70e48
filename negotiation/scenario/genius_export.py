"""Writes scenarios in the XML form of GENIUS; `genius.py` says what that form means, and reads it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from negotiation.errors import ScenarioError
from negotiation.scenario.genius_import import digits
from negotiation.scenario.model import SEATS, Issue, Scenario, Seat

FILES = {"domain": "domain.xml", "a": "a.xml", "b": "b.xml"}


def export_genius(scenario: Scenario) -> dict[str, bytes]:
    """The three files of a scenario, by name; raises ScenarioError if a text has characters that XML has not."""
    domain = ElementTree.Element("negotiation_template")
    space = ElementTree.SubElement(
        domain, "utility_space", number_of_issues=str(len(scenario.issues)), rounds=str(scenario.rounds)
    )
    objective = _put_objective(space, scenario, scenario.story)
    for index, (name, issue) in enumerate(scenario.issues.items(), 1):
        _put_issue(objective, scenario, index, name, issue, None)
    files = {FILES["domain"]: _bytes(domain, scenario)}
    return files | {FILES[seat]: _bytes(_utility_space(scenario, seat), scenario) for seat in SEATS}


def _utility_space(scenario: Scenario, seat: Seat) -> ElementTree.Element:
    role = scenario.roles[seat]
    space = ElementTree.Element("utility_space", number_of_issues=str(len(scenario.issues)), role=role.name)
    objective = _put_objective(space, scenario, role.briefing)
    for index, (name, issue) in enumerate(scenario.issues.items(), 1):
        _put_issue(objective, scenario, index, name, issue, seat)
    for index, name in enumerate(scenario.issues, 1):
        ElementTree.SubElement(objective, "weight", index=str(index), value=repr(float(role.weights[name])))
    ElementTree.SubElement(space, "discount_factor", value=repr(digits(scenario.discount**scenario.rounds)))
    ElementTree.SubElement(space, "reservation", value=repr(float(role.reservation)))
    return space


def _put_objective(space: ElementTree.Element, scenario: Scenario, text: str) -> ElementTree.Element:
    kinds = {"type": "objective", "etype": "objective"}
    about = {"index": "0", "name": scenario.title, "description": text, **kinds}
    return ElementTree.SubElement(space, "objective", about)


def _put_issue(
    objective: ElementTree.Element, scenario: Scenario, index: int, name: str, issue: Issue, seat: Seat | None
) -> None:
    """An issue of the domain, or with a seat's evaluations."""
    kind = "integer" if _is_linear(scenario, name) else "discrete"
    about = {"index": str(index), "name": name, "vtype": kind, "type": kind, "etype": kind}
    extra = {"title": issue.title, "unit": issue.unit, "compatible": "true" if issue.compatible else ""}
    about |= {key: text for key, text in extra.items() if text}
    if kind == "integer":
        assert issue.range is not None
        low, high = issue.range.min, issue.range.max
        element = ElementTree.SubElement(objective, "issue", about, lowerbound=str(low), upperbound=str(high))
        if seat is not None:
            start, end = scenario.value(seat, name, low), scenario.value(seat, name, high)
            slope, offset = repr((end - start) / (high - low)), repr(float(start))
            ElementTree.SubElement(element, "evaluator", ftype="linear", offset=offset, slope=slope)
        return
    if issue.range is not None:
        about["step"] = str(issue.range.step)
    element = ElementTree.SubElement(objective, "issue", about)
    for number, choice in enumerate(issue.choices, 1):
        item = ElementTree.SubElement(element, "item", index=str(number), value=str(choice))
        if seat is not None:
            item.set("evaluation", repr(float(scenario.value(seat, name, choice))))


def _is_linear(scenario: Scenario, name: str) -> bool:
    """Whether GENIUS has a form for an issue's numbers: every whole number, and a straight line for both sides."""
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
