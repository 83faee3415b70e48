"""Which strategies a deadline can judge, and what is published about MiCRO without one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from negotiation.agents.strategies import STRATEGIES
from negotiation.diagnostics.deadlines import judged, micro_deal
from negotiation.game.events import Ended
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import SEATS, Scenario

DOCS = Path(__file__).parents[4] / "docs"


def test_without_a_deadline_micros_deals_are_pareto_optimal_and_close_to_nash(shipped: dict[str, Scenario]) -> None:
    """As published (de Jonge 2022): 14 of 14 on the frontier, at least 0.88 of the largest product of gains."""
    optimal, shares = 0, []
    for scenario in shipped.values():
        analyser = Analyser(scenario)
        deal = micro_deal(analyser)
        assert deal is not None
        point, nash = analyser.point(deal.outcome), analyser.point(analyser.nash or 0)
        optimal += analyser.pareto_distance(point.utility_a, point.utility_b) == 0
        a, b = (scenario.roles[seat].reservation for seat in SEATS)
        product = (point.utility_a - a) * (point.utility_b - b)
        shares.append(product / (nash.utility_a - a) / (nash.utility_b - b))
    assert (optimal, len(shares)) == (14, 14)
    assert round(min(shares), 2) >= 0.88


def test_micro_needs_2_to_38205_rounds_to_agree_with_itself(shipped: dict[str, Scenario]) -> None:
    needed = {name: deal.rounds for name, each in shipped.items() if (deal := micro_deal(Analyser(each))) is not None}
    assert (len(needed), min(needed.values()), max(needed.values())) == (14, 2, 38205)


SHORT = ["used_camera", "joint_venture", "books_hats_balls", "compute_split", "camp_supplies", "company_car"]


@pytest.mark.parametrize("name", [*SHORT, "night_train", "holiday_plan"])
def test_micro_makes_the_deal_that_is_computed(shipped: dict[str, Scenario], name: str) -> None:
    """In just the rounds that it needs, and not in one less."""
    analyser = Analyser(shipped[name])
    deal = micro_deal(analyser)
    assert deal is not None
    for rounds, agrees in ((deal.rounds, True), (deal.rounds - 1, False)):
        scenario = shipped[name].model_copy(update={"rounds": rounds})
        *_, end = negotiate(Negotiation("run", scenario, dict.fromkeys(SEATS, STRATEGIES["micro"])))
        assert isinstance(end, Ended)
        assert (end.agreement == analyser.space.offer(deal.outcome)) is agrees


def test_micro_makes_no_deal_where_none_is_acceptable(of_points: Callable[..., Scenario]) -> None:
    assert micro_deal(Analyser(of_points((1.0, 0.0), (0.0, 1.0), reservation=(0.5, 0.5)))) is None
    assert micro_deal(Analyser(of_points((0.3, 1.0), (0.2, 0.5), reservation=(0.5, 0.0)))) is None


def test_strategies_that_follow_the_clock_are_judged_by_any_deadline(shipped: dict[str, Scenario]) -> None:
    for name, scenario in shipped.items():
        found = judged(scenario)
        assert [each for each in ("boulware", "linear", "conceder") if not found[each]] == [], name
        assert not found["hardliner"]
        assert "random" not in found
    assert judged(shipped["night_train"])["micro"]
    assert not judged(shipped["company_car"])["micro"]
    assert judged(shipped["company_car"].model_copy(update={"rounds": 21}))["micro"]


def test_the_documentation_lists_what_each_deadline_can_judge(shipped: dict[str, Scenario]) -> None:
    section = (DOCS / "scenarios.md").read_text().split("## Deadlines", 1)[1].split("\n## ", 1)[0]
    listed = re.findall(r"^\| (\w+) \| ([\d,]+) \| ([\d,]+) \| (yes|no) \| (yes|no) \|$", section, re.MULTILINE)
    assert {row[0] for row in listed} == set(shipped)
    for name, rounds, needed, micro, nice in listed:
        deal, found = micro_deal(Analyser(shipped[name])), judged(shipped[name])
        assert deal is not None
        assert (rounds, needed) == (f"{shipped[name].rounds:,}", f"{deal.rounds:,}"), name
        assert [found["micro"], found["nice_tit_for_tat"]] == [micro == "yes", nice == "yes"], name
        assert [each for each in ("boulware", "linear", "conceder") if not found[each]] == []
