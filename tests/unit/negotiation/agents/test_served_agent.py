"""Remote models as agents: what holds them to the rules, what that costs, and how runs record it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from manager.backends.remote import pacing
from manager.manager import LLMManager
from negotiation.agents.model import ModelAgent
from negotiation.agents.options import ModelOptions
from negotiation.agents.strategies import STRATEGIES
from negotiation.cli.runs import _server_facts
from negotiation.game.agent import Decision, View
from negotiation.game.events import Halted, Turn, TurnTaken, Waiting, Writing
from negotiation.game.protocol import Action
from negotiation.game.session import Negotiation, negotiate
from negotiation.replies.allowed import rational
from negotiation.runs.codec import turns_from_json, turns_to_json
from negotiation.scenario.model import Offer, Scenario, parse_scenario
from tests.support.remote_dialects import DIALECTS, sends
from tests.support.remote_server import Behaviour, Call, FaultyServer, answers, refuses

OFFER: Offer = {"price": 150, "lock": "with"}
GOOD = json.dumps({"thought": "Hm.", "action": "offer", "offer": OFFER, "message": "How about it?"})
POOR = json.dumps({"thought": "", "action": "offer", "offer": {"price": 100, "lock": "with"}, "message": "Take it."})
MakeAgent = Callable[..., ModelAgent]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    monkeypatch.setattr(pacing, "FIRST_PAUSE", 0.002)
    made = FaultyServer()
    yield made
    made.close()


@pytest.fixture
def served(server: FaultyServer, managers: Callable[..., LLMManager]) -> MakeAgent:
    def make(price: dict[str, float] | None = None, **options: Any) -> ModelAgent:
        entry = {"type": "openai", "model_name": "org/m", "base_url": server.base_url, "price": price}
        manager = managers({"far": entry})
        return ModelAgent(manager, manager.spec("far"), ModelOptions(**options))

    return make


def decide(agent: ModelAgent, view: View) -> Decision:
    acting = agent.act(view)
    while True:
        try:
            next(acting)
        except StopIteration as stopped:
            decision: Decision = stopped.value
            return decision


def test_legal_sends_the_schema_of_what_is_legal_and_tells_the_form_in_full(
    server: FaultyServer, served: MakeAgent, make_view: Callable[..., View], bike: Scenario
) -> None:
    server.behaviours = [answers(GOOD)]
    decision = decide(served(), make_view(bike))
    assert (decision.action, decision.offer, decision.held) == (Action.OFFER, OFFER, "schema")
    schema = server.calls[0].body["response_format"]["json_schema"]["schema"]
    cases = schema["anyOf"]
    assert [case["properties"]["action"] for case in cases] == [{"const": "offer"}, {"enum": ["walk_away"]}]
    assert "exactly the keys price, lock" in server.calls[0].body["messages"][0]["content"]


def test_rational_is_checked_when_the_reply_is_read_and_asked_again(
    server: FaultyServer, served: MakeAgent, make_view: Callable[..., View], bike: Scenario
) -> None:
    server.behaviours = [answers(POOR), answers(GOOD)]
    decision = decide(served(guard="rational"), make_view(bike))
    assert decision.offer == OFFER
    assert [(entry.kind, entry.outcome) for entry in decision.invalid] == [("off_menu", "repaired")]
    assert decision.held == "schema", "no server takes the grammar, and that is not claimed"
    assert "worth less to you than no deal" in server.calls[1].body["messages"][-1]["content"]
    assert server.calls[0].body["response_format"]["type"] == "json_schema"


def test_a_server_without_structured_output_is_read_strictly(
    server: FaultyServer, served: MakeAgent, make_view: Callable[..., View], bike: Scenario
) -> None:
    def plain(call: Call) -> None:
        if "response_format" in call.body:
            call.refuse(400, "response_format is not supported")
        else:
            answers(f"```json\n{GOOD}\n```" if len(server.calls) < 5 else GOOD)(call)

    server.behaviours = [plain]
    decision = decide(served(), make_view(bike))
    assert (decision.offer, decision.held) == (OFFER, "")
    assert [entry.kind for entry in decision.invalid] == ["not_json"]


def test_all_tokens_of_a_turn_are_paid_for(
    server: FaultyServer, served: MakeAgent, make_view: Callable[..., View], bike: Scenario
) -> None:
    server.behaviours = [answers("oops", (1000, 100)), answers(GOOD, (1200, 150))]
    decision = decide(served({"input": 0.5, "output": 2.0}), make_view(bike))
    assert (decision.prompt_tokens, decision.tokens) == (2200, 250)
    assert decision.cost == pytest.approx(0.0016)
    assert not decision.estimated
    server.behaviours = [answers(GOOD, None)]
    assert decide(served({"output": 1.0}), make_view(bike)).estimated
    assert decide(served(), make_view(bike)).cost is None


def test_a_run_keeps_what_it_cost_and_how_it_was_held_but_no_key(
    server: FaultyServer, managers: Callable[..., LLMManager], bike: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "sk-Very-Secret")
    server.behaviours = [answers(GOOD), refuses(500, "Bearer sk-Very-Secret")]
    entry = {"type": "openai", "model_name": "org/m", "base_url": server.base_url, "api_key": "THE_KEY"}
    manager = managers({"far": {**entry, "price": {"input": 1}, "retries": 0}})
    far = ModelAgent(manager, manager.spec("far"))
    agents: Any = {"a": far, "b": STRATEGIES["hardliner"]}
    events = list(negotiate(Negotiation("run", bike, agents)))
    turn = next(event.turn for event in events if isinstance(event, TurnTaken))
    assert (turn.held, turn.cost, turn.estimated) == ("schema", 7e-06, False)
    assert turns_from_json("run", json.loads(json.dumps(turns_to_json([turn])))) == (turn,)
    assert _server_facts(turn) == {"prompt_tokens": 7, "cost": 7e-06, "held": "schema"}
    assert isinstance(events[-1], Halted)
    assert events[-1].reason == "the server of 'org/m' failed (HTTP 500): Bearer [key]"
    assert "Very-Secret" not in repr(events) + repr(manager.snapshot()) + repr(manager.list_models())


def test_turns_stored_before_are_read_as_ever() -> None:
    (old,) = turns_to_json([Turn(0, 1, "a", "m", Action.WALK_AWAY, None)])
    for key in ("cost", "estimated", "held"):
        del old[key]
    assert turns_from_json("run", [old])[0].held is None


# -- answers from the field ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_turn_in_any_dialect_is_played(
    server: FaultyServer, served: MakeAgent, make_view: Callable[..., View], bike: Scenario, dialect: str
) -> None:
    server.behaviours = [sends(dialect, GOOD)]
    decision = decide(served(), make_view(bike))
    assert (decision.offer, decision.invalid, len(server.calls)) == (OFFER, (), 1)


def only_reasoning(call: Call) -> None:
    call.start().event({"choices": [{"delta": {"reasoning_content": "Hm. " * 20}}]})
    call.end("length", (7, call.body["max_tokens"]))


FAULTS: dict[str, tuple[Behaviour, str, str]] = {
    "only_reasoning_until_the_limit": (only_reasoning, "empty", "All 1200 tokens went into thinking"),
    "cut_off_by_the_server": (answers(GOOD[:60], (9, 16), "length"), "not_json", "after 16 tokens by the server's"),
    "content_filter": (lambda call: call.start().end("content_filter"), "empty", "content filter held back the reply"),
    "prose_without_schema_is_cut_off": (answers("I would say " * 900), "not_json", "did not begin with a JSON object"),
    "code_fence": (answers(f"```json\n{GOOD}\n```"), "not_json", "without a code fence"),
    "a_long_code_fence": (answers(f"```json\n{GOOD}{' ' * 300}\n```"), "not_json", "began with a code fence"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_explained_and_asked_again_once(
    server: FaultyServer, served: MakeAgent, make_view: Callable[..., View], bike: Scenario, kind: str
) -> None:
    behaviour, recorded, words = FAULTS[kind]
    server.behaviours = [behaviour, answers(GOOD)]
    view = make_view(bike, [(Action.OFFER, OFFER, ""), (Action.OFFER, OFFER, ""), (Action.OFFER, OFFER, "")])
    decision = decide(served(), view)
    (entry,) = decision.invalid
    assert (decision.offer, entry.kind, entry.outcome) == (OFFER, recorded, "repaired")
    assert words in entry.detail
    first, second = (call.body for call in server.calls)
    assert second["messages"][: len(first["messages"])] == first["messages"], "the conversation is not shortened"
    assert all(message["content"].strip() for message in second["messages"])
    assert words in second["messages"][-1]["content"]
    if recorded == "empty":
        assert second["messages"][-2] == {"role": "assistant", "content": "(empty)"}
    if kind == "only_reasoning_until_the_limit":
        assert second["max_tokens"] > first["max_tokens"], "the retry has more room"


def test_a_full_context_is_shortened(
    server: FaultyServer, served: MakeAgent, make_view: Callable[..., View], bike: Scenario
) -> None:
    server.behaviours = [answers(GOOD[:60], (2000, 48), "length"), answers(GOOD)]
    assert decide(served(), make_view(bike)).invalid == ()
    first, second = (call.body["messages"] for call in server.calls)
    assert len(second[0]["content"]) < len(first[0]["content"])


def test_503_loading_model_is_shown_as_loading(
    server: FaultyServer,
    served: MakeAgent,
    make_view: Callable[..., View],
    bike: Scenario,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("manager.backends.openai.LOADING_PAUSE", 0.05)
    monkeypatch.setattr("negotiation.agents.model.POLL_SECONDS", 0.01)
    server.behaviours = [refuses(503, "Loading model")] * 5 + [answers(GOOD)]
    events = list(served().act(make_view(bike)))
    waits = [event.stage for event in events if isinstance(event, Waiting)]
    assert waits[-1] == "loading"
    assert isinstance(events[-1], Writing)


def test_max_new_tokens_takes_effect_on_a_server(
    server: FaultyServer, managers: Callable[..., LLMManager], make_view: Callable[..., View], bike: Scenario
) -> None:
    server.behaviours = [answers(GOOD)]
    entry = {"type": "openai", "model_name": "org/m", "base_url": server.base_url}
    manager = managers({"far": {**entry, "generation_config": {"max_new_tokens": 60}}})
    decide(ModelAgent(manager, manager.spec("far")), make_view(bike))
    assert server.calls[0].body["max_tokens"] == 60


def test_rational_one_numeric_issue(
    server: FaultyServer, served: MakeAgent, make_view: Callable[..., View], bike_data: dict[str, Any]
) -> None:
    """The schema carries what can be said: with one issue, exactly the offers worth at least no deal."""
    del bike_data["issues"]["lock"]
    for role in bike_data["roles"].values():
        role["weights"], role["reservation"] = {"price": 1.0}, 0.3
        del role["values"]["lock"]
    view = make_view(parse_scenario("bike", bike_data, "bike.yaml"))
    server.behaviours = [answers(json.dumps({"thought": "", "action": "walk_away", "offer": None, "message": "No."}))]
    decide(served(guard="rational"), view)
    offers, _ = server.calls[0].body["response_format"]["json_schema"]["schema"]["anyOf"]
    allowed = rational(view.state).offers
    assert allowed is not None
    prices = [price for price in view.scenario.issues["price"].choices if allowed.contains({"price": price})]
    assert 0 < len(prices) < 11
    assert offers["properties"]["offer"]["properties"]["price"] == {
        "type": "integer", "minimum": prices[0], "maximum": prices[-1], "multipleOf": 10,
    }  # fmt: skip


def test_narrated_varies(
    server: FaultyServer, served: MakeAgent, make_view: Callable[..., View], bike: Scenario
) -> None:
    """A model that writes a single letter, or what it said before, is replaced by the strategy's own words."""

    def says(call: Call) -> None:
        schema = call.body["response_format"]["json_schema"]["schema"]["properties"]
        assert schema["message"]["minLength"] > 1
        offer, action = schema["offer"]["const"], schema["action"]["const"]
        answers(json.dumps({"thought": "", "action": action, "offer": offer, "message": message}))(call)

    server.behaviours = [says]
    agents: Any = {"a": served(narrates="boulware"), "b": STRATEGIES["hardliner"]}
    spoken: dict[str, list[str]] = {}
    for message in ("a", "What do you think of this?"):
        events = list(negotiate(Negotiation("run", bike, agents)))
        turns = [event.turn for event in events if isinstance(event, TurnTaken)]
        spoken[message] = [turn.message for turn in turns if turn.seat == "a"]
        assert all(not turn.invalid for turn in turns)
    assert "a" not in spoken["a"]
    assert spoken["What do you think of this?"].count("What do you think of this?") == 1
