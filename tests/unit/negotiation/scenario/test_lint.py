"""What the linter finds, where it says it is, and what it leaves alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from negotiation.errors import ScenarioError
from negotiation.scenario.analysis import OutcomeSpace
from negotiation.scenario.lint import LintFinding, lint, lint_file
from negotiation.scenario.lint_prose import text_findings
from negotiation.scenario.model import Scenario, load_scenario, parse_scenario
from negotiation.scenario.source import schema_text
from tests.support.effort import examples

SHIPPED = Path(__file__).resolve().parents[4] / "configs" / "scenarios"


def put(data: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """`data` with the value at a path of keys replaced or added."""
    *way, last = path.split("/")
    node = data
    for part in way:
        node = node[part]
    node[last] = value
    return data


def found(data: dict[str, Any]) -> list[LintFinding]:
    return lint(parse_scenario("bike", data, "bike.yaml"))


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_scenarios_have_no_findings(path: Path) -> None:
    assert lint_file(path) == []


def test_a_good_scenario_is_clean(bike: Scenario) -> None:
    assert lint(bike) == []


# -- what can be agreed on -------------------------------------------------------------------------------------


def test_no_possible_agreement(bike_data: dict[str, Any]) -> None:
    put(put(bike_data, "roles/a/reservation", 0.9), "roles/b/reservation", 0.9)
    assert found(bike_data) == [
        LintFinding("roles", "no agreement is possible: no outcome reaches both reservation values")
    ]


def test_no_reason_to_agree(of_points: Callable[..., Scenario]) -> None:
    scenario = of_points((1, 0.2), (0.2, 1), (0.1, 0.1), reservation=(0.2, 0.2))
    assert "no outcome is better than no deal for both" in lint(scenario)[0].message


def test_no_conflict(bike_data: dict[str, Any]) -> None:
    for role in bike_data["roles"].values():
        role["values"] = {"price": {100: 0.0, 200: 1.0}, "lock": {"with": 1.0, "without": 0.0}}
    first, *_ = found(bike_data)
    assert first == LintFinding(
        "roles", "no conflict: the same outcome is the best one for both (Price: €200, lock: with)"
    )


def test_a_dominated_option(bike_data: dict[str, Any]) -> None:
    put(bike_data, "issues/lock/options", ["with", "without", "broken"])
    bike_data["roles"]["a"]["values"]["lock"]["broken"] = 0.5
    bike_data["roles"]["b"]["values"]["lock"]["broken"] = 0.0
    (finding,) = found(bike_data)
    assert finding.key == "issues.lock"
    assert finding.message.startswith("'broken' is dominated: 'broken' is worse for one side and no better")
    assert finding.message.endswith("than 'without'")


def test_dominated_numbers_are_named_in_short(bike_data: dict[str, Any]) -> None:
    bike_data["roles"]["b"]["values"]["price"] = {100: 0.2, 150: 1.0, 200: 0.0}
    (finding,) = found(bike_data)
    assert finding.key == "issues.price"
    assert finding.message.startswith("€100, €110, €120, €130 and 1 more are dominated: €100 is worse")


def test_both_wanting_the_same_must_be_on_purpose(bike_data: dict[str, Any]) -> None:
    bike_data["roles"]["a"]["values"]["lock"] = {"with": 1.0, "without": 0.0}
    (finding,) = found(bike_data)
    assert "'without' is dominated" in finding.message
    assert finding.message.endswith("set compatible: true)")
    assert found(put(bike_data, "issues/lock/compatible", True)) == []


def test_compatible_must_be_true(bike_data: dict[str, Any]) -> None:
    (finding,) = found(put(bike_data, "issues/lock/compatible", True))
    assert finding.key == "issues.lock.compatible"


def test_an_issue_that_matters_to_neither_role(bike_data: dict[str, Any]) -> None:
    for role in bike_data["roles"].values():
        role["weights"] = {"price": 1.0, "lock": 0.0}
    (finding,) = found(bike_data)
    assert (finding.key, finding.message[:22]) == ("issues.lock", "it matters to neither ")


def test_an_unreachable_option(of_points: Callable[..., Scenario]) -> None:
    scenario = of_points((1, 0.1), (0.7, 0.6), (0.5, 0.8), (0.3, 1), reservation=(0.4, 0.4))
    assert lint(scenario) == [
        LintFinding("issues.deal", "'o0', 'o3' are unreachable: part of no outcome that both sides would accept")
    ]


def test_a_range_that_is_far_too_wide(bike_data: dict[str, Any]) -> None:
    del bike_data["issues"]["lock"]
    put(bike_data, "issues/price/range", {"min": 0, "max": 1000, "step": 10})
    for (seat, role), worth in zip(bike_data["roles"].items(), ({0: 0.0, 1000: 1.0}, {0: 1.0, 1000: 0.0}), strict=True):
        role.update(reservation=0.5 if seat == "a" else 0.45, weights={"price": 1.0}, values={"price": worth})
    (finding,) = found(bike_data)
    assert finding.key == "issues.price"
    assert finding.message.startswith("only 6 of 101 values from €0 to €1,000 are part of an outcome that both")


def test_a_reservation_value_that_no_outcome_reaches(bike_data: dict[str, Any]) -> None:
    bike_data["roles"]["b"]["values"]["price"] = {100: 0.5, 150: 0.3, 200: 0.0}
    messages = {finding.key: finding.message for finding in found(put(bike_data, "roles/b/reservation", 0.8))}
    assert messages["roles.b.reservation"] == "no outcome reaches 0.8: the best is worth 0.75 to this role"


@pytest.mark.parametrize("value", [0.0, 0.05])
def test_a_reservation_value_that_every_outcome_reaches(bike_data: dict[str, Any], value: float) -> None:
    bike_data["roles"]["b"]["values"]["price"] = {100: 1.0, 150: 0.8, 200: 0.1}
    (finding,) = found(put(bike_data, "roles/b/reservation", value))
    assert finding.key == "roles.b.reservation"
    assert finding.message.startswith(f"every outcome reaches {value:g}, so any deal is at least as good as no deal")


# -- texts -----------------------------------------------------------------------------------------------------

CONTRADICTIONS = [
    ("a", "Get a price as low as you can.", "the text asks for less of 'price'"),
    ("a", "The lower the price, the better.", "the text asks for less of 'price'"),
    ("b", "You want the highest possible price.", "the text asks for more of 'price'"),
    ("b", "The price should be as high as possible.", "the text asks for more of 'price'"),
    ("a", "The lock matters most to you.", "the text says that 'lock' matters most"),
    ("a", "You do not care about the price.", "the text says that 'price' matters little"),
    ("a", "The price is unimportant; you only want it gone.", "the text says that 'price' matters little"),
]
HARMLESS = [
    ("a", "You want a price as high as you can get."),
    ("b", "The price should be as low as possible."),
    ("a", "Get as high a price as possible, but be quick."),
    ("a", "The price matters most to you."),
    ("a", "The price is not as high as possible yet."),
    ("a", "The lock does not matter much."),
    ("a", "Your friend says that the lock is old."),
    ("b", "It rains as much as possible in this town."),
    ("b", "You want the bicycle with a lock."),
    ("a", "You have had it since 1998, and it has 21 gears."),
    ("a", "Never go below what the shop pays."),
    ("b", "You would like to have the bicycle without any extras."),
    ("b", "You want to talk about the lock with your flatmate."),
    ("a", "Above all, keep the lock oiled until then."),
    ("a", "The buyer wants a price as low as possible."),
    ("a", "The lock matters most to the buyer."),
    ("a", "The price does not matter to the buyer."),
]


@pytest.mark.parametrize(("seat", "text", "says"), CONTRADICTIONS, ids=[text for _, text, _ in CONTRADICTIONS])
def test_a_briefing_that_contradicts_the_utilities(bike_data: dict[str, Any], seat: str, text: str, says: str) -> None:
    (finding,) = found(put(bike_data, f"roles/{seat}/briefing", text))
    assert finding.key == f"roles.{seat}.briefing"
    assert finding.message.startswith(says)


@pytest.mark.parametrize(("seat", "text"), HARMLESS, ids=[text for _, text in HARMLESS])
def test_a_briefing_that_does_not(bike_data: dict[str, Any], seat: str, text: str) -> None:
    assert found(put(bike_data, f"roles/{seat}/briefing", text)) == []


@pytest.mark.parametrize(
    ("name", "briefing"),
    [
        ("compute_split", "You want as many cores for the vision group as you can get."),
        ("compute_split", "You want the vision group to use as many cores as possible."),
    ],
)
def test_an_issue_that_is_named_after_the_other_role_is_not_judged(
    shipped: dict[str, Scenario], name: str, briefing: str
) -> None:
    """'Cores for the vision group' counts what the other side gets; a text may mean either side's share."""
    scenario = shipped[name]
    assert list(text_findings(scenario)) == []
    role = scenario.roles["b"].model_copy(update={"briefing": briefing})
    assert list(text_findings(scenario.model_copy(update={"roles": {**scenario.roles, "b": role}}))) == []


def test_a_share_that_the_other_role_pays_is_no_contradiction(bike_data: dict[str, Any]) -> None:
    """The owner wants the gardener to pay much, and by the values more is better for the owner."""
    bike_data["issues"]["price"]["title"] = "Share that the gardener pays"
    bike_data["roles"]["a"]["name"], bike_data["roles"]["b"]["name"] = "Owner", "Gardener"
    text = "You want the gardener to pay as large a share as possible."
    assert found(put(bike_data, "roles/a/briefing", text)) == []


ANCHORS = [
    ("story", "A bicycle for 150 euros.", "the number 150 is a possible offer for 'price'"),
    ("story", "Somebody sold one for €150!", "the number 150 is a possible offer for 'price'"),
    ("roles/b/briefing", "Offer 110, then 120.", "the number 110 is a possible offer for 'price'"),
    ("roles/b/briefing", "Open low, for example with 100.", "the example “100” is a possible offer for 'price'"),
    ("roles/a/briefing", "Sell it, e.g. without the lock.", "the example “without” is a possible offer for 'lock'"),
    ("roles/a/briefing", "Take at least €120.", "the number 120 is a possible offer for 'price'"),
    ("roles/a/briefing", 'Reply {"price": 200}.', "it contains something like JSON"),
]


@pytest.mark.parametrize(("path", "text", "says"), ANCHORS, ids=[text for _, text, _ in ANCHORS])
def test_text_that_could_be_copied_as_an_offer(bike_data: dict[str, Any], path: str, text: str, says: str) -> None:
    first, *_ = found(put(bike_data, path, text))
    assert first.key == path.replace("/", ".")
    assert first.message.startswith(says)


@pytest.mark.parametrize(
    "text",
    [
        "It cost 100 or 200, nobody knows.",
        "Built in 1150.",
        "It has 15 gears.",
        "155 euros.",
        "A 150cm frame.",
        "1,150",
    ],
)
def test_numbers_that_are_no_anchor(bike_data: dict[str, Any], text: str) -> None:
    """The ends of a range belong to the rules; others are not options, or part of something else."""
    assert found(put(bike_data, "story", text)) == []


@given(story=st.text(max_size=80), briefing=st.text(min_size=1, max_size=200))
@examples(100)
def test_any_text_is_read(bike: Scenario, story: str, briefing: str) -> None:
    role = bike.roles["a"].model_copy(update={"briefing": briefing})
    scenario = bike.model_copy(update={"story": story, "roles": {**bike.roles, "a": role}})
    assert all(key in {"story", "roles.a.briefing"} for key, _ in text_findings(scenario))


# -- any scenario ----------------------------------------------------------------------------------------------


@given(data=st.data())
@examples(80)
def test_findings_agree_with_plain_loops(data: st.DataObject, scenarios: st.SearchStrategy[Scenario]) -> None:
    scenario = data.draw(scenarios)
    keys = {(finding.key, word) for finding in lint(scenario) for word in finding.message.replace(":", " ").split()}
    offers = [OutcomeSpace(scenario).offer(number) for number in range(scenario.outcomes)]
    worth = {seat: [scenario.utility(seat, offer) for offer in offers] for seat in ("a", "b")}
    floor = {seat: scenario.roles[seat].reservation for seat in ("a", "b")}
    taken = [
        offer for offer, a, b in zip(offers, worth["a"], worth["b"], strict=True) if a >= floor["a"] and b >= floor["b"]
    ]
    assert (("roles", "agreement") in keys) == (not taken)
    top = [a == max(worth["a"]) and b == max(worth["b"]) for a, b in zip(worth["a"], worth["b"], strict=True)]
    assert (("roles", "conflict") in keys) == any(top)
    for seat in ("a", "b"):
        assert ((f"roles.{seat}.reservation", "no") in keys) == (
            floor[seat] > max(worth[seat]) or floor[seat] <= min(worth[seat])
        )
    for name, issue in scenario.issues.items():
        if issue.options is not None and taken:
            dead = {choice for choice in issue.choices if not any(offer[name] == choice for offer in taken)}
            assert ((f"issues.{name}", "unreachable") in keys) == bool(dead)


# -- files -----------------------------------------------------------------------------------------------------


def write(folder: Path, text: str, name: str = "bike.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_fault_that_makes_a_scenario_unusable_is_a_finding_with_its_key(
    tmp_path: Path, bike_data: dict[str, Any]
) -> None:
    bike_data["roles"]["b"]["weights"]["lock"] = 0.4
    assert lint_file(write(tmp_path, yaml.safe_dump(bike_data))) == [
        LintFinding("roles.b.weights", "they add up to 0.9, not to 1")
    ]
    bike_data["colour"], bike_data["rounds"] = "red", 0
    assert [finding.key for finding in lint_file(write(tmp_path, yaml.safe_dump(bike_data)))] == ["rounds", "colour"]


@pytest.mark.parametrize(("name", "extra"), [("My bike.yaml", {}), ("bike.yaml", {"scenario_id": "bike"})])
def test_the_id_is_the_name_of_the_file(
    tmp_path: Path, bike_data: dict[str, Any], name: str, extra: dict[str, Any]
) -> None:
    (finding,) = lint_file(write(tmp_path, yaml.safe_dump({**bike_data, **extra}), name))
    assert finding.key == "scenario_id"


BOMBS = [
    ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "aliases"),
    ("[" * 100_000, "nested too deeply"),
    ("{a: " * 5_000, "nested too deeply"),
    ("x" * 1_000_001, "larger than 1,000,000"),
    ("title: [", "line 1"),
    ("title: a\ntitle: b", "duplicate key 'title'"),
    ("!!python/object/apply:os.system [ls]", "line 1"),
    ("- a list", "expected keys with values"),
    ("", "expected keys with values"),
]


@pytest.mark.parametrize(("text", "says"), BOMBS, ids=[says for _, says in BOMBS])
def test_unreadable_files_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        lint_file(path)
    assert str(caught.value).startswith(str(path))
    assert says in str(caught.value)


def test_the_scenario_that_the_manual_writes_is_clean(tmp_path: Path) -> None:
    manual = (SHIPPED.parents[1] / "docs" / "scenarios.md").read_text(encoding="utf-8")
    parts = re.findall(r"```yaml\n(.*?)```", manual, re.DOTALL)
    assert len(parts) == 3
    assert lint_file(write(tmp_path, "".join(parts), "shed.yaml")) == []


# -- the schema for editors ------------------------------------------------------------------------------------


def test_the_published_schema_is_current() -> None:
    """If not: parley schema > configs/scenarios/schema.json"""
    assert (SHIPPED / "schema.json").read_text(encoding="utf-8") == schema_text()


def test_the_schema_knows_every_key() -> None:
    schema = json.loads(schema_text())
    assert schema["required"] == ["title", "story", "issues", "roles"]
    assert set(schema["properties"]) == {"title", "story", "rounds", "discount", "issues", "roles", "drawn_from"}
    assert set(schema["$defs"]["Issue"]["properties"]) == {"title", "unit", "compatible", "split", "options", "range"}
    assert schema["additionalProperties"] is False


def test_shipped_files_name_their_schema() -> None:
    for path in SHIPPED.glob("*.yaml"):
        assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=schema.json\n")
        assert load_scenario(path).scenario_id == path.stem
