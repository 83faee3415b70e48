"""Analysers are kept for the scenarios used last, within a number of outcomes."""

from __future__ import annotations

from negotiation.app.settings import SHIPPED
from negotiation.scenario.analysers import Analysers
from negotiation.scenario.analysis import OutcomeSpace
from negotiation.scenario.model import load_scenarios

SCENARIOS = load_scenarios(SHIPPED / "scenarios")


def test_a_scenario_is_analysed_once() -> None:
    kept = Analysers()
    first = kept.of(SCENARIOS["night_train"])
    kept.of(SCENARIOS["camp_supplies"])
    assert kept.of(SCENARIOS["night_train"]) is first


def test_an_equal_scenario_is_another_one() -> None:
    kept = Analysers()
    again = load_scenarios(SHIPPED / "scenarios")["night_train"]
    assert kept.of(SCENARIOS["night_train"]) is not kept.of(again)


def test_those_used_longest_ago_are_dropped_once_there_are_too_many_outcomes() -> None:
    names = ("night_train", "camp_supplies", "company_car")
    sizes = [len(OutcomeSpace(SCENARIOS[name])) for name in names]
    kept = Analysers(most_outcomes=sum(sizes) - 1)
    first, second = kept.of(SCENARIOS[names[0]]), kept.of(SCENARIOS[names[1]])
    kept.of(SCENARIOS[names[0]])
    kept.of(SCENARIOS[names[2]])
    assert kept.of(SCENARIOS[names[0]]) is first
    assert kept.of(SCENARIOS[names[1]]) is not second


def test_a_scenario_larger_than_the_limit_is_analysed_all_the_same() -> None:
    kept = Analysers(most_outcomes=1)
    assert len(kept.of(SCENARIOS["camp_supplies"]).space) > 1
