"""One negotiation as a stream of events: their order, their end, and going on from turns that were made before."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from manager.cancel import CancelToken
from manager.errors import Cancelled, LoadFailed
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.errors import IllegalTurn
from negotiation.game.agent import Decision, View
from negotiation.game.events import (
    Ended,
    Event,
    Halted,
    PublicTurn,
    Started,
    Turn,
    TurnStarted,
    TurnTaken,
    Waiting,
    Writing,
)
from negotiation.game.measures import measure
from negotiation.game.protocol import Action, Ending
from negotiation.game.session import Negotiation, negotiate, replay
from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import Offer, Scenario

Run = Callable[[Negotiation], list[Event]]
TurnsOf = Callable[[Sequence[Event]], tuple[Turn, ...]]
Script = Callable[..., Any]
OFFER: Offer = {"price": 150, "lock": "with"}
OTHER: Offer = {"price": 120, "lock": "without"}
MAKES = Decision(Action.OFFER, OFFER, "Well?", "I hope so.", raw="raw", tokens=3, prompt_tokens=5)
COUNTERS = Decision(Action.OFFER, OTHER)
ACCEPTS = Decision(Action.ACCEPT, message="Yes.")
LEAVES = Decision(Action.WALK_AWAY)


def pair(a: Any, b: Any) -> Any:
    return {"a": a, "b": b}


# -- events ----------------------------------------------------------------------------------------------------


def test_events_come_in_order(bike: Scenario, run_through: Run, script: Script) -> None:
    agents = pair(script(MAKES, ACCEPTS, name="anne"), script(COUNTERS, name="bob"))
    events = run_through(Negotiation("run-7", bike, agents, seed=3))
    assert [type(event) for event in events] == [Started, *[TurnStarted, TurnTaken] * 3, Ended]
    assert events[0] == Started("run-7", "bike", {"a": "anne", "b": "bob"}, 3, 0)
    assert [event for event in events if isinstance(event, TurnStarted)] == [
        TurnStarted(0, 1, "a", "anne"),
        TurnStarted(1, 1, "b", "bob"),
        TurnStarted(2, 2, "a", "anne"),
    ]


def test_the_events_of_an_agent_are_passed_on(bike: Scenario, run_through: Run) -> None:
    class Chatty:
        name = "chatty"

        def act(self, view: View) -> Generator[Any, None, Decision]:
            yield Waiting(view.seat, "queued", 1)
            yield Writing(view.seat, 0, "piece")
            return LEAVES

    events = run_through(Negotiation("run", bike, pair(Chatty(), Chatty())))
    assert events[2:4] == [Waiting("a", "queued", 1), Writing("a", 0, "piece")]
    assert [type(event) for event in events[4:]] == [TurnTaken, Ended]


def test_a_turn_holds_all_there_is_to_know(bike: Scenario, run_through: Run, turns_of: TurnsOf, script: Script) -> None:
    agents = pair(script(MAKES, LEAVES), script(COUNTERS))
    offered, countered, left = turns_of(run_through(Negotiation("run", bike, agents)))
    assert replace(offered, seconds=0) == Turn(
        0,
        1,
        "a",
        "script",
        Action.OFFER,
        OFFER,
        "Well?",
        "I hope so.",
        0.375,
        0.9,
        raw="raw",
        tokens=3,
        prompt_tokens=5,
    )
    assert (countered.utility_a, countered.utility_b) == (0.4, 0.46)
    assert (left.index, left.round, left.seat) == (2, 2, "a")
    assert (left.offer, left.utility_a, left.utility_b) == (None, None, None)


def test_accepting_is_worth_what_is_accepted(
    bike: Scenario, run_through: Run, turns_of: TurnsOf, script: Script
) -> None:
    accepted = turns_of(run_through(Negotiation("run", bike, pair(script(MAKES), script(ACCEPTS)))))[-1]
    assert (accepted.action, accepted.offer) == (Action.ACCEPT, None)
    assert (accepted.utility_a, accepted.utility_b) == (0.375, 0.9)


def test_a_deal_is_measured(bike: Scenario, run_through: Run, script: Script) -> None:
    events = run_through(Negotiation("run", bike, pair(script(MAKES), script(ACCEPTS))))
    turns = [event.turn for event in events if isinstance(event, TurnTaken)]
    state = replay(bike, ()).apply(Action.OFFER, OFFER).apply(Action.ACCEPT)
    assert events[-1] == Ended(Ending.AGREEMENT, "b", OFFER, measure(state, Analyser(bike), turns))


def test_walking_away_and_the_deadline_end_it_too(bike: Scenario, run_through: Run, script: Script) -> None:
    left = run_through(Negotiation("run", bike, pair(script(MAKES), script(LEAVES))))[-1]
    assert isinstance(left, Ended)
    assert (left.ending, left.by, left.agreement) == (Ending.WALKED_AWAY, "b", None)
    late = run_through(Negotiation("run", bike, pair(script(*[MAKES] * 4), script(*[COUNTERS] * 4))))
    assert isinstance(late[-1], Ended)
    assert (late[-1].ending, late[-1].by, late[-1].agreement) == (Ending.DEADLINE, None, None)
    assert sum(isinstance(event, TurnTaken) for event in late) == 8


# -- what an agent sees ----------------------------------------------------------------------------------------


def test_an_agent_sees_its_own_turns_and_the_public_part_of_the_others(
    bike: Scenario, run_through: Run, turns_of: TurnsOf, script: Script
) -> None:
    anne, bob = script(MAKES, MAKES), script(COUNTERS, ACCEPTS)
    turns = turns_of(run_through(Negotiation("run-7", bike, pair(anne, bob), seed=9)))
    view = bob.views[1]
    assert (view.run_id, view.seat, view.seed, view.state.turn) == ("run-7", "b", 9, 3)
    assert view.own == (turns[1],)
    assert view.public == tuple(PublicTurn(t.round, t.seat, t.action, t.offer, t.message) for t in turns[:3])
    assert {field.name for field in dataclasses.fields(PublicTurn)} == {"round", "seat", "action", "offer", "message"}
    assert view.state.table == OFFER
    assert (view.next_agent, anne.views[0].next_agent) == (anne, bob)
    assert (view.role.name, view.other_name) == ("Buyer", "Seller")
    assert view.utilities.tolist() == Analyser(bike).space.utilities("b").tolist()


# -- stopping and failing --------------------------------------------------------------------------------------


def test_cancelled_before_it_began(bike: Scenario, run_through: Run, script: Script) -> None:
    token = CancelToken()
    token.cancel()
    anne = script(MAKES)
    events = run_through(Negotiation("run", bike, pair(anne, anne), cancel=token))
    assert [type(event) for event in events] == [Started, Halted]
    assert events[-1] == Halted("stopped", "stopped")
    assert anne.views == []


def test_cancelled_in_between_a_turn_that_was_made_stays(
    bike: Scenario, run_through: Run, turns_of: TurnsOf, script: Script
) -> None:
    token = CancelToken()

    class Canceller:
        name = "canceller"

        def act(self, view: View) -> Generator[Any, None, Decision]:
            yield from ()
            view.cancel.cancel()
            return COUNTERS

    events = run_through(Negotiation("run", bike, pair(script(MAKES, MAKES), Canceller()), cancel=token))
    assert len(turns_of(events)) == 2
    assert events[-1] == Halted("stopped", "stopped")


def test_an_agent_that_is_cancelled_takes_no_turn(
    bike: Scenario, run_through: Run, turns_of: TurnsOf, script: Script
) -> None:
    events = run_through(Negotiation("run", bike, pair(script(MAKES), script(Cancelled("stopped while writing")))))
    assert [type(event) for event in events[-3:]] == [TurnTaken, TurnStarted, Halted]
    assert events[-1] == Halted("stopped", "stopped")


def test_an_agent_that_fails_halts_it_and_says_why(bike: Scenario, run_through: Run, script: Script) -> None:
    events = run_through(Negotiation("run", bike, pair(script(MAKES), script(LoadFailed("no such file")))))
    assert events[-1] == Halted("failed", "no such file")


@pytest.mark.parametrize(
    ("move", "says"),
    [
        (ACCEPTS, "there is no offer on the table"),
        (Decision(Action.OFFER), "'offer' needs an offer"),
        (Decision(Action.WALK_AWAY, OFFER), "'walk_away' takes no offer"),
        (Decision(Action.OFFER, {"price": 155, "lock": "with"}), "'price' cannot be '155'"),
    ],
)
def test_an_illegal_move_halts_it(
    bike: Scenario, run_through: Run, turns_of: TurnsOf, script: Script, move: Decision, says: str
) -> None:
    events = run_through(Negotiation("run", bike, pair(script(move), script())))
    assert isinstance(events[-1], Halted)
    assert events[-1].status == "failed"
    assert events[-1].reason.startswith(says)
    assert turns_of(events) == ()


def test_a_fault_in_an_agent_is_not_hidden(bike: Scenario, run_through: Run, script: Script) -> None:
    with pytest.raises(ZeroDivisionError):
        run_through(Negotiation("run", bike, pair(script(ZeroDivisionError()), script())))


def test_closing_it_stops_the_agent(bike: Scenario) -> None:
    stopped = []

    class Endless:
        name = "endless"

        def act(self, view: View) -> Generator[Any, None, Decision]:
            try:
                while True:
                    yield Writing(view.seat, 0, "blah ")
            finally:
                stopped.append(view.seat)

    events: Any = negotiate(Negotiation("run", bike, pair(Endless(), Endless())))
    assert [type(next(events)) for _ in range(4)] == [Started, TurnStarted, Writing, Writing]
    events.close()
    assert stopped == ["a"]


# -- going on --------------------------------------------------------------------------------------------------


def timeless(turns: Sequence[Turn]) -> list[Turn]:
    return [replace(turn, seconds=0.0) for turn in turns]


@pytest.mark.parametrize(
    "names", [("boulware", "conceder"), ("conceder", "boulware"), ("fake", "boulware"), ("x", "y")]
)
@pytest.mark.parametrize("name", ["company_car", "compute_split", "joint_venture"])
def test_a_continued_run_goes_on_as_if_it_had_never_stopped(
    shipped: dict[str, Scenario],
    managers: Callable[..., LLMManager],
    run_through: Run,
    turns_of: TurnsOf,
    names: tuple[str, str],
    name: str,
) -> None:
    catalog = Catalog(managers({"fake": {}, "x": {}, "y": {}}))
    agents = pair(*(catalog.create(AgentConfig(agent)) for agent in names))
    whole = Negotiation("run", shipped[name], agents, seed=4)
    undisturbed = run_through(whole)
    turns = turns_of(undisturbed)
    for made in range(len(turns) + 1):
        events = run_through(replace(whole, turns=turns[:made]))
        assert events[0] == Started("run", name, {"a": names[0], "b": names[1]}, 4, made)
        assert timeless(turns_of(events)) == timeless(turns[made:])
        assert events[-1] == undisturbed[-1]


def test_the_same_seed_gives_the_same_run_and_another_one_another(
    shipped: dict[str, Scenario], managers: Callable[..., LLMManager], run_through: Run, turns_of: TurnsOf
) -> None:
    catalog = Catalog(managers({"fake": {}}))
    agents = pair(catalog.create(AgentConfig("fake")), STRATEGIES["boulware"])
    runs = [
        turns_of(run_through(Negotiation(run_id, shipped["compute_split"], agents, seed)))
        for run_id, seed in (("one", 1), ("two", 1), ("three", 2))
    ]
    assert timeless(runs[0]) == timeless(runs[1])
    assert timeless(runs[0]) != timeless(runs[2])


def test_turns_that_do_not_fit_the_scenario_are_refused(bike: Scenario, shipped: dict[str, Scenario]) -> None:
    turn = Turn(0, 1, "a", "any", Action.OFFER, OFFER)
    assert replay(bike, (turn, turn)).turn == 2
    with pytest.raises(IllegalTurn):
        replay(shipped["company_car"], (turn,))
    with pytest.raises(IllegalTurn, match="over"):
        replay(bike, (Turn(0, 1, "a", "any", Action.WALK_AWAY, None), turn))


def test_events_can_be_written_as_json(bike: Scenario, run_through: Run, script: Script) -> None:
    events = run_through(Negotiation("run", bike, pair(script(MAKES), script(ACCEPTS))))
    for event in events:
        assert json.loads(json.dumps(dataclasses.asdict(event)))
