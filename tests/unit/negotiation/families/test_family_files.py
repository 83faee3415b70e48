"""Family files of one's own: drawing from them, and messages that say what is wrong where."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from negotiation.errors import ScenarioError
from negotiation.families.family import Family, find_family, load_family
from negotiation.families.generate import MOST_INDEX, MOST_SEED, draw_scenario
from negotiation.scenario.analysis import Analyser

SHEDS: dict[str, Any] = {
    "title": "Sheds",
    "about": "Two neighbours and a shed.",
    "opposition": [0.2, 0.8],
    "zone": [0.1, 0.6],
    "settings": [
        {
            "title": "{thing.title}",
            "words": {
                "thing": [
                    {"title": "A shed", "a": "a shed", "worth": 400},
                    {"title": "An attic", "a": "an attic", "worth": 900},
                ],
                "who": ["a carpenter", "a potter"],
            },
            "story": "{Who} wants to be rid of {thing.a}.",
            "roles": {
                "a": {"name": "Owner", "briefing": "You own {thing.a}.", "no_deal": "It stays."},
                "b": {"name": "Neighbour", "briefing": "You want it.", "no_deal": "You rent."},
            },
            "issues": {
                "price": {
                    "title": "Price",
                    "called": "the price",
                    "price": {"worth": "{thing.worth}", "around": [20, 50]},
                    "wants": {"a": "more", "b": "less"},
                },
                "roof": {
                    "title": "Roof",
                    "called": "the roof",
                    "options": ["as it is", "patched", "new"],
                    "wants": {"a": "less", "b": "more"},
                    "why": {"a": "Mending costs you a day."},
                },
                "day": {
                    "title": "Day",
                    "called": "the day",
                    "options": ["today", "tomorrow", "next week"],
                    "wants": {"a": "less", "b": "less"},
                },
            },
        }
    ],
}
Make = Callable[[dict[str, Any]], Family]


@pytest.fixture
def data() -> dict[str, Any]:
    return copy.deepcopy(SHEDS)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(data: dict[str, Any]) -> Family:
        path = tmp_path / "sheds.yaml"
        path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
        return load_family(path)

    return write


def test_a_family_is_drawn_from_its_parts(make: Make, data: dict[str, Any]) -> None:
    scenario = draw_scenario(make(data), 1)
    assert scenario.title in {"A shed", "An attic"}
    thing = {"A shed": "a shed", "An attic": "an attic"}[scenario.title]
    assert scenario.story in {f"A {who} wants to be rid of {thing}.\n" for who in ("carpenter", "potter")}
    owner = next(role for role in scenario.roles.values() if role.name == "Owner")
    assert owner.briefing.startswith(f"You own {thing}. Mending costs you a day.")
    assert owner.briefing.endswith("It stays.\n")
    assert scenario.issues["day"].compatible
    assert not scenario.issues["roof"].compatible


def test_prices_lie_around_what_the_thing_is_worth_in_round_steps(make: Make, data: dict[str, Any]) -> None:
    family = make(data)
    for index in range(1, 20):
        scenario = draw_scenario(family, 2, index)
        prices, worth = scenario.issues["price"].range, {"A shed": 400, "An attic": 900}[scenario.title]
        assert prices is not None
        assert 0.5 * worth <= prices.min <= 0.8 * worth + prices.step
        assert 1.2 * worth - prices.step <= prices.max <= 1.5 * worth
        assert str(prices.step).strip("0") in {"1", "2", "5"}
        assert scenario.issues["price"].size > 12


def test_only_some_of_the_issues_are_drawn_if_asked(make: Make, data: dict[str, Any]) -> None:
    family = make({**data, "issues": [2, 2], "opposition": [0, 1]})
    drawn = [tuple(draw_scenario(family, 3, index).issues) for index in range(1, 25)]
    assert set(drawn) == {("price", "roof"), ("price", "day"), ("roof", "day")}


def test_narrower_bounds_are_kept(make: Make, data: dict[str, Any]) -> None:
    family = make({**data, "opposition": [0.4, 0.45], "zone": [0.3, 0.32]})
    for index in range(1, 10):
        found = Analyser(draw_scenario(family, 4, index))
        assert 0.4 <= found.opposition <= 0.45
        assert 0.3 <= found.zone <= 0.32


def test_bounds_that_cannot_be_met_are_an_error(make: Make, data: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError, match="'sheds': found no scenario 1 of seed 1 with the stated"):
        draw_scenario(make({**data, "opposition": [1.2, 1.3]}), 1)


@pytest.mark.parametrize(("seed", "index"), [(-1, 1), (MOST_SEED, 1), (1, 0), (1, MOST_INDEX + 1)])
def test_seeds_and_numbers_have_limits(make: Make, data: dict[str, Any], seed: int, index: int) -> None:
    with pytest.raises(ScenarioError, match="give a seed from 0 to 999,999,999,999 and a number from 1 to 1,000,000"):
        draw_scenario(make(data), seed, index)


def test_the_longest_id_is_a_scenario_id(tmp_path: Path, data: dict[str, Any]) -> None:
    path = tmp_path / f"{'x' * 18}.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    scenario = draw_scenario(load_family(path), MOST_SEED - 1, MOST_INDEX)
    assert scenario.scenario_id == f"{'x' * 18}_999999999999_1000000"


def test_the_digest_covers_what_scenarios_are_drawn_from(make: Make, data: dict[str, Any]) -> None:
    family = make(data)
    assert make({**data, "title": "Other sheds", "about": "The same."}).sha256 == family.sha256
    assert make({**data, "zone": [0.1, 0.5]}).sha256 != family.sha256
    data["settings"][0]["story"] = "{Who} sells {thing.a}."
    assert make(data).sha256 != family.sha256


def setting(**change: Any) -> dict[str, Any]:
    return {"settings": [{**SHEDS["settings"][0], **change}]}


def issue(name: str, **change: Any) -> dict[str, Any]:
    issues = SHEDS["settings"][0]["issues"]
    return setting(issues={**issues, name: {**issues[name], **change}})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "huts"}, "sheds.yaml: key 'name': unknown key"),
        ({"colour": "red"}, "key 'colour': unknown key (known: name, title, about, "),
        ({"zone": [0.5, 0.2]}, "key 'zone': the least value (0.5) is above the greatest (0.2)"),
        ({"rounds": [5, 2000]}, "rounds: at most 1,000"),
        ({"settings": []}, "key 'settings'"),
        ({"issues": [2, 9]}, "settings.0.issues: 9 issues are to be drawn, but there are only 3"),
        ({"points": {"ranked": [5, 4, 3], "no_deal": 5}}, "settings.0.issues.price: with points, every issue needs"),
        ({"points": {"ranked": [5, 4], "no_deal": 5}}, "settings.0.issues: 2 ranks are given under points for 3"),
        (setting(story="{Wo} sells."), "key 'settings.0': story: '{Wo}' is not one of the words (thing, who)"),
        (setting(story="{thing} is sold."), "story: '{thing}' is missing in some alternatives"),
        (setting(story="{thing.colour} is sold."), "story: '{thing.colour}' is missing in some alternatives"),
        (setting(roles={"a": SHEDS["settings"][0]["roles"]["a"]}), "roles: exactly the roles a and b are needed"),
        (issue("roof", amount=[2, 3]), "key 'settings.0.issues.roof': give one of options, range, price and amount"),
        (issue("roof", wants={"a": "more"}), "issues.roof': wants: say what both roles want, as in {a: more, b: less}"),
        (issue("roof", options=None, amount=[2, 3]), "wants: an amount is divided, role a gets the number; write"),
        (issue("price", price={"worth": "{who}"}), "issues.price.price.worth: 'a carpenter' is not a whole number"),
    ],
)
def test_a_wrong_family_is_refused_with_the_key(make: Make, data: dict[str, Any], change: Any, says: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        make({**data, **change})
    assert says in str(refused.value)


def test_a_long_name_is_refused(tmp_path: Path, data: dict[str, Any]) -> None:
    path = tmp_path / f"{'x' * 19}.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(ScenarioError, match="a family's name has at most 18 characters"):
        load_family(path)


def test_an_unknown_family_is_an_error_that_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="family: unknown family 'prise'; choose from: casino, integrative"):
        load_family("prise")
    with pytest.raises(ScenarioError, match="--scenario: unknown family 'price'"):
        find_family("price", tmp_path, "--scenario")
    with pytest.raises(ScenarioError, match=r"no/where.yaml: no such file"):
        load_family("no/where.yaml")
