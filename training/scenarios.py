"""Scenarios to learn from: drawn from Parley's families, and from a wide family whose parts are put together anew.

The wide family has no story worth reading, but a new set of issues, words and roles in every scenario, so that a model
learns to read the table instead of remembering it. Seeds below `HELD_OUT` are for training, the others for evaluation.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from manager.config.strict_yaml import read_yaml
from negotiation.errors import ScenarioError
from negotiation.families.draws import Draws
from negotiation.families.family import FAMILIES, Family, family_names, load_family
from negotiation.families.generate import draw_scenario
from negotiation.families.wording import filled
from negotiation.scenario.model import Scenario

HELD_OUT = 900_000
PARTS = Path(__file__).with_name("parts.yaml")
WIDE_SHARE = 60
"""Percentage of scenarios from the wide family."""
ROUNDS = (2, 3, 4, 4, 5, 5, 6, 6, 7, 8, 10, 12)
"""Numbers of rounds to draw from: mostly few, since long conversations cost most and teach little more."""
DISCOUNTS = (1.0,) * 9 + (0.98, 0.97, 0.95)


def training_scenario(seed: int, number: int) -> Scenario:
    """Return a scenario to learn from; the same seed and number always give the same one."""
    for attempt in count():
        draws = Draws("training", seed, number, attempt)
        own, wide = draws.below(HELD_OUT), draws.below(100) < WIDE_SHARE
        try:
            scenario = draw_scenario(wide_family(own) if wide else load(draws.pick(family_names(FAMILIES))), own)
        except ScenarioError:  # these parts do not reach the stated opposition
            continue
        return scenario.model_copy(update={"rounds": draws.pick(ROUNDS), "discount": draws.pick(DISCOUNTS)})
    raise AssertionError


def held_out_scenarios(number: int, seed: int = 0) -> list[Scenario]:
    """Return scenarios that are never trained on, the families in turn.

    Families with fixed points are left out, since their few preferences are the same for every seed.
    """
    names = [name for name in family_names(FAMILIES) if load(name).points is None]
    return [draw_scenario(load(names[n % len(names)]), HELD_OUT + seed, 1 + n // len(names)) for n in range(number)]


@cache
def load(name: str) -> Family:
    """Return a family that comes with Parley."""
    return load_family(name)


def wide_family(seed: int) -> Family:
    """Return a family with one setting that is put together from parts at random."""
    parts, draws = _parts(), Draws("wide", seed)
    kinds = draws.shuffled(parts["issues"])[: draws.pick([1, 2, 2, 3, 3, 4, 4, 5, 6])]
    a, b = draws.shuffled(parts["roles"])[:2]
    issues: dict[str, Any] = {}
    for kind in kinds:
        issue = {key: value for key, value in kind.items() if key not in ("key", "options", "worth")}
        issue["wants"] = draws.pick([{"a": "more", "b": "less"}, {"a": "less", "b": "more"}])
        if "amount" in kind:
            issue["wants"] = {"a": "more", "b": "less"}
            issue["title"] = filled(kind["title"], {"a": a.lower()})
        elif len(kinds) > 2 and draws.below(12) == 0:
            issue["wants"] = {"a": "more", "b": "more"}
        if "options" in kind:
            issue["options"] = kind["options"]
        if "worth" in kind:
            issue["price"] = {"worth": draws.between(11, 99) * 10 ** draws.between(1, 4), "around": [20, 50]}
            issue["unit"] = draws.pick(["€", "$", "£"])
        issues[kind["key"]] = issue
    thing = draws.pick(parts["things"])
    single = len(issues) == 1
    setting = {
        "title": f"{thing[:1].upper()}{thing[1:]}",
        "story": filled(draws.pick(parts["stories"]), {"thing": thing, "a": a.lower(), "b": b.lower()}),
        "roles": {
            seat: {"name": name, "briefing": draws.pick(parts["briefings"]), "no_deal": draws.pick(parts["no_deals"])}
            for seat, name in (("a", a), ("b", b))
        },
        "issues": issues,
    }
    family = {
        "name": "wide",
        "title": "Parts put together",
        "about": "For training.",
        "opposition": [0.45, 0.85] if single else [0.1, 0.75],
        "zone": [0.15, 0.6] if single else [0.05, 0.6],
        "settings": [setting],
    }
    return Family.model_validate(family)


@cache
def _parts() -> Any:
    return read_yaml(PARTS)
