"""Draw a scenario from a family. The same family, seed and number give the same scenario everywhere and always."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from negotiation.errors import ScenarioError
from negotiation.families.draws import Draws
from negotiation.families.family import Family, FamilyIssue, FamilyPrice, FamilySetting, find_family
from negotiation.families.preferences import (
    Preferences,
    agreeable,
    drawn_preferences,
    drawn_reservations,
    opposed,
    ranked_preferences,
    whole,
)
from negotiation.families.wording import Parts, filled, priorities
from negotiation.scenario.analysis import OutcomeSpace
from negotiation.scenario.issue import Issue
from negotiation.scenario.lint import lint
from negotiation.scenario.model import SEATS, Scenario, Seat, other, parse_scenario
from negotiation.scenario.source import find_scenario

_DRAWN = re.compile(r"(\w+):([0-9]{1,13})(?::([0-9]{1,7}))?")
MOST_SEED, MOST_INDEX = 10**12, 10**6
MOST_TRIES = 500
STEPS = 12, 40
"""The least and the greatest number of steps that a range of prices is meant to have."""


def found_or_drawn(name: str, scenarios: Path, families: Path, option: str = "scenario") -> Scenario:
    """Return the scenario with a name.

    Args:
        name: The id of a scenario, the path of a YAML file, or FAMILY:SEED[:NUMBER] to draw one.
        scenarios: The folder in which scenarios are looked up by id.
        families: The folder in which families are looked up.
        option: The source of the name, for messages.

    Raises:
        ConfigError: There is no such scenario or family, or it is invalid.
    """
    if drawn := _DRAWN.fullmatch(name):
        return draw_scenario(find_family(drawn[1], families, option), int(drawn[2]), int(drawn[3] or 1))
    return find_scenario(name, scenarios, option)


def draw_scenario(family: Family, seed: int, index: int = 1) -> Scenario:
    """Draw a scenario.

    Args:
        family: What to draw from.
        seed: Another seed gives other scenarios.
        index: The number of the scenario, from 1. Each is drawn independently of the others.

    Returns:
        A scenario that keeps to the family's opposition and zone of agreement, and in which the linter finds nothing.
        Its `drawn_from` says where it comes from.

    Raises:
        ScenarioError: The seed or number is out of range, or no preferences within the family's bounds were found.
    """
    if not 0 <= seed < MOST_SEED or not 1 <= index <= MOST_INDEX:
        raise ScenarioError(
            f"family '{family.name}': give a seed from 0 to {MOST_SEED - 1:,} and a number from 1 to {MOST_INDEX:,}"
        )
    frame = _Frame(family, seed, index)
    for scenario in map(frame.attempt, range(MOST_TRIES)):
        if scenario is not None and not lint(scenario):
            return scenario
    raise ScenarioError(
        f"family '{family.name}': found no scenario {index} of seed {seed} with the stated opposition and zone; widen "
        "these bounds, or change the setting's issues"
    )


def draw_scenarios(family: Family, seed: int, count: int) -> Iterator[Scenario]:
    """Yield the scenarios 1 to `count` of a seed; raises ScenarioError like `draw_scenario`."""
    return (draw_scenario(family, seed, index) for index in range(1, count + 1))


class _Frame:
    """Everything about a scenario but the preferences: story, words, roles and issues."""

    def __init__(self, family: Family, seed: int, index: int) -> None:
        self.family, self.seed, self.index = family, seed, index
        draws = self._draws("frame")
        self.setting: FamilySetting = draws.pick(family.settings)
        self.words: dict[str, str | Parts] = {name: draws.pick(given) for name, given in self.setting.words.items()}
        names = list(self.setting.issues)
        if family.issues is not None:
            names = draws.some(names, draws.between(*family.issues))
        self.parts = {name: self.setting.issues[name] for name in names}
        self.issues = {name: self._issue(draws, part) for name, part in self.parts.items()}
        self.rounds = draws.between(*family.rounds)
        divided = any(issue.split for issue in self.issues.values())
        swapped = not divided and draws.below(2) == 1  # the number of what is divided belongs to role a
        self.role_at: dict[Seat, Seat] = {seat: other(seat) if swapped else seat for seat in SEATS}

    def attempt(self, number: int) -> Scenario | None:
        """Return the scenario with newly drawn preferences; None if they are not within the family's bounds."""
        family, draws = self.family, self._draws("preferences", number)
        if family.points is None:
            found = drawn_preferences(draws, self.issues, self.parts)
        else:
            found = ranked_preferences(family.points, family.name, self.seed, self.index, self.issues)
        no_deal: dict[Seat, float] | None = {seat: each.no_deal for seat, each in found.items()}
        seated = whole(OutcomeSpace(self._scenario(found)))
        utilities = {role: seated[seat] for seat, role in self.role_at.items()}
        if not opposed(utilities, family.opposition):
            return None
        if family.points is None:
            no_deal = drawn_reservations(draws, utilities, family.zone)
        if no_deal is None or not agreeable(utilities, no_deal, family.zone):
            return None
        return self._scenario({seat: replace(each, no_deal=no_deal[seat]) for seat, each in found.items()})

    def _draws(self, *purpose: str | int) -> Draws:
        return Draws(self.family.name, self.seed, self.index, *purpose)

    def _issue(self, draws: Draws, part: FamilyIssue) -> Issue:
        given: dict[str, Any] = {"title": self._text(part.title), "unit": self._text(part.unit)}
        if part.wants["a"] == part.wants["b"]:
            given["compatible"] = True
        if part.options is not None:
            given["options"] = [self._text(option) for option in part.options]
        elif part.range is not None:
            given["range"] = part.range.model_dump()
        elif part.price is not None:
            given["range"] = self._prices(draws, part.price)
        elif part.amount is not None:
            given |= {"split": True, "range": {"min": 0, "max": draws.between(*part.amount)}}
        return Issue.model_validate(given)

    def _prices(self, draws: Draws, price: FamilyPrice) -> dict[str, int]:
        worth = int(self._text(str(price.worth)))
        low, high = (worth * (100 + sign * draws.between(*price.around)) // 100 for sign in (-1, 1))
        wanted = (high - low) // draws.between(*STEPS)
        size = 10 ** (len(str(max(wanted, 1))) - 1)
        step = max(number * size for number in (1, 2, 5) if number * size <= max(wanted, 1))
        return {"min": -(-low // step) * step, "max": high // step * step, "step": step}

    def _scenario(self, preferences: Mapping[Seat, Preferences]) -> Scenario:
        family = self.family
        roles = {seat: self._role(seat, preferences[seat]) for seat in SEATS}
        data = {
            "title": self._text(self.setting.title),
            "story": _wrapped(self._text(self.setting.story)),
            "rounds": self.rounds,
            "issues": {name: issue.model_dump(exclude_none=True) for name, issue in self.issues.items()},
            "roles": {seat: roles[role] for seat, role in self.role_at.items()},
            "drawn_from": {"family": family.name, "seed": self.seed, "index": self.index, "sha256": family.sha256},
        }
        return parse_scenario(f"{family.name}_{self.seed}_{self.index}", data, f"family '{family.name}'")

    def _role(self, seat: Seat, preferences: Preferences) -> dict[str, Any]:
        """Return a role as it stands in a scenario file."""
        role = self.setting.roles[seat]
        called = {self._text(part.called): preferences.weights[name] for name, part in self.parts.items()}
        reasons = [part.why[seat] for part in self.parts.values() if seat in part.why]
        said = [role.briefing, *reasons, priorities(self._draws("priorities", seat), called), role.no_deal]
        return {
            "name": self._text(role.name),
            "briefing": _wrapped(" ".join(self._text(text) for text in said if text)),
            "reservation": preferences.no_deal,
            "weights": preferences.weights,
            "values": preferences.values,
        }

    def _text(self, text: str) -> str:
        return filled(text, self.words)


def _wrapped(text: str) -> str:
    """Return a text on lines as wide as those of a scenario file."""
    return textwrap.fill(" ".join(text.split()), 110, break_long_words=False, break_on_hyphens=False) + "\n"
