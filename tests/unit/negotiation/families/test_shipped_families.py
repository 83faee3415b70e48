"""The families that Parley comes with: every scenario drawn from them is what the family says, and reads well."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from negotiation.families.family import FAMILIES, Family, family_names, load_family
from negotiation.families.generate import draw_scenario, draw_scenarios
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.lint import lint
from negotiation.scenario.model import SEATS, Scenario, scenario_from_text
from negotiation.scenario.source import scenario_text

NAMES = family_names(FAMILIES)
DRAWN = 40
DIGESTS = {
    ("casino", 1, 1): "ac5bd942464f5849",
    ("casino", 20260801, 36): "28581af8d7a1cbd9",
    ("integrative", 1, 1): "61ae713d817beea4",
    ("integrative", 20260801, 50): "48d9f045ac5d5720",
    ("many_issues", 1, 1): "fff93b3134d35751",
    ("many_issues", 20260801, 50): "fc3f75192af64c62",
    ("price", 1, 1): "4495c03b9c3ba65b",
    ("price", 20260801, 50): "9c86b5dd87b1f279",
    ("shared_pool", 1, 1): "fe3ae1baa236eabf",
    ("shared_pool", 20260801, 50): "d5fbefe865e72c9a",
}
"""The beginning of the digest of drawn scenarios. If one changes, `family.VERSION` must be raised or the change undone,
because plans and papers name scenarios by family, seed and number. A change of a family's file may change its own."""


@pytest.fixture(scope="module", params=NAMES)
def family(request: pytest.FixtureRequest) -> Family:
    return load_family(str(request.param))


@pytest.fixture(scope="module")
def drawn(family: Family) -> list[Scenario]:
    return list(draw_scenarios(family, 11, DRAWN))


def texts(scenario: Scenario) -> Iterator[str]:
    yield scenario.title
    yield scenario.story
    for role in scenario.roles.values():
        yield from (role.name, role.briefing)
    for issue in scenario.issues.values():
        yield from (issue.title, issue.unit, *(issue.options or ()))


def test_the_kinds_of_the_issue_are_there() -> None:
    assert NAMES == ["casino", "integrative", "many_issues", "price", "shared_pool"]


def test_every_scenario_has_the_stated_opposition_and_zone(family: Family, drawn: list[Scenario]) -> None:
    for scenario in drawn:
        found = Analyser(scenario)
        assert family.opposition[0] - 1e-9 <= found.opposition <= family.opposition[1] + 1e-9, scenario.scenario_id
        assert family.zone[0] <= found.zone <= family.zone[1], scenario.scenario_id
        assert family.rounds[0] <= scenario.rounds <= family.rounds[1]
        assert found.nash is not None


def test_the_linter_finds_nothing(drawn: list[Scenario]) -> None:
    assert not [finding for scenario in drawn for finding in lint(scenario)]


def test_the_scenarios_differ(family: Family, drawn: list[Scenario]) -> None:
    other = list(draw_scenarios(family, 12, DRAWN))
    pairs = 36 if family.points else DRAWN
    assert len({scenario.sha256 for scenario in drawn}) >= min(pairs, DRAWN)
    assert len({scenario.sha256 for scenario in (*drawn, *other)}) > DRAWN
    assert len({scenario.story for scenario in drawn}) >= DRAWN // 4


def test_a_scenario_says_where_it_comes_from(family: Family, drawn: list[Scenario]) -> None:
    for index, scenario in enumerate(drawn, start=1):
        assert scenario.scenario_id == f"{family.name}_11_{index}"
        assert scenario.drawn_from is not None
        assert scenario.drawn_from.model_dump() == {
            "family": family.name, "seed": 11, "index": index, "sha256": family.sha256,
        }  # fmt: skip


def test_a_scenario_depends_on_its_seed_and_number_alone(family: Family, drawn: list[Scenario]) -> None:
    assert draw_scenario(family, 11, 7) == drawn[6]
    assert draw_scenario(family, 11) == drawn[0]


def test_a_drawn_scenario_survives_its_file(drawn: list[Scenario]) -> None:
    for scenario in drawn[:5]:
        assert scenario_from_text(scenario_text(scenario), scenario.scenario_id) == scenario


def test_no_word_is_left_open_and_articles_fit(drawn: list[Scenario]) -> None:
    for text in (text for scenario in drawn for text in texts(scenario)):
        assert not re.search(r"[{}]|  |\s[.,;:]|\.\.", text.replace("\n", " ").strip()), text
        assert not re.search(r"\b[Aa] [aeioAEIO]", text), text
        assert not re.search(r"\b[Aa]n [^aeiouhAEIOUH]", text), text
        assert not re.search(r"\b(\w+) \1\b", text.replace("\n", " ")), text


def test_every_sentence_begins_with_a_capital_letter(drawn: list[Scenario]) -> None:
    for scenario in drawn:
        for text in (scenario.story, *(role.briefing for role in scenario.roles.values())):
            sentences = re.split(r"(?<=[.?!])\s+", text.strip())
            assert not [sentence for sentence in sentences if not sentence[0].isupper()], text
            assert text.rstrip().endswith((".", "?"))


def test_both_roles_are_told_what_matters_to_them(family: Family, drawn: list[Scenario]) -> None:
    if family.name == "price":
        return
    for role in (scenario.roles[seat] for scenario in drawn for seat in SEATS):
        briefing = " ".join(role.briefing.split())
        assert re.search(r"You care |If you must choose, |Hold on to |Put .* before ", briefing), briefing


def test_either_role_may_speak_first_unless_issues_name_the_side_that_gets_the_number() -> None:
    family = load_family("price")
    first = [scenario.roles["a"].values[next(iter(scenario.issues))] for scenario in draw_scenarios(family, 5, 40)]
    sellers = sum(values[max(map(int, values))] == 1 for values in first)
    assert 8 < sellers < 32
    divided = (scenario for scenario in draw_scenarios(load_family("shared_pool"), 5, 10))
    assert all(issue.split for scenario in divided for issue in scenario.issues.values())


@pytest.mark.parametrize(("name", "seed", "index"), DIGESTS)
def test_what_is_drawn_never_changes(name: str, seed: int, index: int) -> None:
    digest = draw_scenario(load_family(name), seed, index).sha256
    assert digest.startswith(DIGESTS[name, seed, index]), f"{name}:{seed}:{index} is now {digest}"
