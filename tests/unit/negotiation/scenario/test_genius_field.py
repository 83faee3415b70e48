"""GENIUS files as people have them: each folder of genius/field holds one fault that real files were found to have."""

from __future__ import annotations

from pathlib import Path

import pytest

from negotiation.errors import ScenarioError
from negotiation.scenario.genius_import import import_genius
from negotiation.scenario.model import Scenario, Seat

FIELD = Path(__file__).parent / "genius" / "field"
ROOF = {"tin": 0.25, "tiles": 0.5, "straw": 1.0}


def read(folder: Path) -> tuple[Scenario, list[str]]:
    """The scenario of a folder, and the notes made while it was read."""
    notes: list[str] = []
    domain, a, b = (folder / name for name in ("domain.xml", "a.xml", "b.xml"))
    return import_genius(domain, a, b, on_note=notes.append), notes


def values(scenario: Scenario, seat: Seat, issue: str) -> list[float]:
    """What the options of an issue are worth to a seat, in order."""
    return [scenario.value(seat, issue, choice) for choice in scenario.issues[issue].choices]


def variant(case: str, folder: Path, old: str, new: str, *names: str) -> Path:
    """A copy of a case in a folder, with the first `old` in some of its files replaced."""
    for path in (FIELD / case).iterdir():
        copy = folder / path.name
        data = copy.read_bytes() if copy.exists() else path.read_bytes()
        if path.name in names:
            assert old.encode() in data
            data = data.replace(old.encode(), new.encode(), 1)
        copy.write_bytes(data)
    return folder


def test_01_a_bare_ampersand_is_read_and_noted() -> None:
    scenario, notes = read(FIELD / "01_bare_ampersand")
    assert scenario.issues["roof"].options == ("tin & nails", "tiles", "straw")
    assert values(scenario, "a", "roof") == [0.25, 0.5, 1.0]
    assert notes[0] == (
        f"{FIELD / '01_bare_ampersand' / 'domain.xml'}, line 2: a bare & is read as &amp; (in a valid file, & is "
        "written &amp;)"
    )
    assert len(notes) == 3


def test_01_references_beside_a_bare_ampersand_keep_their_meaning(tmp_path: Path) -> None:
    renamed = '"Roof &amp; &#82;oof & co"'
    folder = variant("01_bare_ampersand", tmp_path, '"Roof"', renamed, "domain.xml", "a.xml", "b.xml")
    assert read(folder)[0].issues["roof_roof_co"].title == "Roof & Roof & co"


def test_01_a_bare_less_than_sign_is_refused_with_line_and_remedy(tmp_path: Path) -> None:
    folder = variant("03_long_option", tmp_path, '"straw"', '"<straw"', "domain.xml")
    with pytest.raises(ScenarioError, match=r"domain\.xml, line 2: not readable .*write < as &lt; and & as &amp;"):
        read(folder)


def test_02_latin1_without_a_declaration_is_read_and_noted() -> None:
    scenario, notes = read(FIELD / "02_latin1")
    assert scenario.issues["roof"].choices[0] == "£10,000"
    assert notes[0] == f"{FIELD / '02_latin1' / 'domain.xml'}, line 2: not valid UTF-8; read as Latin-1"


def test_02_latin1_under_a_declaration_of_utf8_is_read_and_noted(tmp_path: Path) -> None:
    declared = '<?xml version="1.0" encoding="UTF-8"?>\n<negotiation_template>'
    folder = variant("02_latin1", tmp_path, "<negotiation_template>", declared, "domain.xml")
    scenario, notes = read(folder)
    assert scenario.issues["roof"].choices[0] == "£10,000"
    assert "domain.xml, line 3: not valid UTF-8; read as Latin-1" in notes[0]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "iso-8859-1", "windows-1252"])
def test_02_a_declared_encoding_or_a_byte_order_mark_decides(tmp_path: Path, encoding: str) -> None:
    for path in (FIELD / "02_latin1").iterdir():
        text = path.read_bytes().decode("latin-1")
        declaration = "" if encoding.startswith("utf") else f'<?xml version="1.0" encoding="{encoding}"?>'
        (tmp_path / path.name).write_bytes((declaration + text).encode(encoding))
    scenario, notes = read(tmp_path)
    assert scenario.issues["roof"].choices[0] == "£10,000"
    assert notes == []


def test_03_an_option_of_66_characters_is_imported() -> None:
    scenario, notes = read(FIELD / "03_long_option")
    first = str(scenario.issues["roof"].choices[0])
    assert first.startswith("the carpenter mends the roof")
    assert len(first) > 60
    assert notes == []


def test_04_an_option_listed_twice_is_merged_and_noted_by_name() -> None:
    scenario, notes = read(FIELD / "04_duplicate_option")
    assert scenario.issues["roof"].options == ("tin", "tiles")
    assert values(scenario, "a", "roof") == [1.0, 0.5]  # the last evaluation counts, as in GENIUS: 4 of 4
    assert values(scenario, "b", "roof") == [0.5, 1.0]  # 1 of 2
    assert len(notes) == 3
    assert all("\"tin\">: listed twice in 'Roof'" in note for note in notes)


def test_05_evaluations_are_divided_by_the_largest_even_below_1() -> None:
    scenario, notes = read(FIELD / "05_max_below_1")
    assert values(scenario, "a", "roof") == pytest.approx([1 / 3, 2 / 3, 1])
    assert scenario.utility("a", {"roof": "straw", "day": "Tue"}) == 1
    assert notes == []


def test_05_an_issue_whose_evaluations_are_all_0_is_worth_nothing(tmp_path: Path) -> None:
    folder = variant("05_max_below_1", tmp_path, 'evaluation="1"', 'evaluation="0"', "b.xml")
    folder = variant("05_max_below_1", tmp_path, 'evaluation="0.5"', 'evaluation="0"', "b.xml")
    assert values(read(folder)[0], "b", "roof") == [0, 0, 0]


def test_07_type_wins_over_vtype_and_the_items_are_read() -> None:
    scenario, notes = read(FIELD / "07_type_vtype_conflict")
    assert scenario.issues["nails"].options == ("0", "1", "2", "3", "4")
    assert values(scenario, "a", "nails") == [0, 0.25, 0.5, 0.75, 1]
    assert notes == []


def test_07_types_are_read_in_any_letter_case(tmp_path: Path) -> None:
    folder = variant("07_type_vtype_conflict", tmp_path, ' type="discrete"', ' type="Discrete"', "domain.xml")
    assert read(folder)[0].issues["nails"].size == 5


def test_10_blank_lines_before_the_declaration_are_skipped() -> None:
    scenario, notes = read(FIELD / "10_blank_before_declaration")
    assert dict(zip(ROOF, values(scenario, "a", "roof"), strict=True)) == ROOF
    assert notes == []


def test_10_lines_are_still_counted_from_the_top(tmp_path: Path) -> None:
    folder = variant("10_blank_before_declaration", tmp_path, 'evaluation="1"', 'evaluation="one"', "a.xml")
    with pytest.raises(ScenarioError, match=r"a\.xml, line 3: <item \"tin\">"):
        read(folder)


def test_11_a_reservation_inside_the_objective_is_read() -> None:
    scenario, _ = read(FIELD / "11_reservation_in_objective")
    assert (scenario.roles["a"].reservation, scenario.roles["b"].reservation) == (0.4, 0.4)


def test_11_a_discount_factor_inside_the_objective_is_read(tmp_path: Path) -> None:
    case = "11_reservation_in_objective"
    variant(case, tmp_path, '<discount_factor value="1.0"/>', "", "a.xml", "b.xml")
    variant(case, tmp_path, "<reservation", '<discount_factor value="0.5"/><reservation', "a.xml", "b.xml")
    scenario, _ = read(tmp_path)
    assert scenario.discount**scenario.rounds == pytest.approx(0.5, abs=1e-9)


def test_12_a_negative_reservation_is_read_as_0_and_noted() -> None:
    scenario, notes = read(FIELD / "12_negative_reservation")
    assert (scenario.roles["a"].reservation, scenario.roles["b"].reservation) == (0, 0)
    assert notes[0].startswith(f"{FIELD / '12_negative_reservation' / 'a.xml'}, line 4: <reservation")
    assert notes[0].endswith(": a reservation value of -0.1 is below 0; read as 0")


@pytest.mark.parametrize(
    ("case", "fault"),
    [("20_doctype", "<!DOCTYPE"), ("03_long_option", "nested too deeply")],
)
def test_20_a_refusal_names_the_file_once_and_the_reason_once(tmp_path: Path, case: str, fault: str) -> None:
    folder = FIELD / case
    if fault == "nested too deeply":
        folder = variant(case, tmp_path, "<issue", "<deep>" * 60 + "<issue", "domain.xml")
    with pytest.raises(ScenarioError) as caught:
        read(folder)
    message = str(caught.value)
    assert message.count("domain.xml") == 1
    assert message.count(fault) == 1
    assert "not readable as XML" not in message


def test_issues_are_matched_by_index_and_by_name_in_any_letter_case(tmp_path: Path) -> None:
    folder = variant("03_long_option", tmp_path, 'name="Roof"', 'name="  ROOF "', "a.xml")
    assert read(folder)[0] == read(FIELD / "03_long_option")[0]


def test_issues_whose_names_differ_only_in_case_are_distinguished_by_index(tmp_path: Path) -> None:
    for path in (FIELD / "05_max_below_1").iterdir():
        text = path.read_text(encoding="utf-8").replace('name="Roof"', 'name="DAY"')
        text = text.replace('value="tin"', 'value="Mon"').replace('value="straw"', 'value="Tue"')
        (tmp_path / path.name).write_text(text.replace('name="Day"', 'name="day"'), encoding="utf-8")
    scenario, _ = read(tmp_path)
    assert list(scenario.issues) == ["day", "day_2"]
    assert values(scenario, "a", "day") == pytest.approx([1 / 3, 2 / 3, 1])
    assert values(scenario, "a", "day_2") == [0, 1]


def test_an_index_that_the_domain_does_not_have_is_noted_and_the_name_decides(tmp_path: Path) -> None:
    folder = variant("03_long_option", tmp_path, 'issue index="1"', 'issue index="7"', "a.xml")
    variant("03_long_option", tmp_path, 'weight index="1"', 'weight index="7"', "a.xml")
    scenario, notes = read(folder)
    assert scenario == read(FIELD / "03_long_option")[0]
    assert len(notes) == 1
    assert "the domain has no issue with the index 7; matched by name" in notes[0]
