"""The readings of messages are validated on turns labelled by hand, and what is not reliable is not shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.support.labelled import NAMES, PARTS, labelled_turns, validate
from negotiation.behaviour import traits
from negotiation.behaviour.findings import READINGS, findings
from negotiation.behaviour.profile import Profiles
from negotiation.behaviour.report import to_json, to_lines
from negotiation.behaviour.sides import observed
from negotiation.behaviour.traits import LEAST_PRECISION, TRAITS, Validated, is_shown, validation
from negotiation.game.events import Turn
from negotiation.game.protocol import Action
from negotiation.runs.record import Run
from negotiation.scenario.model import Scenario


@pytest.mark.parametrize("part", PARTS)
def test_the_committed_validation_is_what_the_readings_do_now(part: str) -> None:
    """If this fails, run `python -m benchmarks.behaviour --write`, and look at what has become worse."""
    assert dict(validation()[part]) == validate(part)


def test_at_least_150_turns_are_held_out_with_at_least_20_of_each_kind() -> None:
    held_out = labelled_turns("held_out")
    assert len(held_out) >= 150
    for name in NAMES:
        assert sum(bool(turn.outcome(name)[1]) for turn in held_out) >= 20, name


def test_no_turn_is_both_tuned_on_and_held_out() -> None:
    names = [turn.name for part in PARTS for turn in labelled_turns(part)]
    assert len(set(names)) == len(names)


def test_every_label_is_one_that_a_reading_can_find() -> None:
    for part in PARTS:
        for turn in labelled_turns(part):
            assert turn.labels <= set(READINGS), turn.name
            assert turn.reveals <= set(turn.said.scenario.issues), turn.name


def test_every_measure_that_reads_messages_names_its_reading() -> None:
    assert {trait.reads for trait in TRAITS.values() if trait.reads} == set(NAMES)
    assert set(READINGS) == {name for name, trait in TRAITS.items() if trait.reads} - {"heeds"}


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        (Validated(right=18, wrong=2, missed=80), True),
        (Validated(right=17, wrong=2, missed=0), False),
        (Validated(right=0, wrong=0, missed=20), False),
    ],
)
def test_a_measure_is_shown_only_if_nine_in_ten_findings_are_right(counts: Validated, shown: bool) -> None:
    assert is_shown(TRAITS["false_limit"], {"false_limit": counts}) is shown
    assert is_shown(TRAITS["timing"], {})
    assert not is_shown(TRAITS["false_limit"], {})


def said(index: int, message: str, price: int) -> Turn:
    seat = "ab"[index % 2]
    worth = {"utility_a": (price - 14000) / 10000, "utility_b": 0.5}
    offer = {"price": price}
    return Turn(index, index // 2 + 1, seat, "talker", Action.OFFER, offer, message, **worth)  # type: ignore[arg-type]


@pytest.fixture
def lie(shipped: dict[str, Scenario], make_run: Callable[..., Run]) -> Run:
    """A run in which side a claims a limit that is not its own."""
    turns = (said(0, "I cannot go below €20,000.", 20000), said(1, "Too much.", 15000))
    return make_run("lie", a="talker", b="other", scenario=shipped["company_car"], status="done", turns=turns)


def test_what_is_not_reliable_appears_nowhere(lie: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [finding.trait for finding in findings(lie.scenario, lie.turns, "a")] == ["false_limit"]
    shown = to_json(Profiles(observed(lie)), ["talker"])
    assert shown["agents"][0]["measures"]["false_limit"]["these_scenarios"]["mean"] == 1.0

    held_out = dict(traits.validation()["held_out"], false_limit=Validated(right=89, wrong=11, missed=0))
    assert held_out["false_limit"].precision < LEAST_PRECISION
    monkeypatch.setattr(traits, "validation", lambda: {"held_out": held_out})
    assert findings(lie.scenario, lie.turns, "a") == []
    profiles = Profiles(observed(lie))
    data = to_json(profiles, ["talker"])
    assert "false_limit" not in data["agents"][0]["measures"]
    assert data["agents"][0]["findings"] == []
    assert data["validation"]["false_limit"]["shown"] is False
    assert "Not shown, as less than 90% of the findings were right: false limits." in to_lines(profiles, ["talker"])
