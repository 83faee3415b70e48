"""Scripted strategies: what they ask for and take, and what they never look at."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.game.agent import Decision, View
from negotiation.game.events import Ended, Event
from negotiation.game.protocol import Action, Ending
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.model import Scenario, Seat, parse_scenario
from tests.support.effort import examples

Points = Callable[..., Scenario]
Views = Callable[..., View]
LINE = tuple((number / 100, 1 - number / 100) for number in range(101))
"""Outcomes o0 to o100 are worth 0 to 1 to a, and 1 to 0 to b."""
NAMES = sorted(STRATEGIES)
BY_TIME = ["boulware", "conceder", "linear"]
FIRM_AT_FIRST = [name for name in NAMES if name != "random"]
GIVING_IN = [name for name in NAMES if name not in ("hardliner", "micro")]


def decide(name: str, view: View) -> Decision:
    """What a strategy does, having nothing to report on the way."""
    acting: Generator[Any, None, Decision] = STRATEGIES[name].act(view)
    with pytest.raises(StopIteration) as stopped:
        next(acting)
    decision = stopped.value.value
    assert isinstance(decision, Decision)
    return decision


def moves(count: int, deal: str) -> list[Any]:
    """So many offers of the same outcome, in turns."""
    return [(Action.OFFER, {"deal": deal}, "")] * count


def asked(name: str, view: View) -> float:
    """The own utility of what a strategy offers."""
    decision = decide(name, view)
    assert decision.offer is not None
    return view.scenario.utility(view.seat, decision.offer)


def test_the_known_strategies_exist() -> None:
    known = "boulware linear conceder tit_for_tat nice_tit_for_tat micro hardliner random"
    assert list(STRATEGIES) == known.split()
    assert all(strategy.name == name for name, strategy in STRATEGIES.items())


# -- how much they ask for -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "asks"),
    [
        # reservation value 0.2, best 1, five rounds: time is 0, 1/4, 1/2, 3/4, 1
        ("boulware", [1.0, 1.0, 0.98, 0.82, 0.2]),  # 1 - 0.8 t^5: 1, 0.9992, 0.975, 0.8102, 0.2
        ("linear", [1.0, 0.8, 0.6, 0.4, 0.2]),
        ("conceder", [1.0, 0.5, 0.37, 0.28, 0.2]),  # 1 - 0.8 t^(1/3): 1, 0.4960, 0.3650, 0.2731, 0.2
    ],
)
def test_concession_follows_its_formula(of_points: Points, make_view: Views, name: str, asks: list[float]) -> None:
    scenario = of_points(*LINE, reservation=(0.2, 0.0), rounds=5)
    assert [asked(name, make_view(scenario, moves(2 * done, "o0"))) for done in range(5)] == asks


def test_in_a_single_round_the_best_is_asked_for(of_points: Points, make_view: Views) -> None:
    scenario = of_points(*LINE, reservation=(0.2, 0.2), rounds=1)
    assert {asked(name, make_view(scenario)) for name in FIRM_AT_FIRST} == {1.0}


@pytest.mark.parametrize("name", BY_TIME)
@given(data=st.data(), seat=st.sampled_from(["a", "b"]), seed=st.integers(0, 99))
@examples(30)
def test_concession_is_monotone_from_the_best_and_never_below_the_reservation_value(
    data: st.DataObject,
    name: str,
    seat: Seat,
    seed: int,
    scenarios: st.SearchStrategy[Scenario],
    stubborn: Callable[[Scenario, str, Seat, int], list[float]],
) -> None:
    scenario = data.draw(scenarios.filter(lambda scenario: scenario.discount == 1))
    asks = stubborn(scenario, name, seat, seed)
    assert asks == sorted(asks, reverse=True)
    assert all(ask >= scenario.roles[seat].reservation for ask in asks)


@given(data=st.data(), seat=st.sampled_from(["a", "b"]))
@examples(30)
def test_a_conceder_asks_for_no_more_than_a_boulware(
    data: st.DataObject,
    seat: Seat,
    scenarios: st.SearchStrategy[Scenario],
    stubborn: Callable[[Scenario, str, Seat, int], list[float]],
) -> None:
    scenario = data.draw(scenarios)
    firm, soft = (stubborn(scenario, name, seat, 1) for name in ("boulware", "conceder"))
    assert all(high >= low for high, low in zip(firm, soft, strict=False))


@pytest.fixture(scope="session")
def stubborn(make_view: Views) -> Callable[[Scenario, str, Seat, int], list[float]]:
    """The own utilities of all that a strategy offers to somebody who offers it the worst, until it stops offering."""

    def asks(scenario: Scenario, name: str, seat: Seat, seed: int) -> list[float]:
        space = make_view(scenario).space
        worst = space.offer(int(space.utilities(seat).argmin()))
        done: list[Any] = []
        found = []
        while len(done) < 2 * scenario.rounds:
            move: Any = (Action.OFFER, worst, "")
            view = make_view(scenario, done, seed=seed)
            if view.seat == seat:
                decision = decide(name, view)
                if decision.offer is None:
                    break
                found.append(scenario.utility(seat, decision.offer))
                move = (Action.OFFER, decision.offer, "")
            done.append(move)
        return found

    return asks


# -- those that answer the other side --------------------------------------------------------------------------


def answers(name: str, make_view: Views, scenario: Scenario, theirs: list[str]) -> list[float]:
    """What a strategy as a asks for in each turn, while b makes given offers."""
    done: list[Any] = []
    asks = []
    for offer in [*theirs, ""]:
        decision = decide(name, make_view(scenario, done))
        assert decision.offer is not None
        asks.append(scenario.utility("a", decision.offer))
        done += [(Action.OFFER, decision.offer, ""), (Action.OFFER, {"deal": offer}, "")]
    return asks


@pytest.mark.parametrize(
    ("theirs", "asks"),
    [
        (["o0"], [1.0, 1.0]),  # nothing to compare yet
        (["o0", "o0", "o0"], [1.0, 1.0, 1.0, 1.0]),
        (["o0", "o20"], [1.0, 1.0, 0.84]),  # they ask for 0.8 of what they did: 0.2 + 0.8 x 0.8
        (["o0", "o20", "o28"], [1.0, 1.0, 0.84, 0.78]),  # then for 0.9 of that: 0.2 + 0.64 x 0.9 = 0.776
        (["o0", "o20", "o0"], [1.0, 1.0, 0.84, 1.0]),  # and back again
    ],
)
def test_relative_tit_for_tat(of_points: Points, make_view: Views, theirs: list[str], asks: list[float]) -> None:
    scenario = of_points(*LINE, reservation=(0.2, 0.0), rounds=9)
    assert answers("tit_for_tat", make_view, scenario, theirs) == asks


@pytest.mark.parametrize(
    ("theirs", "asks"),
    [
        (["o0"], [1.0, 0.95]),  # the bonus is a tenth of the way to half of the best
        (["o0", "o30"], [1.0, 0.95, 0.68]),  # 0.3 of 0.5, and a tenth of the rest: 1 - (0.6 + 0.4 x 0.1) x 0.5
        (["o0", "o30", "o10"], [1.0, 0.95, 0.68, 0.68]),  # nothing is taken back
    ],
)
def test_nice_tit_for_tat(of_points: Points, make_view: Views, theirs: list[str], asks: list[float]) -> None:
    scenario = of_points(*LINE, reservation=(0.2, 0.0), rounds=9)
    assert answers("nice_tit_for_tat", make_view, scenario, theirs) == asks


@pytest.mark.parametrize(("time", "ask"), [(0.0, 0.95), (0.91, 0.95), (0.93, 0.8), (0.96, 0.5), (1.0, 0.5)], ids=str)
def test_nice_tit_for_tat_has_a_bonus_that_grows_with_time(
    of_points: Points, make_view: Views, time: float, ask: float
) -> None:
    """From 91 % of the time on, 20 times what has passed since: 0.4 of the way to 0.5 at 93 %, all of it at 96 %."""
    scenario = of_points(*LINE, rounds=101)
    begun = [(Action.OFFER, {"deal": deal}, "") for deal in ("o100", "o0")] * round(100 * time)
    if not begun:
        begun = [(Action.OFFER, {"deal": "o100"}, ""), (Action.OFFER, {"deal": "o0"}, "")]
    assert asked("nice_tit_for_tat", make_view(scenario, begun)) == ask


def test_nice_tit_for_tat_agrees_with_itself(shipped: dict[str, Scenario]) -> None:
    """At 100 rounds, as an independent implementation does in 7 of 8 domains. Without the bonus it never did."""
    script = AgentConfig("nice_tit_for_tat", {"gives_in": False}).script
    assert script is not None
    agreed = 0
    for scenario in shipped.values():
        long = scenario.model_copy(update={"rounds": 100})
        *_, end = negotiate(Negotiation("run", long, {"a": script, "b": script}, 1))
        assert isinstance(end, Ended)
        agreed += end.agreement is not None
    assert agreed >= 7 / 8 * len(shipped)


def test_nice_tit_for_tat_meets_the_other_side_halfway(of_points: Points, make_view: Views) -> None:
    scenario = of_points(*LINE, reservation=(0.2, 0.0), rounds=9)
    begun = [(Action.OFFER, {"deal": deal}, "") for deal in ("o100", "o0", "o100", "o60")]
    assert decide("nice_tit_for_tat", make_view(scenario, begun)).action is Action.ACCEPT


def test_micro_answers_every_new_offer_with_a_new_one(of_points: Points, make_view: Views) -> None:
    scenario = of_points(*LINE, reservation=(0.2, 0.0), rounds=9)
    asks = answers("micro", make_view, scenario, ["o0", "o1", "o1", "o1"])
    assert asks[:3] == [1.0, 0.99, 0.98]
    assert set(asks[3:]) <= {1.0, 0.99, 0.98}


def test_micro_accepts_what_it_would_offer_next(of_points: Points, make_view: Views) -> None:
    scenario = of_points(*LINE, reservation=(0.2, 0.0), rounds=9)
    begun: list[Any] = [(Action.OFFER, {"deal": "o100"}, "")]
    assert decide("micro", make_view(scenario, [*begun, (Action.OFFER, {"deal": "o99"}, "")])).action is Action.ACCEPT
    assert decide("micro", make_view(scenario, [*begun, (Action.OFFER, {"deal": "o98"}, "")])).action is Action.OFFER


def test_micro_gives_in_on_its_last_turn_only_as_an_option(of_points: Points, make_view: Views) -> None:
    """In the paper the deadline changes nothing."""
    scenario = of_points(*LINE, reservation=(0.0, 0.2), rounds=1)
    view = make_view(scenario, moves(1, "o80"))
    giving_in = AgentConfig("micro", {"gives_in": True}).script
    assert giving_in is not None
    assert giving_in.decide(view).action is Action.ACCEPT
    assert STRATEGIES["micro"].decide(view).action is Action.OFFER


def test_micro_never_goes_below_its_reservation_value(of_points: Points, make_view: Views) -> None:
    scenario = of_points((1.0, 0.0), (0.5, 0.5), (0.0, 1.0), reservation=(0.4, 0.0), rounds=9)
    asks = answers("micro", make_view, scenario, ["o2"] * 3)
    assert asks == [1.0, 0.5, *asks[2:]]
    assert min(asks) == 0.5


def test_a_hardliner_takes_the_best_and_nothing_less(of_points: Points, make_view: Views) -> None:
    scenario = of_points(*LINE, reservation=(0.0, 0.2), rounds=1)
    assert decide("hardliner", make_view(scenario, moves(1, "o0"))).action is Action.ACCEPT
    refused = decide("hardliner", make_view(scenario, moves(1, "o1")))
    assert (refused.action, refused.offer) == (Action.OFFER, {"deal": "o0"})


def test_random_offers_everything_that_is_worth_the_reservation_value(of_points: Points, make_view: Views) -> None:
    scenario = of_points(*[(number / 10, 0.5) for number in range(11)], reservation=(0.35, 0.0))
    offered = {asked("random", make_view(scenario, seed=seed)) for seed in range(200)}
    assert offered == {number / 10 for number in range(4, 11)}


# -- what they accept ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "taken", "refused"), [("boulware", "o2", "o3"), ("conceder", "o63", "o64")], ids=["boulware", "conceder"]
)
def test_an_offer_as_good_as_the_own_next_one_is_accepted(
    of_points: Points, make_view: Views, name: str, taken: str, refused: str
) -> None:
    """b in the third of five rounds asks for 0.975 or 0.365; o2 is worth 0.98 to it, o63 is worth 0.37."""
    scenario = of_points(*LINE, reservation=(0.0, 0.2), rounds=5)
    accepting = decide(name, make_view(scenario, moves(5, taken)))
    assert (accepting.action, accepting.offer) == (Action.ACCEPT, None)
    assert decide(name, make_view(scenario, moves(5, refused))).action is Action.OFFER


@pytest.mark.parametrize("name", GIVING_IN)
def test_in_the_last_turn_the_reservation_value_is_enough(of_points: Points, make_view: Views, name: str) -> None:
    scenario = of_points(*LINE, reservation=(0.0, 0.2), rounds=1)
    assert decide(name, make_view(scenario, moves(1, "o80"))).action is Action.ACCEPT
    assert decide(name, make_view(scenario, moves(1, "o81"))).action is Action.OFFER


@pytest.mark.parametrize("name", GIVING_IN)
def test_a_hair_below_the_reservation_value_is_not_enough(of_points: Points, make_view: Views, name: str) -> None:
    scenario = of_points((0.5, 0.2), (0.5, 0.199999999), (0, 1), reservation=(0.0, 0.2), rounds=1)
    assert decide(name, make_view(scenario, moves(1, "o0"))).action is Action.ACCEPT
    assert decide(name, make_view(scenario, moves(1, "o1"))).action is Action.OFFER


@pytest.mark.parametrize("name", NAMES)
def test_a_seat_that_can_gain_nothing_walks_away(of_points: Points, make_view: Views, name: str) -> None:
    scenario = of_points((0.3, 0.5), (0.4, 0.2), reservation=(0.5, 0.0))
    assert decide(name, make_view(scenario)).action is Action.WALK_AWAY


@pytest.mark.parametrize("name", NAMES)
def test_with_discounting_the_last_good_deal_is_accepted(of_points: Points, make_view: Views, name: str) -> None:
    """With half the worth a round, 0.9 in the second round is 0.45; any later, nothing reaches 0.3 any more."""
    scenario = of_points((0.5, 0.9), (1.0, 0.5), reservation=(0.0, 0.3), rounds=5, discount=0.5)
    assert decide(name, make_view(scenario, moves(3, "o0"))).action is Action.ACCEPT
    assert decide(name, make_view(scenario, moves(3, "o1"))).action is Action.WALK_AWAY


class Generous:
    """Offers by chance whatever the other side might like, and never accepts."""

    name = "generous"

    def act(self, view: View) -> Generator[Any, None, Decision]:
        yield from ()
        return Decision(Action.OFFER, view.space.offer(view.random().randrange(len(view.space))))


class Meek(Generous):
    """Accepts whatever it is offered."""

    name = "meek"

    def act(self, view: View) -> Generator[Any, None, Decision]:
        if view.state.table is None:
            return (yield from super().act(view))
        return Decision(Action.ACCEPT)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data(), seat=st.sampled_from(["a", "b"]), seed=st.integers(0, 99))
@examples(30)
def test_no_deal_is_below_the_own_reservation_value(
    data: st.DataObject, name: str, seat: Seat, seed: int, scenarios: st.SearchStrategy[Scenario]
) -> None:
    """Discounted or not, accepted by either side."""
    scenario = data.draw(scenarios)
    opponent = data.draw(st.sampled_from([Generous(), Meek(), *STRATEGIES.values()]))
    agents = {seat: STRATEGIES[name], "ab"["ba".index(seat)]: opponent}
    events: list[Event] = list(negotiate(Negotiation("run", scenario, agents, seed)))  # type: ignore[arg-type]
    end = events[-1]
    assert isinstance(end, Ended)
    assert end.measures.rational_a if seat == "a" else end.measures.rational_b


# -- what they look at -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data(), seed=st.integers(0, 99), count=st.integers(0, 5))
@examples(30)
def test_the_other_sides_preferences_change_nothing(
    data: st.DataObject,
    name: str,
    seed: int,
    count: int,
    scenarios: st.SearchStrategy[Scenario],
    make_view: Views,
) -> None:
    scenario = data.draw(scenarios)
    count = min(count, 2 * scenario.rounds - 1)
    offers = st.fixed_dictionaries({issue: st.sampled_from(i.choices) for issue, i in scenario.issues.items()})
    done = [(Action.OFFER, data.draw(offers), "") for _ in range(count)]
    view = make_view(scenario, done, seed=seed)
    plain = scenario.model_dump(mode="json", exclude={"scenario_id"}, exclude_none=True)
    theirs = plain["roles"]["b" if view.seat == "a" else "a"]
    shares = data.draw(st.lists(st.integers(1, 9), min_size=len(scenario.issues), max_size=len(scenario.issues)))
    theirs["weights"] = dict(zip(scenario.issues, [share / sum(shares) for share in shares], strict=True))
    theirs["values"] = {
        issue: {point: data.draw(st.sampled_from([0, 0.3, 1])) for point in values}
        for issue, values in theirs["values"].items()
    }
    theirs["reservation"] = data.draw(st.sampled_from([0, 0.5, 1]))
    theirs["briefing"] = "Something else."
    changed = parse_scenario(scenario.scenario_id, plain, "changed.yaml")
    assert decide(name, make_view(changed, done, seed=seed)) == decide(name, view)


# -- chance and words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted({*FIRM_AT_FIRST} - {"micro"}))
def test_chance_decides_among_equals_by_the_seed(of_points: Points, make_view: Views, name: str) -> None:
    scenario = of_points(*[(1.0, number / 10) for number in range(10)], (0.0, 1.0))
    offered = [[decide(name, make_view(scenario, seed=seed)) for seed in range(30)] for _ in range(2)]
    assert offered[0] == offered[1]
    picked = {decision.offer["deal"] for decision in offered[0] if decision.offer}
    assert picked <= {f"o{number}" for number in range(10)}
    assert len(picked) > 5


def test_a_runs_name_does_not_change_its_chances(of_points: Points, make_view: Views) -> None:
    scenario = of_points(*[(1.0, number / 10) for number in range(10)])
    views = [make_view(scenario, seed=3, run_id=run_id) for run_id in ("one", "two")]
    assert decide("boulware", views[0]) == decide("boulware", views[1])


def test_every_turn_seat_seed_and_attempt_has_chances_of_its_own(bike: Scenario, make_view: Views) -> None:
    offer = {"price": 150, "lock": "with"}
    seeds = [
        make_view(bike, [(Action.OFFER, offer, "")] * count, seed=seed).turn_seed(attempt)
        for count in range(4)
        for seed in (1, 2)
        for attempt in (0, 1)
    ]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("name", NAMES)
def test_an_offer_is_legal_and_comes_with_words(bike: Scenario, make_view: Views, name: str) -> None:
    for count in (0, 2, 4):
        view = make_view(bike, [(Action.OFFER, {"price": 100, "lock": "with"}, "")] * count)
        decision = decide(name, view)
        assert decision.offer is not None
        assert decision.message
        assert bike.problem(decision.offer) is None
        assert (decision.thought, decision.invalid, decision.tokens) == ("", (), 0)


def test_two_of_them_find_a_deal(shipped: dict[str, Scenario]) -> None:
    for scenario in [scenario for scenario in shipped.values() if scenario.outcomes < 5000]:
        for a in BY_TIME:
            for b in GIVING_IN:
                agents: Any = {"a": STRATEGIES[a], "b": STRATEGIES[b]}
                end = list(negotiate(Negotiation("run", scenario, agents, 1)))[-1]
                assert isinstance(end, Ended)
                assert end.ending is Ending.AGREEMENT, (scenario.scenario_id, a, b)
