"""The XML form of GENIUS: what is read, what is refused and how it is said, and that nothing is lost on the way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from negotiation.errors import ScenarioError
from negotiation.scenario import xml_reader
from negotiation.scenario.analysis import Analyser, OutcomeSpace
from negotiation.scenario.genius_export import export_genius
from negotiation.scenario.genius_import import import_genius
from negotiation.scenario.model import Offer, Scenario, parse_scenario, scenario_from_text
from negotiation.scenario.source import scenario_text
from negotiation.scenario.xml_reader import read_xml
from tests.support.effort import examples

SAMPLES = Path(__file__).parent / "genius"
DOMAIN, A, B = (SAMPLES / name for name in ("bakery_domain.xml", "bakery_baker.xml", "bakery_miller.xml"))


def again(scenario: Scenario, folder: Path) -> Scenario:
    """A scenario after its way through the three files."""
    for name, data in export_genius(scenario).items():
        (folder / name).write_bytes(data)
    return import_genius(folder / "domain.xml", folder / "a.xml", folder / "b.xml", scenario.scenario_id)


# -- import ----------------------------------------------------------------------------------------------------


def test_a_domain_is_read(tmp_path: Path) -> None:
    scenario = import_genius(DOMAIN, A, B)
    assert scenario.title == "Bakery"
    assert {name: issue.title for name, issue in scenario.issues.items()} == {
        "flour": "Flour", "sacks_a_week": "Sacks a week", "delivery": "Delivery",
    }  # fmt: skip
    assert scenario.issues["flour"].options == ("wheat", "rye", "spelt")
    assert scenario.issues["sacks_a_week"].choices == tuple(range(5, 26))
    assert (scenario.roles["a"].reservation, scenario.roles["b"].reservation) == (0.25, 0.0)
    assert (scenario.roles["a"].name, scenario.roles["b"].name) == ("Side A", "Side B")


def test_its_utilities_are_those_of_genius() -> None:
    """Baker: 0.5 x evaluation / largest + 0.3 x (0.2 + 0.04 x (sacks - 5)) + 0.2 x evaluation / largest."""
    scenario = import_genius(DOMAIN, A, B)
    offer: Offer = {"flour": "rye", "sacks_a_week": 15, "delivery": "by cart"}
    assert scenario.utility("a", offer) == pytest.approx(0.5 * 5 / 10 + 0.3 * 0.6 + 0.2 * 0.4)
    assert scenario.utility("b", offer) == pytest.approx(0.2 * 1 + 0.6 * (1 - 0.08 * 10) + 0.2 * 0.5 / 0.5)


def test_a_line_that_leaves_0_to_1_is_clipped() -> None:
    """Miller: 1 - 0.08 x (sacks - 5) would be -0.6 at 25; below 0 it is cut at 17.5."""
    scenario = import_genius(DOMAIN, A, B)
    values = [scenario.value("b", "sacks_a_week", sacks) for sacks in (5, 10, 17, 18, 25)]
    assert values == pytest.approx([1.0, 0.6, 0.04, 0.0, 0.0])


def test_discounting_reaches_the_factor_when_the_time_is_over() -> None:
    scenario = import_genius(DOMAIN, A, B)
    assert scenario.discount**scenario.rounds == pytest.approx(0.9, abs=1e-9)


def test_an_imported_domain_can_be_negotiated_and_written_as_yaml() -> None:
    scenario = import_genius(DOMAIN, A, B)
    assert Analyser(scenario).nash is not None
    assert scenario_from_text(scenario_text(scenario), "imported") == scenario


def changed(path: Path, folder: Path, old: str, new: str) -> Path:
    text = path.read_text(encoding="utf-8")
    assert old in text
    (folder / path.name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return folder / path.name


WRONG = [
    # which file, what stands there, what is put there, what is said
    ("domain", ' type="integer"', ' type="real"', "only discrete and integer ones"),
    ("domain", 'name="Flour"', 'name="Delivery"', "there are two issues with this name"),
    ("domain", 'upperbound="25"', 'upperbound="5"', "the upper bound (5) must be above the lower bound (5)"),
    ("domain", 'upperbound="25"', 'upperbound="many"', 'upperbound="many" is not a number'),
    ("domain", 'upperbound="25"', 'upperbound="2.5"', 'upperbound="2.5" is not an integer'),
    ("domain", 'upperbound="25"', "", "the attribute 'upperbound' is missing"),
    ("domain", 'upperbound="25"', 'upperbound="9000000"', "are more than 2,000,000"),
    ("domain", "<objective ", '<objective name="x"/><objective ', "must contain exactly one <objective>, not 2"),
    ("domain", "<issue ", '<objective name="x"/><issue ', "nested objectives are not supported"),
    ("domain", "<issue ", '<constraint name="x"/><issue ', "only linear additive"),
    ("a", 'name="Flour"', 'name="Sugar"', "no such issue; its issues are: Flour, Sacks a week, Delivery"),
    ("a", '<weight index="2"', '<weight index="9"', 'its <weight index="2"> is missing'),
    ("a", '<weight index="2"', '<weight index="1"', "there is another weight with the index 1"),
    ("a", 'value="0.3"', 'value="0.4"', "the weights add up to 1.1, not to 1"),
    ("a", 'value="0.3"', 'value="-0.3"', "a weight of -0.3 is below 0"),
    ("a", 'value="0.3"', 'value="nan"', 'value="nan" is not a number'),
    ("a", 'value="0.3"', 'value="inf"', 'value="inf" is not a number'),
    ("a", 'evaluation="10"', "", "the attribute 'evaluation' is missing"),
    ("a", 'evaluation="10"', 'evaluation="-1"', "an evaluation of -1 is below 0"),
    ("a", 'value="rye"', 'value="wheat"', "the evaluation of 'rye' is missing"),
    ("a", 'index="2" name="Sacks', 'index="3" name="Sacks', "its index 3 belongs to 'Delivery' in the domain"),
    ("a", "<reservation ", '<reservation value="0.1"/><reservation ', "has a different value; keep one"),
    ("a", 'value="rye"', 'value="oats"', "the domain has no option 'oats'"),
    ("a", '<item index="2" value="rye" evaluation="5"/>', "", "the evaluation of 'rye' is missing"),
    ("a", 'ftype="linear"', 'ftype="triangular"', "ftype 'triangular' is not supported"),
    ("a", 'slope="0.04"', "", "the attribute 'slope' is missing"),
    ("a", 'upperbound="25"', 'upperbound="30"', "its bounds are not those of the domain (5 to 25)"),
    ("a", 'etype="integer"', 'etype="discrete"', "it is of type integer in the domain"),
    ("a", '<reservation value="0.25"', '<reservation value="25"', "25 is not between 0 and 1"),
    ("b", '<discount_factor value="0.9"', '<discount_factor value="0.5"', "both must have the same"),
    ("b", "<objective ", "<utility/><objective ", "only linear additive"),
    ("b", "</objective>", "", "not readable as XML (mismatched tag)"),
]


@pytest.mark.parametrize(("which", "old", "new", "says"), WRONG, ids=[says for *_, says in WRONG])
def test_a_refusal_names_file_line_and_fault(tmp_path: Path, which: str, old: str, new: str, says: str) -> None:
    paths = {"domain": DOMAIN, "a": A, "b": B}
    paths[which] = changed(paths[which], tmp_path, old, new)
    with pytest.raises(ScenarioError) as caught:
        import_genius(paths["domain"], paths["a"], paths["b"])
    assert str(caught.value).startswith(str(paths[which]))
    assert says in str(caught.value)


def test_the_message_names_line_and_element(tmp_path: Path) -> None:
    path = changed(A, tmp_path, 'evaluation="10"', 'evaluation="ten"')
    with pytest.raises(ScenarioError) as caught:
        import_genius(DOMAIN, path, B)
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "ten" in text)
    assert str(caught.value) == f'{path}, line {line}: <item "wheat">: evaluation="ten" is not a number'


def test_weights_that_are_rounded_are_divided_by_their_sum(tmp_path: Path) -> None:
    scenario = import_genius(DOMAIN, changed(A, tmp_path, 'value="0.3"', 'value="0.29"'), B)
    assert scenario.roles["a"].weights["flour"] == pytest.approx(0.5 / 0.99)
    assert sum(scenario.roles["a"].weights.values()) == pytest.approx(1)


def test_bounds_may_have_an_element_of_their_own(tmp_path: Path) -> None:
    path = changed(
        DOMAIN, tmp_path, ' lowerbound="5" upperbound="25"/>', '><range lowerbound="5" upperbound="25"/></issue>'
    )
    assert import_genius(path, A, B) == import_genius(DOMAIN, A, B)


@pytest.mark.parametrize(
    ("old", "new"),
    [('<discount_factor value="0.9"/>', ""), ('value="0.9"', 'value="0"'), ('value="0.9"', 'value="1.5"')],
)
def test_as_in_genius_anything_else_is_no_discount(tmp_path: Path, old: str, new: str) -> None:
    assert import_genius(DOMAIN, changed(A, tmp_path, old, new), changed(B, tmp_path, old, new)).discount == 1


def test_names_become_unique_identifiers(tmp_path: Path) -> None:
    names = ["Größe (cm)", "2nd price", "PRICE", "price", "???", "x" * 90]
    issues = "".join(
        f'<issue index="{n}" name="{name}"><item value="x" evaluation="1"/><item value="y" evaluation="2"/></issue>'
        for n, name in enumerate(names)
    )
    weights = "".join(f'<weight index="{n}" value="{1 / len(names)}"/>' for n in range(len(names)))
    space = f"<utility_space><objective>{issues}{weights}</objective></utility_space>"
    (tmp_path / "all.xml").write_text(space, encoding="utf-8")
    scenario = import_genius(tmp_path / "all.xml", tmp_path / "all.xml", tmp_path / "all.xml")
    assert list(scenario.issues) == ["gr_e_cm", "issue_2nd_price", "price", "price_2", "issue", "x" * 36]
    assert scenario.title == "all"


# -- hostile files ---------------------------------------------------------------------------------------------

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE = [
    (f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><x>&l9;</x>', "document types and entities are not read"),
    ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', "document types and entities are not read"),
    ('<!DOCTYPE x SYSTEM "http://example.org/x.dtd"><x/>', "document types and entities are not read"),
    ("<x>" * 60 + "</x>" * 60, "nested too deeply"),
    ("", "no element found"),
    ("<x>&unknown;</x>", "undefined entity"),
    ("<x a='1' a='2'/>", "duplicate attribute"),
    ("no XML", "syntax error"),
    ("<x/><y/>", "junk after document element"),
    ('<?xml version="1.0" encoding="cuneiform"?><x/>', "unknown encoding"),
    ("<x>\0</x>", "not well-formed"),
]


@pytest.mark.parametrize(("text", "says"), HOSTILE, ids=[says + str(n) for n, (_, says) in enumerate(HOSTILE)])
def test_hostile_files_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "x.xml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        import_genius(path, A, B)
    assert str(caught.value).startswith(f"{path}")
    assert says in str(caught.value)


def test_a_large_file_is_not_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_reader, "MAX_BYTES", 10)
    (tmp_path / "x.xml").write_text("<x>123456</x>")
    with pytest.raises(ScenarioError, match="larger than 10 bytes"):
        read_xml(tmp_path / "x.xml")


@pytest.mark.parametrize("name", ["missing.xml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        read_xml(tmp_path / name)


@given(cuts=st.lists(st.tuples(st.integers(0, 1400), st.integers(0, 20), st.text(max_size=6)), min_size=1, max_size=3))
@settings(examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_corrupted_file_gives_a_scenario_or_a_scenario_error(
    tmp_path: Path, cuts: list[tuple[int, int, str]]
) -> None:
    text = A.read_text(encoding="utf-8")
    for start, length, scrap in cuts:
        text = text[:start] + scrap + text[start + length :]
    path = tmp_path / "a.xml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assert import_genius(DOMAIN, path, B).outcomes == 126
    except ScenarioError as error:
        assert str(tmp_path) in str(error) or str(DOMAIN) in str(error) or str(B) in str(error)  # noqa: PT017


# -- export ----------------------------------------------------------------------------------------------------


def test_every_whole_number_and_a_straight_line_are_an_integer_issue(bike_data: dict[str, Any]) -> None:
    bike_data["issues"]["price"]["range"] = {"min": 100, "max": 200}
    bike_data["roles"]["b"]["values"]["price"] = {100: 1.0, 200: 0.2}
    text = export_genius(parse_scenario("bike", bike_data, "x"))["b.xml"].decode()
    assert 'vtype="integer"' in text
    assert '<evaluator ftype="linear" offset="1.0" slope="-0.008" />' in text


def test_steps_and_bends_are_a_discrete_issue(bike: Scenario) -> None:
    text = export_genius(bike)["b.xml"].decode()
    assert "integer" not in text
    assert '<item index="7" value="160" evaluation="0.64' in text


def test_an_exported_scenario_comes_back_whole(bike_data: dict[str, Any], tmp_path: Path) -> None:
    bike_data["story"] = 'Two lines,\n\ta tab, "quotes" & <tags> 🚲.\n'
    bike_data["discount"] = 0.95
    scenario = parse_scenario("bike", bike_data, "bike.yaml")
    assert again(scenario, tmp_path) == scenario


def test_a_character_that_xml_does_not_have_is_named(bike_data: dict[str, Any]) -> None:
    bike_data["story"] = "A bell: \a"
    with pytest.raises(ScenarioError, match=r"^bike: description 'A bell: .*XML cannot hold the character '\\x07'"):
        export_genius(parse_scenario("bike", bike_data, "bike.yaml"))


def test_shipped_scenarios_survive_the_round_trip(shipped: dict[str, Scenario], tmp_path: Path) -> None:
    for scenario in shipped.values():
        assert again(scenario, tmp_path) == scenario


@given(data=st.data())
@settings(examples(80), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_scenario_keeps_its_offers_and_utilities(
    tmp_path: Path, data: st.DataObject, scenarios: st.SearchStrategy[Scenario]
) -> None:
    scenario = data.draw(scenarios)
    back = again(scenario, tmp_path)
    assert [issue.choices for issue in back.issues.values()] == [issue.choices for issue in scenario.issues.values()]
    assert (back.rounds, back.discount) == (scenario.rounds, scenario.discount)
    for seat in ("a", "b"):
        assert back.roles[seat].reservation == scenario.roles[seat].reservation
        assert np.abs(OutcomeSpace(back).utilities(seat) - OutcomeSpace(scenario).utilities(seat)).max() < 1e-9 + 1e-12


def without_absolute_numbers(folder: Path) -> None:
    """Remove what GENIUS ignores, so that the files are read as GENIUS reads them."""
    for path in folder.glob("*.xml"):
        path.write_text(re.sub(' absolute="[^"]*"', "", path.read_text(encoding="utf-8")), encoding="utf-8")


def test_for_genius_utilities_are_proportional_where_the_best_option_is_worth_less_than_1(
    bike_data: dict[str, Any], tmp_path: Path
) -> None:
    bike_data["roles"]["b"]["values"]["lock"] = {"with": 0.4, "without": 0.1}
    scenario = parse_scenario("bike", bike_data, "bike.yaml")
    assert again(scenario, tmp_path) == scenario
    without_absolute_numbers(tmp_path)
    seen = import_genius(tmp_path / "domain.xml", tmp_path / "a.xml", tmp_path / "b.xml")
    scale = 0.5 * 1.0 + 0.5 * 0.4  # the weights times the best values
    assert OutcomeSpace(seen).utilities("b") * scale == pytest.approx(OutcomeSpace(scenario).utilities("b"), abs=2e-9)
    assert seen.roles["b"].reservation * scale == pytest.approx(scenario.roles["b"].reservation, abs=2e-9)


def test_a_role_that_wants_nothing_comes_back(bike_data: dict[str, Any], tmp_path: Path) -> None:
    bike_data["roles"]["b"]["values"] = {"lock": {"with": 0, "without": 0}, "price": {100: 0, 200: 0}}
    scenario = parse_scenario("bike", bike_data, "bike.yaml")
    assert again(scenario, tmp_path) == scenario


def test_weights_that_miss_1_by_rounding_and_a_steep_discount_come_back(
    bike_data: dict[str, Any], tmp_path: Path
) -> None:
    bike_data["roles"]["a"]["weights"] = {"price": 0.6666664, "lock": 0.333333}
    bike_data |= {"discount": 0.00001, "rounds": 100}
    scenario = parse_scenario("bike", bike_data, "bike.yaml")
    assert again(scenario, tmp_path) == scenario


# -- YAML ------------------------------------------------------------------------------------------------------


@given(data=st.data())
@examples(80)
def test_yaml_and_back_changes_nothing(data: st.DataObject, scenarios: st.SearchStrategy[Scenario]) -> None:
    scenario = data.draw(scenarios)
    text = data.draw(st.text(min_size=1, max_size=40, alphabet=st.characters(exclude_categories=["Cs"])))
    scenario = parse_scenario("any", yaml.safe_load(scenario_text(scenario)) | {"story": text}, "any")
    assert scenario_from_text(scenario_text(scenario), "any") == scenario
