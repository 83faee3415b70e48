"""Read the issues of a domain file in the XML format of GENIUS; `genius_import` reads the whole scenario."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from manager.config.strict_yaml import problems
from negotiation.scenario.issue import Issue, check_outcomes
from negotiation.scenario.xml_reader import Element, Note

_KIND_ATTRIBUTES = ("type", "vtype", "etype")
"""Attributes that name the kind of an issue in a domain, strongest first, as in GENIUS."""


@dataclass(frozen=True)
class DomainIssue:
    """An issue of the domain with its name in Parley."""

    element: Element
    name: str
    issue: Issue

    @property
    def kind(self) -> str:
        """Whether the issue is `discrete` or `integer`."""
        return issue_kind(self.element, _KIND_ATTRIBUTES)

    def is_named(self, name: str) -> bool:
        """Return whether this is the issue's name, ignoring case and spacing."""
        return _folded(name) == _folded(self.element.text("name"))


def objective_of(space: Element) -> Element:
    """Return the one objective of a space; raise ScenarioError if its utilities are not linear additive."""
    objective = space.the("objective")
    if objective.first("objective"):
        raise objective.error("nested objectives are not supported; put all issues into one objective")
    for other in ("constraint", "ufun", "utility", "utility_function"):
        if space.first(other) or objective.first(other):
            raise objective.error(f"<{other}> makes it nonlinear; only linear additive utility spaces are supported")
    return objective


def issue_kind(element: Element, attributes: Sequence[str]) -> str:
    """Return the kind of an issue, from the first of these attributes that it has."""
    return next((kind.lower() for name in attributes if (kind := element.attributes.get(name))), "discrete")


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def domain_issues(objective: Element, on_note: Note) -> list[DomainIssue]:
    """Return the issues of a domain's objective, in order; raise ScenarioError naming the line of a bad one."""
    found: list[DomainIssue] = []
    for element in objective.all("issue"):
        title = element.text("name")
        if title in (earlier.element.text("name") for earlier in found):
            raise element.error("there are two issues with this name")
        name = _identifier(title, [earlier.name for earlier in found])
        given = _issue(element, name, on_note)
        try:
            issue = Issue.model_validate(given)
        except ValidationError as error:
            raise element.error("; ".join(text for _, text in problems(Issue, error, given))) from None
        found.append(DomainIssue(element, name, issue))
    if not found:
        raise objective.error("it contains no <issue>")
    try:
        check_outcomes(entry.issue for entry in found)
    except ValueError as error:
        raise objective.error(str(error)) from None
    return found


def _identifier(name: str, taken: Container[str]) -> str:
    """Turn an issue's name into a name that Parley allows and that is not taken."""
    word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    word = word if word[:1].isalpha() and word.isascii() else f"issue_{word}".strip("_")
    word, number = word[:36], 1
    unique = word
    while unique in taken:
        number += 1
        unique = f"{word}_{number}"
    return unique


def _issue(element: Element, name: str, on_note: Note) -> dict[str, Any]:
    given = element.text("name")
    title = element.attributes.get("title", "" if given == name else given)
    marks = {mark: element.attributes.get(mark) == "true" for mark in ("compatible", "split")}
    data = {"title": title[:80], "unit": element.attributes.get("unit", ""), **marks}
    match issue_kind(element, _KIND_ATTRIBUTES):
        case "discrete" if "step" in element.attributes:
            numbers, step = [item.whole("value") for item in element.all("item")], element.whole("step")
            if not numbers or step < 1 or numbers != [numbers[0] + step * place for place in range(len(numbers))]:
                raise element.error(f"its items are not increasing numbers in steps of {step}")
            return {**data, "range": {"min": numbers[0], "max": numbers[-1], "step": step}}
        case "discrete":
            return {**data, "options": list(items_of(element, on_note))}
        case "integer":
            low, high = bounds_of(element)
            return {**data, "range": {"min": low, "max": high}}
        case kind:
            raise element.error(f"issues of type '{kind}' are not supported; only discrete and integer ones")


def items_of(element: Element, on_note: Note) -> dict[str, Element]:
    """Return the items of a discrete issue by value. Of items with the same value the last counts, as in GENIUS."""
    items: dict[str, Element] = {}
    for item in element.all("item"):
        value = item.text("value")
        if value in items:
            on_note(f"{item.where}: listed twice in '{element.text('name')}'; the two are merged, the last one counts")
        items[value] = item
    return items


def bounds_of(element: Element) -> tuple[int, int]:
    """Return the bounds of an integer issue, which may have an element of their own."""
    bounds = element.first("range") or element
    low, high = bounds.whole("lowerbound"), bounds.whole("upperbound")
    if low >= high:
        raise element.error(f"the upper bound ({high}) must be above the lower bound ({low})")
    return low, high
