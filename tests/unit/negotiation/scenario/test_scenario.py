"""Scenario files: what is accepted, what is refused and how it is said, and what outcomes are worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from negotiation.errors import ScenarioError
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.issue import MAX_OUTCOMES, Issue
from negotiation.scenario.model import (
    Offer,
    Scenario,
    load_scenario,
    load_scenarios,
    other,
    parse_scenario,
    scenario_from_text,
)
from tests.support.effort import examples

GONE = object()


def changed(data: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """`data` with the value at a dotted path replaced, added or, if GONE, removed."""
    *way, last = path.split("/")
    node: Any = data
    for part in way:
        node = node[int(part) if part.isdigit() and part not in node else part]
    if value is GONE:
        del node[last]
    else:
        node[last] = value
    return data


def refusal(data: Any, where: str = "shop/bike.yaml") -> str:
    """What is said when `data` is refused."""
    with pytest.raises(ScenarioError) as caught:
        parse_scenario("bike", data, where)
    return str(caught.value)


WRONG = [
    # where, what stands there, how the message names the key, what it says
    ("title", GONE, "key 'title'", "missing"),
    ("title", "", "key 'title'", "must not be empty"),
    ("title", "x" * 81, "key 'title'", "at most 80 characters"),
    ("title", 7, "key 'title'", "must be text"),
    ("story", GONE, "key 'story'", "missing"),
    ("story", "", "key 'story'", "must not be empty"),
    ("story", "x" * 4001, "key 'story'", "at most 4000 characters"),
    ("rounds", 0, "key 'rounds'", "at least 1"),
    ("rounds", 1001, "key 'rounds'", "at most 1,000"),
    ("rounds", 1.5, "key 'rounds'", "must be a whole number"),
    ("rounds", "8", "key 'rounds'", "must be a whole number"),
    ("rounds", True, "key 'rounds'", "must be a whole number"),
    ("rounds", None, "key 'rounds'", "must be a whole number"),
    ("rounds", 16**5000, "key 'rounds'", "thousands of digits"),
    ("discount", 0, "key 'discount'", "more than 0"),
    ("discount", 1.01, "key 'discount'", "at most 1"),
    ("discount", float("nan"), "key 'discount'", "got 'nan'"),
    ("discout", 0.9, "key 'discout'", "unknown key (known: "),
    ("scenario_id", "bike", "key 'scenario_id'", "unknown key"),
    ("issues", GONE, "key 'issues'", "missing"),
    ("issues", {}, "key 'issues'", "at least one issue"),
    ("issues", ["price"], "key 'issues'", "must hold keys with values"),
    ("issues/Price", {"options": ["x", "y"]}, "key 'issues'", "issue 'Price': use lower-case letters, digits and _"),
    ("issues/p-q", {"options": ["x", "y"]}, "key 'issues'", "issue 'p-q'"),
    ("issues/lock", "with", "key 'issues.lock'", "must hold keys with values"),
    ("issues/lock", {}, "key 'issues.lock'", "give either options"),
    ("issues/lock/range", {"min": 0, "max": 1}, "key 'issues.lock'", "give either options"),
    (
        "issues/lock/colour",
        "red",
        "key 'issues.lock.colour'",
        "unknown key (known: title, unit, compatible, split, options, range)",
    ),
    ("issues/lock/split", True, "key 'issues.lock'", "only a range from 0 can be split between the roles"),
    ("issues/price/split", True, "key 'issues.price'", "only a range from 0 can be split between the roles"),
    ("issues/lock/title", "x" * 81, "key 'issues.lock.title'", "at most 80"),
    ("issues/price/unit", "x" * 21, "key 'issues.price.unit'", "at most 20"),
    ("issues/lock/options", ["with"], "key 'issues.lock'", "at least two options"),
    ("issues/lock/options", ["with", "with"], "key 'issues.lock'", "an option is listed twice"),
    ("issues/lock/options", [True, False], "key 'issues.lock.options.0'", "must be text"),
    ("issues/lock/options", ["", "without"], "key 'issues.lock.options.0'", "must not be empty"),
    ("issues/lock/options", ["x" * 201, "without"], "key 'issues.lock.options.0'", "at most 200"),
    ("issues/lock/options", {"with", "without"}, "key 'issues.lock.options'", "must be a list"),
    ("issues/lock/options", "with", "key 'issues.lock.options'", "must be a list"),
    ("issues/price/range/min", GONE, "key 'issues.price.range.min'", "missing"),
    ("issues/price/range/min", 200, "key 'issues.price.range'", "max (200) must be above min (200)"),
    ("issues/price/range/step", 7, "key 'issues.price.range'", "max - min (100) is not a whole number of steps of 7"),
    (
        "issues/price/range",
        {"min": 130, "max": 230, "step": 50},
        "key 'issues.price.range'",
        "min (130) is not a multiple of the step 50; use 100 or 150",
    ),
    ("issues/price/range/step", 0, "key 'issues.price.range.step'", "at least 1"),
    ("issues/price/range/step", "10", "key 'issues.price.range.step'", "must be a whole number"),
    ("issues/price/range/max", 200.0, "key 'issues.price.range.max'", "must be a whole number"),
    ("issues/price/range/max", 10**13, "key 'issues.price.range.max'", "at most 1,000,000,000,000"),
    ("issues/price/range/min", -(10**13), "key 'issues.price.range.min'", "at least -1,000,000,000,000"),
    ("issues/price/range/max", 10**12, "key 'issues'", "outcomes are more than 2,000,000; use larger steps"),
    ("issues/price/range/top", 3, "key 'issues.price.range.top'", "unknown key (known: min, max, step)"),
    ("roles", GONE, "key 'roles'", "missing"),
    ("roles/b", GONE, "roles", "exactly the roles a and b"),
    ("roles/c", {}, "key 'roles.c", "'a' or 'b'"),
    ("roles/a", [], "key 'roles.a'", "must hold keys with values"),
    ("roles/a/name", "Buyer", "roles", "both are named 'Buyer'"),
    ("roles/a/name", "", "key 'roles.a.name'", "must not be empty"),
    ("roles/a/name", "x" * 41, "key 'roles.a.name'", "at most 40"),
    ("roles/a/briefing", "", "key 'roles.a.briefing'", "must not be empty"),
    ("roles/a/reservation", GONE, "key 'roles.a.reservation'", "missing"),
    ("roles/a/reservation", 1.2, "key 'roles.a.reservation'", "at most 1"),
    ("roles/a/reservation", -0.1, "key 'roles.a.reservation'", "at least 0"),
    ("roles/a/reservation", "0.2", "key 'roles.a.reservation'", "must be a number"),
    ("roles/a/reservation", True, "key 'roles.a.reservation'", "must be a number"),
    ("roles/a/reservation", float("nan"), "key 'roles.a.reservation'", "got 'nan'"),
    ("roles/a/secret", 1, "key 'roles.a.secret'", "unknown key (known: name, briefing, reservation, weights, values)"),
    ("roles/b/weights/price", GONE, "roles.b.weights", "issue 'price' is missing"),
    ("roles/b/weights/colour", 0.0, "roles.b.weights", "'colour' is not an issue (issues: price, lock)"),
    ("roles/b/weights/price", 0.4, "roles.b.weights", "they add up to 0.9, not to 1"),
    ("roles/b/weights/price", 0.500001, "roles.b.weights", "they add up to 1.000001, not to 1"),
    ("roles/b/weights/price", float("nan"), "key 'roles.b.weights.price'", "got 'nan'"),
    ("roles/b/weights/price", "half", "key 'roles.b.weights.price'", "must be a number"),
    ("roles/b/values/price", GONE, "roles.b.values", "issue 'price' is missing"),
    ("roles/b/values/colour", {}, "roles.b.values", "'colour' is not an issue"),
    ("roles/b/values/lock", None, "key 'roles.b.values.lock'", "must hold keys with values"),
    ("roles/b/values/lock/with", GONE, "roles.b.values.lock", "the value of 'with' is missing"),
    ("roles/b/values/lock/With", 0.0, "roles.b.values.lock", "'With' is not an option (allowed: with, without)"),
    ("roles/b/values/lock/with", 1.5, "key 'roles.b.values.lock.with'", "at most 1"),
    ("roles/b/values/lock/with", "much", "key 'roles.b.values.lock.with'", "must be a number"),
    ("roles/b/values/price", {100: 1.0}, "roles.b.values.price", "the value of 200 is missing (give both ends;"),
    (
        "roles/b/values/price",
        {100: 1, 155: 0.5, 200: 0},
        "roles.b.values.price",
        "155 is not an option (allowed: whole",
    ),
    ("roles/b/values/price", {100: 1, "²": 0.5, 200: 0}, "roles.b.values.price", "'²' is not an option"),
    ("roles/b/values/price", {100: 1, "--110": 0.5, 200: 0}, "roles.b.values.price", "'--110' is not an option"),
    ("roles/b/values/price", {100: 1, "0110": 0.5, 200: 0}, "roles.b.values.price", "'0110' is not an option"),
    ("roles/b/values/price", {100: 1, "100": 0.5, 200: 0}, "roles.b.values.price", "100 appears twice"),
    ("roles/b/values/price", {100: 1, True: 0.5, 200: 0}, "key 'roles.b.values.price.1'", "got 'true'"),
    (
        "roles/b/values/price",
        {100: 1, 110.0: 0.5, 200: 0},
        "key 'roles.b.values.price'",
        "must be text or a whole number",
    ),
]


@pytest.mark.parametrize(("path", "value", "key", "says"), WRONG, ids=[f"{entry[0]}: {entry[3]}" for entry in WRONG])
def test_a_refusal_names_file_key_and_fault(
    bike_data: dict[str, Any], path: str, value: object, key: str, says: str
) -> None:
    message = refusal(changed(bike_data, path, value))
    lines = [line for line in message.splitlines() if f": {key}" in line and says in line]
    assert lines, message
    assert all(line.startswith("shop/bike.yaml: ") for line in message.splitlines())


@pytest.mark.parametrize("data", [None, [], "text", 5, True, [{"title": "x"}]])
def test_anything_but_a_mapping_is_refused(data: object) -> None:
    assert refusal(data).startswith("shop/bike.yaml: expected keys with values (key: value), got ")


def test_every_problem_is_listed(bike_data: dict[str, Any]) -> None:
    message = refusal(changed(changed(bike_data, "title", GONE), "rounds", 0))
    assert [line.split(":")[1] for line in message.splitlines()] == [" key 'title'", " key 'rounds'"]


@pytest.mark.parametrize("scenario_id", ["", "Bike", "my-bike", "2wheels", "a b", "x" * 41, "bike\n", "../bike", "ä"])
def test_an_id_is_a_plain_word(bike_data: dict[str, Any], scenario_id: str) -> None:
    with pytest.raises(ScenarioError, match=r"^bike\.yaml: '(?s:.*)' is not a scenario id; use lower-case letters"):
        parse_scenario(scenario_id, bike_data, "bike.yaml")


# -- what outcomes are worth -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seat", "price", "worth"),
    [
        ("a", 100, 0.0),
        ("a", 130, 0.3),
        ("a", 200, 1.0),
        ("b", 100, 1.0),
        ("b", 110, 0.96),
        ("b", 150, 0.8),
        ("b", 160, 0.64),
        ("b", 200, 0.0),
    ],
)
def test_ranges_interpolate_between_the_nearest_given_points(
    bike: Scenario, seat: Any, price: int, worth: float
) -> None:
    assert bike.value(seat, "price", price) == pytest.approx(worth, abs=1e-12)


def test_utilities_are_weighted_sums(bike: Scenario) -> None:
    offer: Offer = {"price": 160, "lock": "with"}
    assert bike.utility("a", offer) == 0.45  # 0.75 x 0.6 + 0.25 x 0
    assert bike.utility("b", offer) == 0.82  # 0.5 x 0.64 + 0.5 x 1


def test_discounting_starts_in_the_second_round(bike_data: dict[str, Any]) -> None:
    scenario = parse_scenario("bike", {**bike_data, "discount": 0.9}, "bike.yaml")
    assert [scenario.discounted(0.8, number) for number in (1, 2, 3)] == [0.8, 0.72, 0.648]


def test_without_a_discount_time_costs_nothing(bike: Scenario) -> None:
    assert bike.discounted(0.8, 100) == 0.8


@given(data=st.data())
@examples(80)
def test_utilities_lie_between_0_and_1(data: st.DataObject, scenarios: st.SearchStrategy[Scenario]) -> None:
    scenario = data.draw(scenarios)
    offer = {name: data.draw(st.sampled_from(issue.choices)) for name, issue in scenario.issues.items()}
    assert scenario.problem(offer) is None
    assert all(0 <= scenario.utility(seat, offer) <= 1 for seat in scenario.roles)


def test_weights_that_nearly_add_up_to_1_never_lift_a_utility_above_it(bike_data: dict[str, Any]) -> None:
    bike_data["issues"]["bell"] = {"options": ["yes", "no"]}
    for role in bike_data["roles"].values():
        role["weights"] = {"price": 0.333333, "lock": 0.333333, "bell": 0.333333}
        role["values"]["bell"] = {"yes": 1.0, "no": 0.0}
    scenario = parse_scenario("bike", bike_data, "bike.yaml")
    assert scenario.utility("a", {"price": 200, "lock": "without", "bell": "yes"}) == 0.999999
    bike_data["roles"]["a"]["weights"]["bell"] = 0.3333345
    assert "roles.a.weights: they add up to 1.0000005, not to 1" in refusal(bike_data)


def test_the_other_seat() -> None:
    assert (other("a"), other("b")) == ("b", "a")


# -- offers ----------------------------------------------------------------------------------------------------

GOOD: Offer = {"price": 150, "lock": "with"}


POOR: list[tuple[object, str]] = [
    (None, "an offer must name one option for each issue"),
    ("price", "an offer must name one option for each issue"),
    ([150, "with"], "an offer must name one option for each issue"),
    ({}, "'price' is missing"),
    ({"price": 150}, "'lock' is missing"),
    ({**GOOD, "colour": "red"}, "'colour' is not an issue (issues: price, lock)"),
    (dict[object, object](GOOD) | {1: 2}, "'1' is not an issue"),
    ({**GOOD, "price": 155}, "'price' cannot be '155' (allowed: whole numbers from 100 to 200 in steps of 10)"),
    ({**GOOD, "price": 90}, "'price' cannot be '90'"),
    ({**GOOD, "price": 210}, "'price' cannot be '210'"),
    ({**GOOD, "price": 150.0}, "'price' cannot be '150.0'"),
    ({**GOOD, "price": "150"}, "'price' cannot be '150'"),
    ({**GOOD, "price": None}, "'price' cannot be 'None'"),
    ({**GOOD, "price": [150]}, "'price' cannot be '[150]'"),
    ({**GOOD, "price": 16**5000}, "'price' cannot be a number of thousands of digits"),
    ({**GOOD, "lock": "With"}, "'lock' cannot be 'With' (allowed: with, without)"),
    ({**GOOD, "lock": "with "}, "'lock' cannot be 'with '"),
    ({**GOOD, "lock": True}, "'lock' cannot be 'True'"),
    ({**GOOD, "lock": "x" * 500}, f"'lock' cannot be '{'x' * 60}' (allowed"),
]


@pytest.mark.parametrize(("offer", "says"), POOR, ids=[says for _, says in POOR])
def test_the_fault_of_an_offer(bike: Scenario, offer: object, says: str) -> None:
    problem = bike.problem(offer)
    assert problem is not None
    assert problem.startswith(says)


def test_an_offer_with_one_option_for_each_issue_is_fine(bike: Scenario) -> None:
    assert bike.problem(GOOD) is None
    assert bike.problem(dict(reversed(list(GOOD.items())))) is None


def test_true_is_not_the_number_1() -> None:
    issue = Issue.model_validate({"range": {"min": 0, "max": 5}})
    assert issue.allows(1)
    assert not issue.allows(True)
    assert not issue.allows(1.0)


@pytest.mark.parametrize(
    ("unit", "shown"),
    [("€", "€12,500"), ("$", "$12,500"), ("km", "12,500 km"), ("", "12,500"), ("% off", "12,500 % off")],
)
def test_numbers_are_shown_with_separators_and_their_unit(unit: str, shown: str) -> None:
    issue = Issue.model_validate({"unit": unit, "range": {"min": 0, "max": 20000, "step": 500}})
    assert issue.show(12500) == shown


def test_an_offer_is_shown_on_one_line(bike: Scenario) -> None:
    assert bike.show(GOOD) == "Price: €150, lock: with"


# -- files and texts -------------------------------------------------------------------------------------------


def test_a_file_gives_its_name_to_the_scenario(tmp_path: Path, bike_data: dict[str, Any]) -> None:
    path = tmp_path / "used_bike.yaml"
    path.write_text(yaml.safe_dump(bike_data, allow_unicode=True), encoding="utf-8")
    scenario = load_scenario(path)
    assert scenario == parse_scenario("used_bike", bike_data, "anywhere")
    assert scenario.scenario_id == "used_bike"


def test_a_folder_is_read_in_the_order_of_titles(tmp_path: Path, bike_data: dict[str, Any]) -> None:
    for name, title in (("one", "Zebra"), ("two", "Ant"), ("three", "Mole")):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({**bike_data, "title": title}))
    (tmp_path / "notes.txt").write_text("not a scenario")
    assert list(load_scenarios(tmp_path)) == ["two", "three", "one"]


def test_a_folder_without_scenarios_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"no scenario \(\*\.yaml\) in this folder"):
        load_scenarios(tmp_path)


def test_a_bad_file_in_a_folder_is_named(tmp_path: Path, bike_data: dict[str, Any]) -> None:
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(bike_data))
    (tmp_path / "worse.yaml").write_text(yaml.safe_dump({**bike_data, "rounds": 0}))
    with pytest.raises(ScenarioError) as caught:
        load_scenarios(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'worse.yaml'}: key 'rounds': ")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        (b"title: \xff", "not UTF-8 text"),
        (b"", "expected keys with values (key: value), got nothing"),
        (b"x" * 1_000_001, "larger than 1,000,000 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "bike.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert str(caught.value).startswith(f"{path}: {says}")


def test_a_folder_called_like_a_file_says_why(tmp_path: Path) -> None:
    (tmp_path / "bike.yaml").mkdir()
    with pytest.raises(ScenarioError, match=r"bike\.yaml: cannot be read \(Is a directory\)"):
        load_scenarios(tmp_path)


BAD_YAML = [
    ("title: [", "line 1, column"),
    ("a: 1\na: 2", "line 2, column 1: duplicate key 'a'; keep one"),
    ("a: &x 1\nb: *x", "line 2, column 4: aliases (*name) are not supported"),
    ("a: &x [*x]", "aliases (*name) are not supported"),
    ("? [1, 2]\n: 3", "keys must be plain words"),
    ("a: 1\n---\nb: 2", "only one document fits in here"),
    ("a: !!python/object/apply:os.getcwd []", "a tag (!name) has no place here"),
    ("a: !!timestamp tomorrow", "a tag (!!name) does not match its value"),
    ('a: !!int ""', "a tag (!!name) does not match its value"),
    ("a: !!bool maybe", "a tag (!!name) does not match its value"),
    ("a: !!map [b]", "a tag (!!name) does not match its value"),
    ("a: 2026-13-45", "not valid YAML"),
    ("a: " + "9" * 5000, "not valid YAML"),
    ("a: \0", "not valid YAML"),
    ("[" * 20_000, "nested too deeply"),
    ("{a: " * 20_000, "nested too deeply"),
    ("- " * 20_000, "nested too deeply"),
    ("x" * 1_000_001, "larger than 100,000 characters"),
    ("rounds: 0x" + "f" * 5000, "key 'title': missing"),
    ("just a text", "expected keys with values (key: value), got text"),
]


@pytest.mark.parametrize(("text", "says"), BAD_YAML, ids=[text[:20] for text, _ in BAD_YAML])
def test_bad_yaml_is_a_scenario_error_that_says_where(text: str, says: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario_from_text(text, where="my text")
    assert str(caught.value).startswith("my text")
    assert says in str(caught.value)


def test_a_text_can_be_a_scenario(bike_data: dict[str, Any]) -> None:
    assert scenario_from_text(yaml.safe_dump(bike_data)) == parse_scenario("own", bike_data, "anywhere")


def test_the_most_outcomes_that_are_taken(bike_data: dict[str, Any]) -> None:
    changed(bike_data, "issues", {"n": {"range": {"min": 1, "max": MAX_OUTCOMES}}})
    for role in bike_data["roles"].values():
        role.update(weights={"n": 1}, values={"n": {1: 0, MAX_OUTCOMES: 1}})
    assert parse_scenario("most", bike_data, "most.yaml").outcomes == MAX_OUTCOMES
    bike_data["issues"]["n"]["range"]["max"] += 1
    assert "2,000,001 outcomes are more than 2,000,000" in refusal(bike_data)


def test_many_given_points_are_found_quickly(bike_data: dict[str, Any]) -> None:
    """The nearest points are looked up, not searched for: every value of 100,000 by 10,000 given ones."""
    top = 100_000
    changed(bike_data, "issues", {"n": {"range": {"min": 0, "max": top}}})
    points = {number: (number // 10 % 2) / 2 for number in range(0, top + 1, 10)}
    for role in bike_data["roles"].values():
        role.update(weights={"n": 1}, values={"n": points})
    scenario = parse_scenario("many", bike_data, "many.yaml")
    values = [scenario.value("a", "n", number) for number in range(top)]
    assert values[:21:5] == [0.0, 0.25, 0.5, 0.25, 0.0]
    assert sum(values) == pytest.approx(top / 4)


# -- JSON ------------------------------------------------------------------------------------------------------


@given(data=st.data())
@examples(80)
def test_json_and_back_changes_nothing(data: st.DataObject, scenarios: st.SearchStrategy[Scenario]) -> None:
    scenario = data.draw(scenarios)
    text = json.dumps(scenario.model_dump(mode="json", exclude={"scenario_id"}, exclude_none=True))
    again = parse_scenario(scenario.scenario_id, json.loads(text), "json")
    assert again == scenario
    assert list(again.issues) == list(scenario.issues)
    assert [issue.choices for issue in again.issues.values()] == [issue.choices for issue in scenario.issues.values()]
    first = {name: issue.choices[0] for name, issue in scenario.issues.items()}
    assert again.utility("a", first) == scenario.utility("a", first)


def test_named_options_that_look_like_numbers_stay_texts(bike_data: dict[str, Any]) -> None:
    changed(bike_data, "issues/lock/options", ["1", "2"])
    for role in bike_data["roles"].values():
        role["values"]["lock"] = {"1": 0.25, "2": 1.0}
    scenario = parse_scenario("bike", bike_data, "bike.yaml")
    again = Scenario.model_validate(json.loads(scenario.model_dump_json()))
    assert again == scenario
    assert again.problem({"price": 100, "lock": 1}) is not None
    assert again.problem({"price": 100, "lock": "1"}) is None


def test_negative_numbers_survive_json(bike_data: dict[str, Any]) -> None:
    changed(bike_data, "issues/price/range", {"min": -20, "max": 20, "step": 10})
    for role in bike_data["roles"].values():
        role["values"]["price"] = {-20: 0.0, -10: 0.5, 20: 1.0}
    scenario = parse_scenario("bike", bike_data, "bike.yaml")
    again = Scenario.model_validate(json.loads(scenario.model_dump_json()))
    assert again.value("a", "price", -10) == 0.5


# -- the shipped ones ------------------------------------------------------------------------------------------


SIZES = {
    "books_hats_balls": 24, "camp_supplies": 64, "company_car": 41, "compute_split": 567, "film_rights": 3_402,
    "flat_lease": 7_344, "holiday_plan": 1_404, "job_offer": 10_530, "joint_venture": 81, "merger_terms": 114_048,
    "night_train": 4, "river_treaty": 160_083, "supply_contract": 127_260, "used_camera": 164,
}  # fmt: skip


def test_this_is_shipped(shipped: dict[str, Scenario]) -> None:
    assert {name: scenario.outcomes for name, scenario in shipped.items()} == SIZES


@pytest.mark.parametrize("name", SIZES)
def test_shipped_scenarios_have_a_conflict_and_room_for_a_deal(shipped: dict[str, Scenario], name: str) -> None:
    analyser = Analyser(shipped[name])
    assert analyser.nash is not None
    best_a, best_b = analyser.space.utilities("a").argmax(), analyser.space.utilities("b").argmax()
    assert best_a != best_b
    assert len(analyser.frontier) > 2
    assert analyser.opposition > 0.1


def test_the_joint_venture_rewards_trading_across_four_issues(shipped: dict[str, Scenario]) -> None:
    scenario = shipped["joint_venture"]
    middle = {name: issue.choices[1] for name, issue in scenario.issues.items()}
    better = Analyser(scenario).improvement(scenario.utility("a", middle), scenario.utility("b", middle))
    assert len(scenario.issues) == 4
    assert better is not None


def test_shipped_stories_do_not_reveal_limits(shipped: dict[str, Scenario]) -> None:
    for scenario in shipped.values():
        for seat, role in scenario.roles.items():
            assert role.briefing not in scenario.story
            assert f"{role.reservation:g}" not in scenario.story, seat


# -- hostile data ----------------------------------------------------------------------------------------------

NODES = [
    "title", "story", "rounds", "discount", "issues", "issues/price", "issues/price/range", "issues/price/range/min",
    "issues/price/range/step", "issues/price/unit", "issues/lock", "issues/lock/options", "issues/lock/title", "roles",
    "roles/a", "roles/b", "roles/a/name", "roles/a/briefing", "roles/a/reservation", "roles/a/weights",
    "roles/a/weights/price", "roles/a/values", "roles/a/values/price", "roles/a/values/lock",
    "roles/a/values/lock/with", "anything", "roles/a/anything", "issues/anything",
]  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**4000, 10**4400),
    st.floats(),
    st.text(st.characters(), max_size=8),
    st.sampled_from(["price", "lock", "with", "range", "100", "-1", "a", "b", "1e3", "²", "０"]),
    st.binary(max_size=4),
    st.dates(),
)
KEYS = st.one_of(
    st.text(max_size=5), st.sampled_from(["price", "lock", "range", "options", "min", "a", "100"]), SCALARS
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def usable(scenario: Scenario) -> bool:
    """Whether a scenario that was accepted can be worked with."""
    first = {name: issue.choices[0] for name, issue in scenario.issues.items()}
    return 2 <= scenario.outcomes <= MAX_OUTCOMES and 0 <= scenario.utility("a", first) <= 1


@given(path=st.sampled_from(NODES), value=ANYTHING)
@examples(300)
def test_anything_in_any_place_is_a_scenario_or_a_scenario_error(path: str, value: object) -> None:
    data = changed(yaml.safe_load(BASE), path, value)
    try:
        assert usable(parse_scenario("fuzz", data, "fuzz.yaml"))
    except ScenarioError as error:
        assert str(error).startswith("fuzz.yaml: ")  # noqa: PT017


BASE = """
title: A used bicycle
story: It is for sale.
rounds: 4
issues:
  price: {title: Price, unit: €, range: {min: 100, max: 200, step: 10}}
  lock: {options: [with, without]}
roles:
  a:
    name: Seller
    briefing: Sell.
    reservation: 0.2
    weights: {price: 0.75, lock: 0.25}
    values: {price: {100: 0.0, 200: 1.0}, lock: {with: 0.0, without: 1.0}}
  b:
    name: Buyer
    briefing: Buy.
    reservation: 0.3
    weights: {price: 0.5, lock: 0.5}
    values: {price: {100: 1.0, 200: 0.0}, lock: {with: 1.0, without: 0.0}}
"""
SCRAPS = [
    "", " ", "\n", "\t", ":", ": ", "- ", "? ", "[", "]", "{", "}", ",", "#", "|", ">", "!", "&a ", "*a", "<<: ", "%",
    "@", "`", "'", '"', "---\n", "...\n", "\0", "\x07", "\ufeff", "\ud800", "\u2028", "~", "null", "yes", "=", "<<",
    ".nan", ".inf", "-.inf", "1e999", "0x" + "f" * 5000, "0o7", "1:30", "2026-02-30", "!!int ", "!!float ",
    "!!bool ", "!!null ", "!!str ", "!!binary ", "!!timestamp ", "!!map ", "!!seq ", "!!set ", "!!omap ", "!!pairs ",
    "!!merge ", "!!value ", "!<tag:yaml.org,2002:int> ", "a: &a [*a]", "[" * 50, "{a: " * 50, "- " * 50,
]  # fmt: skip


@given(
    cuts=st.lists(
        st.tuples(st.integers(0, len(BASE)), st.integers(0, 12), st.sampled_from(SCRAPS) | st.text(max_size=6)),
        min_size=1,
        max_size=4,
    )
)
@examples(250)
def test_a_spoilt_text_is_a_scenario_or_a_scenario_error(cuts: list[tuple[int, int, str]]) -> None:
    text = BASE
    for start, length, scrap in cuts:
        text = text[:start] + scrap + text[start + length :]
    try:
        assert usable(scenario_from_text(text, where="fuzz"))
    except ScenarioError as error:
        assert str(error).startswith("fuzz")  # noqa: PT017


@given(text=st.text(max_size=60))
@examples(100)
def test_no_short_text_is_a_scenario(text: str) -> None:
    with pytest.raises(ScenarioError):
        scenario_from_text(text)


def test_typed_scenarios_have_size_limits(bike_data: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError, match="larger than 100,000 characters"):
        scenario_from_text("#" * 100_001)
    large = {**bike_data["issues"], "price": {"range": {"min": 0, "max": 100_000}}}
    roles = {
        seat: {**role, "values": {**role["values"], "price": {0: 0.0, 100_000: 1.0}}}
        for seat, role in bike_data["roles"].items()
    }
    text = yaml.safe_dump({**bike_data, "issues": large, "roles": roles})
    with pytest.raises(ScenarioError, match=r"200,002 outcomes are more than 200,000"):
        scenario_from_text(text)
