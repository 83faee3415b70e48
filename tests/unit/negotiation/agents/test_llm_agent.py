"""Models as agents: real manager, fake weights. Replies are read strictly, the ledger is honest, leases come back."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from manager.backends.fake import FakeModel
from manager.cancel import CancelToken
from manager.errors import Cancelled, ContextTooLong, LoadFailed, QueueFull, UnknownModel, WaitTimeout
from manager.generation.request import Completion, GenerationRequest
from manager.generation.stream import TokenStream
from manager.manager import LLMManager
from negotiation.agents import model as llm
from negotiation.agents import prompts
from negotiation.agents.model import ModelAgent
from negotiation.agents.options import Guard, ModelOptions
from negotiation.agents.strategies import STRATEGIES
from negotiation.game.agent import Decision, View
from negotiation.game.events import Ended, Event, InvalidReply, Rejected, Turn, TurnTaken, Waiting, Writing
from negotiation.game.protocol import Action
from negotiation.game.session import Negotiation, negotiate
from negotiation.scenario.model import Offer, Scenario, parse_scenario

Managers = Callable[..., LLMManager]
Views = Callable[..., View]
OFFER: Offer = {"price": 150, "lock": "with"}


def reply(**changes: Any) -> str:
    said = {"thought": "Hm.", "action": "offer", "offer": OFFER, "message": "How about it?"}
    return json.dumps({**said, **changes})


ACCEPTS = reply(action="accept", offer=None, message="Deal.")


def agent(manager: LLMManager, model_id: str = "model", **options: Any) -> ModelAgent:
    return ModelAgent(manager, manager.spec(model_id), ModelOptions(**options))


def run(acting: Generator[Any, None, Decision]) -> tuple[list[Any], Decision]:
    """What an agent reports, and what it decides."""
    events = []
    while True:
        try:
            events.append(next(acting))
        except StopIteration as stopped:
            return events, stopped.value


def leases(manager: LLMManager) -> int:
    return sum(row.leases for row in manager.snapshot().weights)


def advance(acting: Iterator[Any], kind: type) -> Any:
    """The next report of a kind."""
    while not isinstance(event := next(acting), kind):
        pass
    return event


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look every hundredth of a second whether something is new."""
    monkeypatch.setattr(llm, "POLL_SECONDS", 0.01)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[GenerationRequest]:
    """What fake models are asked, in order."""
    asked: list[GenerationRequest] = []
    write = FakeModel.generate

    def noting(self: FakeModel, request: GenerationRequest, stream: Any) -> None:
        asked.append(request)
        write(self, request, stream)

    monkeypatch.setattr(FakeModel, "generate", noting)
    return asked


# -- replies that can be used ----------------------------------------------------------------------------------


def test_a_valid_reply_becomes_a_decision(managers: Managers, bike: Scenario, make_view: Views) -> None:
    manager, view = managers({"model": {"replies": [reply()]}}), make_view(bike)
    events, decision = run(agent(manager).act(view))
    assert (decision.action, decision.offer) == (Action.OFFER, OFFER)
    assert (decision.message, decision.thought) == ("How about it?", "Hm.")
    assert (decision.raw, decision.invalid) == (reply(), ())
    assert [message["role"] for message in decision.prompt] == ["system", "user"]
    assert decision.tokens > 10
    assert decision.prompt_tokens > 50
    assert "".join(event.piece for event in events if isinstance(event, Writing)) == reply()
    assert {(event.seat, event.attempt) for event in events if isinstance(event, Writing)} == {("a", 0)}
    assert leases(manager) == 0


def test_accepting_and_leaving_are_read(managers: Managers, bike: Scenario, make_view: Views) -> None:
    view = make_view(bike, [(Action.OFFER, OFFER, "")])
    leaving = reply(action="walk_away", offer=None)
    manager = managers({"yes": {"replies": [ACCEPTS]}, "no": {"replies": [leaving]}})
    assert run(agent(manager, "yes").act(view))[1].action is Action.ACCEPT
    assert run(agent(manager, "no").act(view))[1].action is Action.WALK_AWAY


def test_the_request_of_a_turn(
    managers: Managers, bike: Scenario, make_view: Views, requests: list[GenerationRequest]
) -> None:
    settings = {"temperature": 0.25}
    manager = managers({"model": {"replies": [reply()], "generation_config": settings}})
    view = make_view(bike, [(Action.OFFER, OFFER, "")] * 3, seed=5, run_id="run-7")
    run(agent(manager).act(view))
    (request,) = requests
    assert request.seed == view.turn_seed(0)
    assert request.conversation == "run-7 b"
    assert request.constrained
    assert request.grammar is not None
    assert request.grammar.schema is not None
    assert "accept" in json.dumps(request.grammar.schema)
    assert request.config.temperature == 0.25
    assert request.config.max_new_tokens == llm.REPLY_TOKENS
    assert [message["content"] for message in request.messages[:2]] == ["told 1", "reply 1"]
    assert [message["role"] for message in request.messages] == ["user", "assistant", "user"]


def test_max_new_tokens_takes_effect(
    managers: Managers, bike: Scenario, make_view: Views, requests: list[GenerationRequest]
) -> None:
    """The documented key limits replies, on top of the characters of thinking."""
    entry = {"replies": [reply()], "generation_config": {"max_new_tokens": 260}}
    manager = managers({"model": entry})
    run(agent(manager, thinking=40).act(make_view(bike)))
    assert requests[0].config.max_new_tokens == 300


def test_without_an_offer_the_grammar_has_no_accepting(
    managers: Managers, bike: Scenario, make_view: Views, requests: list[GenerationRequest]
) -> None:
    manager = managers({"model": {"replies": [reply()]}})
    run(agent(manager).act(make_view(bike)))
    assert requests[0].grammar is not None
    assert '"accept"' not in json.dumps(requests[0].grammar.schema)


# -- replies that cannot ---------------------------------------------------------------------------------------

BAD = {
    "empty": " ",
    "not_json": "I cannot accept that.",
    "wrong_shape": reply(offer=None),
    "off_menu": reply(offer={**OFFER, "price": 155}),
    "illegal_action": ACCEPTS,
}


@pytest.mark.parametrize("kind", BAD)
def test_an_invalid_reply_is_repaired_and_stays_in_the_ledger(
    managers: Managers, bike: Scenario, make_view: Views, requests: list[GenerationRequest], kind: str
) -> None:
    manager, view = managers({"model": {"replies": [BAD[kind], reply()]}}), make_view(bike)
    events, decision = run(agent(manager).act(view))
    assert (decision.action, decision.offer, decision.raw) == (Action.OFFER, OFFER, reply())
    (entry,) = decision.invalid
    assert (entry.kind, entry.raw, entry.outcome) == (kind, BAD[kind], "repaired")
    (rejected,) = [event for event in events if isinstance(event, Rejected)]
    assert rejected == Rejected("a", 0, replace(entry, outcome="pending"))
    assert {event.attempt for event in events if isinstance(event, Writing)} == {0, 1}
    first, second = requests
    assert second.messages[: len(first.messages)] == first.messages
    assert second.messages[-2:] == (
        {"role": "assistant", "content": "(empty)" if kind == "empty" else BAD[kind]},
        {"role": "user", "content": f"{entry.detail} Reply again, with exactly one JSON object."},
    )
    assert (first.seed, second.seed) == (view.turn_seed(0), view.turn_seed(1))
    assert decision.prompt == first.messages
    assert leases(manager) == 0


def test_a_model_that_never_gives_a_usable_reply_forfeits(managers: Managers, bike: Scenario, make_view: Views) -> None:
    manager = managers({"model": {"replies": ["accept", ACCEPTS, reply(offer={"price": 150})]}})
    events, decision = run(agent(manager).act(make_view(bike)))
    assert (decision.action, decision.offer, decision.message) == (Action.WALK_AWAY, None, "")
    assert [entry.kind for entry in decision.invalid] == ["not_json", "illegal_action", "wrong_shape"]
    assert {entry.outcome for entry in decision.invalid} == {"gave_up"}
    assert decision.raw == decision.invalid[-1].raw
    rejected = [event for event in events if isinstance(event, Rejected)]
    assert [event.attempt for event in rejected] == [0, 1, 2]
    assert [event.invalid.outcome for event in rejected] == ["pending", "pending", "gave_up"]
    assert leases(manager) == 0


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_it_is_asked_again_as_often_as_it_is_set(
    managers: Managers, bike: Scenario, make_view: Views, requests: list[GenerationRequest], retries: int
) -> None:
    manager = managers({"model": {"replies": ["no"]}})
    _, decision = run(agent(manager, retries=retries).act(make_view(bike)))
    assert len(requests) == len(decision.invalid) == retries + 1


def test_tokens_of_all_attempts_are_counted(managers: Managers, bike: Scenario, make_view: Views) -> None:
    manager = managers({"once": {"replies": [reply()]}, "twice": {"replies": ["no", reply()]}})
    _, once = run(agent(manager, "once").act(make_view(bike)))
    _, twice = run(agent(manager, "twice").act(make_view(bike)))
    assert twice.tokens == once.tokens + 1
    assert twice.prompt_tokens > 2 * once.prompt_tokens


def test_a_reply_without_an_end_is_cut_and_given_up(managers: Managers, bike: Scenario, make_view: Views) -> None:
    manager = managers({"model": {"replies": [reply(message="blah " * 5000)]}})
    _, decision = run(agent(manager, retries=0).act(make_view(bike)))
    assert decision.tokens == llm.REPLY_TOKENS
    assert decision.invalid[0].kind == "not_json"
    assert decision.action is Action.WALK_AWAY


def test_a_reply_is_never_guessed_into_an_acceptance(managers: Managers, bike: Scenario, make_view: Views) -> None:
    replies = ["I accept.", reply(thought=ACCEPTS, action="accepted"), f"```json\n{ACCEPTS}\n```"]
    manager = managers({"model": {"replies": replies}})
    _, decision = run(agent(manager).act(make_view(bike, [(Action.OFFER, OFFER, "")])))
    assert decision.action is Action.WALK_AWAY


def test_a_blind_retry_does_not_explain_the_fault(
    managers: Managers, bike: Scenario, make_view: Views, requests: list[GenerationRequest]
) -> None:
    manager, view = managers({"model": {"replies": ["no"]}}), make_view(bike)
    events, _ = run(agent(manager, retry="blind").act(view))
    assert [request.messages for request in requests] == [requests[0].messages] * 3
    assert [request.seed for request in requests] == [view.turn_seed(attempt) for attempt in range(3)]
    assert {event.attempt for event in events if isinstance(event, Writing)} == {0, 1, 2}


# -- guard rails -----------------------------------------------------------------------------------------------

DEAR = (Action.OFFER, {"price": 200, "lock": "without"}, "")
"""Worth nothing to b."""


def test_free_means_that_nothing_is_held(
    managers: Managers, bike: Scenario, make_view: Views, requests: list[GenerationRequest]
) -> None:
    manager = managers({"model": {"replies": [reply()]}})
    for guard in ("free", "legal", "rational"):
        run(agent(manager, guard=guard).act(make_view(bike)))
    assert [request.constrained for request in requests] == [False, True, True]
    assert [request.grammar is not None and request.grammar.lark is not None for request in requests] == [
        False,
        False,
        True,
    ]


def test_the_form_is_described_in_full_without_a_grammar(bike: Scenario, make_view: Views) -> None:
    guards: tuple[Guard, Guard] = ("free", "legal")
    free, held = (prompts.opening(make_view(bike), ModelOptions(guard=guard)) for guard in guards)
    assert "exactly one JSON object and nothing around it" in free
    assert "exactly the keys price, lock" in free
    assert "exactly one JSON object" not in held


def test_rational_leaves_out_an_acceptance_below_the_reservation_value(
    managers: Managers, bike: Scenario, make_view: Views, requests: list[GenerationRequest]
) -> None:
    """A server that does not keep to the grammar is read just as strictly."""
    manager = managers({"model": {"replies": [ACCEPTS, reply(offer=DEAR[1]), reply()]}})
    _, decision = run(agent(manager, guard="rational").act(make_view(bike, [DEAR])))
    assert (decision.action, decision.offer) == (Action.OFFER, OFFER)
    assert [(entry.kind, entry.outcome) for entry in decision.invalid] == [
        ("illegal_action", "repaired"),
        ("off_menu", "repaired"),
    ]
    assert requests[1].messages[-1]["content"].startswith("Their offer is worth less to you than no deal")
    _, legal = run(agent(manager).act(make_view(bike, [DEAR])))
    assert legal.action is Action.ACCEPT


def test_fakes_without_replies_keep_to_the_guard_rail(managers: Managers, shipped: dict[str, Scenario]) -> None:
    manager = managers({"left": {}, "right": {}})
    agents: Any = {"a": agent(manager, "left", guard="rational"), "b": agent(manager, "right", guard="rational")}
    for scenario in shipped.values():
        for seed in range(5):
            end = list(negotiate(Negotiation("run", scenario, agents, seed)))[-1]
            assert isinstance(end, Ended)
            assert end.measures.rational_a
            assert end.measures.rational_b


# -- a narrated strategy ---------------------------------------------------------------------------------------


def test_the_strategy_decides_and_the_model_speaks(
    managers: Managers, bike: Scenario, make_view: Views, requests: list[GenerationRequest]
) -> None:
    view = make_view(bike, [(Action.OFFER, OFFER, "")])
    move = STRATEGIES["linear"].decide(view)
    assert move.offer is not None
    said = reply(thought="", offer=move.offer, message=f"I can pay {move.offer['price']} for it.")
    manager = managers({"model": {"replies": [said]}})
    _, decision = run(agent(manager, narrates="linear").act(view))
    assert (decision.action, decision.offer) == (move.action, move.offer)
    assert decision.message == f"I can pay {move.offer['price']} for it."
    assert (decision.raw, decision.invalid) == (said, ())
    told = requests[0].messages[-1]["content"]
    assert f"You have decided to offer {prompts.plain(bike, move.offer)}." in told
    assert "Do you accept" not in told


@pytest.mark.parametrize("guard", ["free", "legal"])
def test_a_model_that_contradicts_its_move_is_corrected_and_then_not_heard(
    managers: Managers, bike: Scenario, make_view: Views, guard: str
) -> None:
    view = make_view(bike)
    move = STRATEGIES["boulware"].decide(view)
    other = reply(offer={**(move.offer or {}), "price": 100})
    number = reply(offer=move.offer, message="How about 100?")
    manager = managers({"model": {"replies": ["What?", other, number]}})
    _, decision = run(agent(manager, narrates="boulware", guard=guard).act(view))
    assert (decision.action, decision.offer, decision.message) == (move.action, move.offer, move.message)
    assert [entry.kind for entry in decision.invalid] == ["not_json", "illegal_action", "off_menu"]
    assert {entry.outcome for entry in decision.invalid} == {"gave_up"}
    assert json.loads(decision.raw) == {
        "thought": "",
        "action": "offer",
        "offer": move.offer,
        "message": move.message,
    }


def test_narrated_strategies_play_as_they_do_alone(managers: Managers, shipped: dict[str, Scenario]) -> None:
    manager = managers({"speaker": {}})
    for scenario in (shipped[name] for name in ("company_car", "joint_venture", "compute_split")):
        for name in STRATEGIES:
            alone: Any = {"a": STRATEGIES[name], "b": STRATEGIES["linear"]}
            narrated: Any = {"a": agent(manager, "speaker", narrates=name), "b": STRATEGIES["linear"]}
            first, second = (moves(Negotiation("run", scenario, agents, 3)) for agents in (alone, narrated))
            assert first == second


def moves(negotiation: Negotiation) -> list[tuple[Action, Offer | None]]:
    turns = [event.turn for event in negotiate(negotiation) if isinstance(event, TurnTaken)]
    return [(turn.action, turn.offer) for turn in turns]


# -- thinking first --------------------------------------------------------------------------------------------


def test_thinking_before_the_reply_is_private_and_not_repeated_in_prompts(
    managers: Managers, bike: Scenario, make_view: Views, requests: list[GenerationRequest]
) -> None:
    raw = f"<think>I accept nothing.\n</think>\n\n{reply()}"
    manager, view = managers({"model": {"replies": [raw]}}), make_view(bike)
    _, decision = run(agent(manager, thinking=500).act(view))
    assert (decision.action, decision.thought, decision.raw) == (Action.OFFER, "I accept nothing.\nHm.", raw)
    assert requests[0].config.max_new_tokens == llm.REPLY_TOKENS + 500
    assert requests[0].grammar is not None
    assert "think" in (requests[0].grammar.lark or "")
    turn = Turn(0, 1, "a", "model", Action.OFFER, OFFER, prompt=decision.prompt, raw=raw)
    later = replace(make_view(bike, [(Action.OFFER, OFFER, "")] * 2), own=(turn,))
    assert prompts.conversation(later)[-1] == {"role": "assistant", "content": f"\n\n{reply()}"}


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (f"<think>No end {ACCEPTS}", "empty"),
        (f"{ACCEPTS}</think>", "not_json"),
        ("<think>accept</think>", "empty"),
        (f"<think></think>{ACCEPTS}<think></think>", "not_json"),
        (f"<think>a</think>b</think>{ACCEPTS}", "not_json"),
    ],
)
def test_thinking_is_never_taken_for_the_reply(
    managers: Managers, bike: Scenario, make_view: Views, raw: str, kind: str
) -> None:
    manager, view = managers({"model": {"replies": [raw]}}), make_view(bike, [(Action.OFFER, OFFER, "")])
    _, decision = run(agent(manager, thinking=500, retries=0).act(view))
    assert (decision.action, decision.invalid[0].kind) == (Action.WALK_AWAY, kind)
    _, strict = run(agent(manager, retries=0).act(view))
    assert strict.invalid[0].kind == "not_json"


def test_some_templates_begin_the_thinking_themselves(managers: Managers, bike: Scenario, make_view: Views) -> None:
    manager = managers({"model": {"replies": [f"Hm.</think>{reply(thought='')}"]}})
    _, decision = run(agent(manager, thinking=500).act(make_view(bike)))
    assert (decision.action, decision.thought) == (Action.OFFER, "Hm.")


# -- contexts that are full ------------------------------------------------------------------------------------


class Narrow:
    """Makes fakes of a small context, counted in characters; keeps what they were asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, context: int) -> None:
        self.asked: list[GenerationRequest] = []
        write = FakeModel._reply

        def narrow(model: FakeModel, request: GenerationRequest) -> str:
            if sum(len(message["content"]) for message in request.messages) > context:
                raise ContextTooLong(f"the model's context has {context} characters")
            self.asked.append(request)
            return write(model, request)

        monkeypatch.setattr(FakeModel, "_reply", narrow)


def test_a_full_context_is_shortened_from_the_oldest_turns(
    managers: Managers, bike_data: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = parse_scenario("long", {**bike_data, "rounds": 20}, "long.yaml")
    narrow = Narrow(monkeypatch, 2900)
    agents: Any = {"a": agent(managers({"model": {"replies": [reply()]}})), "b": STRATEGIES["hardliner"]}
    events: list[Event] = list(negotiate(Negotiation("run", scenario, agents)))
    assert isinstance(events[-1], Ended)
    assert not any(isinstance(event, Rejected) for event in events)
    conversations = [request.messages for request in narrow.asked]
    assert len(conversations) == 20
    opening = conversations[0][0]
    grown = cut = 0
    for before, after in itertools.pairwise(conversations):
        assert after[0] == opening
        assert [message["role"] for message in after[1:]] == ["user", *["assistant", "user"] * (len(after) // 2 - 1)]
        if after[: len(before)] == before:
            grown += 1
            continue
        cut += 1
        assert after[1]["content"].startswith(prompts.OMITTED)
        assert after[-2]["content"] == reply()
        assert after[2:-2] == before[len(before) - len(after) + 4 :]  # what is left is the newest
    assert cut >= 2
    assert grown > 2 * cut
    turn = next(event.turn for event in events if isinstance(event, TurnTaken) and event.turn.prompt[1:])
    assert turn.prompt[0] == opening


def test_a_conversation_of_one_turn_drops_its_story_before_it_fails(
    managers: Managers, bike: Scenario, make_view: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = make_view(bike)
    full = sum(len(message["content"]) for message in prompts.new_messages(view))
    narrow = Narrow(monkeypatch, full - 1)
    manager = managers({"model": {"replies": [reply()]}})
    _, decision = run(agent(manager).act(view))
    assert decision.action is Action.OFFER
    assert bike.story not in narrow.asked[0].messages[0]["content"]
    assert "Your goal" in narrow.asked[0].messages[0]["content"]
    Narrow(monkeypatch, 100)
    with pytest.raises(ContextTooLong):
        run(agent(manager).act(view))
    assert leases(manager) == 0


def test_a_reply_that_the_context_cuts_off_is_written_again_with_more_room(
    managers: Managers, bike: Scenario, make_view: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = FakeModel.generate

    def cutting(self: FakeModel, request: GenerationRequest, stream: Any) -> None:
        room = 5 if any(bike.story in message["content"] for message in request.messages) else 500
        write(self, replace(request, config=request.config.model_copy(update={"max_new_tokens": room})), stream)

    monkeypatch.setattr(FakeModel, "generate", cutting)
    manager = managers({"model": {"replies": [reply()]}})
    events, decision = run(agent(manager).act(make_view(bike)))
    assert (decision.action, decision.invalid) == (Action.OFFER, ())
    assert not any(isinstance(event, Rejected) for event in events)
    assert {event.attempt for event in events if isinstance(event, Writing)} == {0, 1}


def test_corrections_make_way_last(
    managers: Managers, bike: Scenario, make_view: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = make_view(bike)
    full = sum(len(message["content"]) for message in prompts.new_messages(view))
    brief = len(prompts.opening(view)) - len(prompts.opening(view, brief=True))
    narrow = Narrow(monkeypatch, full - brief + 10)
    manager = managers({"model": {"replies": ["x" * 300, reply()]}})
    _, decision = run(agent(manager, retries=3).act(view))
    assert len(decision.invalid) == 4
    assert [len(request.messages) for request in narrow.asked] == [2] * 4


# -- waiting ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_loading_is_reported_with_its_progress(managers: Managers, bike: Scenario, make_view: Views) -> None:
    about = {"replies": [reply()], "load_seconds": 0.3, "size_bytes": 1000}
    manager = managers({"model": about})
    events, _ = run(agent(manager).act(make_view(bike)))
    waits = [event for event in events if isinstance(event, Waiting)]
    loading = [wait for wait in waits if wait.stage == "loading" and wait.total]
    assert {wait.total for wait in loading} == {1000}
    assert [wait.done for wait in loading] == sorted(wait.done for wait in loading)
    assert all(before != after for before, after in itertools.pairwise(waits))
    assert {wait.seat for wait in waits} == {"a"}
    assert not any(isinstance(event, Waiting) for event in events[events.index(advance(iter(events), Writing)) :])


@pytest.mark.usefixtures("quick")
def test_queueing_is_reported_with_the_place(managers: Managers, bike: Scenario, make_view: Views) -> None:
    manager = managers({"model": {"replies": [reply()]}, "other": {}}, max_loaded_models=1)
    with manager.lease("other", owner="somebody"):
        acting = agent(manager).act(make_view(bike))
        while (wait := advance(acting, Waiting)).stage != "queued":
            assert wait.stage == "preparing"
        assert (wait.position, wait.seat) == (1, "a")
    _, decision = run(acting)
    assert decision.action is Action.OFFER
    assert leases(manager) == 0


def test_a_resident_model_needs_no_waiting(managers: Managers, bike: Scenario, make_view: Views) -> None:
    manager = managers({"model": {"replies": [reply()]}})
    manager.load_model("model")
    events, _ = run(agent(manager).act(make_view(bike)))
    assert {type(event) for event in events} == {Writing}


# -- asking for the lease --------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """What the manager is asked for leases."""
    calls: list[tuple[Any, dict[str, Any]]] = []
    request_lease = LLMManager.request_lease

    def noting(self: LLMManager, model: Any, **options: Any) -> Any:
        calls.append((model, options))
        return request_lease(self, model, **options)

    monkeypatch.setattr(LLMManager, "request_lease", noting)
    return calls


def test_the_run_asks_and_announces_who_speaks_next(
    managers: Managers, bike: Scenario, make_view: Views, asked: list[Any]
) -> None:
    manager = managers({"model": {"replies": [reply()]}, "other": {}})
    view = replace(make_view(bike, run_id="run-7"), next_agent=agent(manager, "other"))
    run(agent(manager).act(view))
    other = manager.spec("other")
    assert asked == [(manager.spec("model"), {"owner": "run-7", "next_model": other, "credential": None})]


def test_a_script_needs_no_model(managers: Managers, bike: Scenario, make_view: Views, asked: list[Any]) -> None:
    manager = managers({"model": {"replies": [reply()]}})
    run(agent(manager).act(replace(make_view(bike), next_agent=STRATEGIES["boulware"])))
    assert asked == [(manager.spec("model"), {"owner": "run", "next_model": None, "credential": None})]


def test_a_run_goes_on_when_its_model_is_no_longer_registered(
    managers: Managers, bike: Scenario, make_view: Views
) -> None:
    elsewhere = managers({"model": {"replies": [reply()]}})
    manager = managers({})
    with pytest.raises(UnknownModel):
        manager.spec("model")
    _, decision = run(ModelAgent(manager, elsewhere.spec("model")).act(make_view(bike)))
    assert decision.action is Action.OFFER


def test_two_models_share_one_place(managers: Managers, bike: Scenario) -> None:
    """A lease is held for one turn only, so two agents on two models go on even if one fits at a time."""
    manager = managers({"left": {"replies": [reply()]}, "right": {"replies": [reply()]}}, max_loaded_models=1)
    agents: Any = {"a": agent(manager, "left"), "b": agent(manager, "right")}
    events: list[Event] = list(negotiate(Negotiation("run", bike, agents)))
    assert isinstance(events[-1], Ended)
    assert leases(manager) == 0


def test_fakes_without_replies_always_move_legally(managers: Managers, shipped: dict[str, Scenario]) -> None:
    manager = managers({"left": {}, "right": {}})
    agents: Any = {"a": agent(manager, "left"), "b": agent(manager, "right")}
    for scenario in shipped.values():
        for seed in range(5):
            events = list(negotiate(Negotiation("run", scenario, agents, seed)))
            assert isinstance(events[-1], Ended)
            assert not any(isinstance(event, Rejected) for event in events)


# -- failures and giving up ------------------------------------------------------------------------------------


def test_a_model_that_does_not_load_says_why(managers: Managers, bike: Scenario, make_view: Views) -> None:
    manager = managers({"model": {"fail_loads": 1}})
    with pytest.raises(LoadFailed, match=r"fails \(key 'fail_loads'\)"):
        run(agent(manager).act(make_view(bike)))
    assert manager.snapshot().queue == ()


def test_waiting_ends_when_the_manager_says_so(managers: Managers, bike: Scenario, make_view: Views) -> None:
    manager = managers({"model": {}, "other": {}}, max_loaded_models=1, max_wait=0.05)
    with manager.lease("other"), pytest.raises(WaitTimeout):
        run(agent(manager).act(make_view(bike)))
    assert manager.snapshot().queue == ()


def test_a_full_queue_refuses(managers: Managers, bike: Scenario, make_view: Views) -> None:
    manager = managers({"model": {}, "other": {}, "third": {}}, max_loaded_models=1, max_queue=1)
    with manager.lease("other"):
        waiting = manager.request_lease("third")
        with pytest.raises(QueueFull):
            run(agent(manager).act(make_view(bike)))
        waiting.cancel()


def test_cancelled_before_it_began(managers: Managers, bike: Scenario, make_view: Views) -> None:
    manager, token = managers({"model": {"replies": [reply()]}}), CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        run(agent(manager).act(replace(make_view(bike), cancel=token)))
    assert (leases(manager), manager.snapshot().queue) == (0, ())


@pytest.mark.usefixtures("quick")
def test_cancelled_while_waiting(managers: Managers, bike: Scenario, make_view: Views) -> None:
    manager, token = managers({"model": {}, "other": {}}, max_loaded_models=1), CancelToken()
    with manager.lease("other"):
        acting = agent(manager).act(replace(make_view(bike), cancel=token))
        advance(acting, Waiting)
        token.cancel()
        with pytest.raises(Cancelled):
            run(acting)
        assert manager.snapshot().queue == ()
    assert leases(manager) == 0


@pytest.mark.parametrize("attempt", [0, 1])
def test_cancelled_while_writing(managers: Managers, bike: Scenario, make_view: Views, attempt: int) -> None:
    slow = {"replies": ["no", reply()], "tokens_per_second": 20}
    manager, token = managers({"model": slow}), CancelToken()
    acting = agent(manager).act(replace(make_view(bike), cancel=token))
    while advance(acting, Writing).attempt != attempt:
        pass
    assert leases(manager) == 1
    token.cancel()
    with pytest.raises(Cancelled):
        run(acting)
    assert leases(manager) == 0


class LateToken(CancelToken):
    """Is cancelled in the moment in which the lease is there and nobody listens for cancelling yet or any more."""

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        forget = super().on_cancel(callback)

        def late() -> None:
            self.cancel()
            forget()

        return late


def test_cancelled_at_the_very_moment_the_lease_is_there(managers: Managers, bike: Scenario, make_view: Views) -> None:
    manager = managers({"model": {"replies": [reply()]}})
    with pytest.raises(Cancelled):
        run(agent(manager).act(replace(make_view(bike), cancel=LateToken())))
    assert leases(manager) == 0


@pytest.mark.usefixtures("quick")
def test_closed_while_waiting(managers: Managers, bike: Scenario, make_view: Views) -> None:
    manager = managers({"model": {}, "other": {}}, max_loaded_models=1)
    with manager.lease("other"):
        acting = agent(manager).act(make_view(bike))
        advance(acting, Waiting)
        acting.close()
        assert manager.snapshot().queue == ()
    assert leases(manager) == 0


@pytest.mark.parametrize("kind", [Writing, Rejected])
def test_closed_while_writing(managers: Managers, bike: Scenario, make_view: Views, kind: type) -> None:
    manager = managers({"model": {"replies": ["no", reply()], "tokens_per_second": 50}})
    acting = agent(manager).act(make_view(bike))
    advance(acting, kind)
    acting.close()
    assert leases(manager) == 0


def test_a_broken_model_gives_its_lease_back(
    managers: Managers, bike: Scenario, make_view: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = managers({"model": {}})

    def breaks(self: FakeModel, request: GenerationRequest) -> str:
        raise RuntimeError("out of order")

    monkeypatch.setattr(FakeModel, "_reply", breaks)
    with pytest.raises(Exception, match="RuntimeError: out of order"):
        run(agent(manager).act(make_view(bike)))
    assert leases(manager) == 0


def test_the_ledger_keeps_the_raw_text_whole(managers: Managers, bike: Scenario, make_view: Views) -> None:
    raw = "\ud83d \0 <|im_end|> é"
    manager = managers({"model": {"replies": [raw, reply()]}})
    _, decision = run(agent(manager).act(make_view(bike)))
    assert decision.invalid == (
        InvalidReply("not_json", "The reply was not exactly one JSON object.", raw, "repaired"),
    )


# -- remarks on valid replies ----------------------------------------------------------------------------------


def notes_of(managers: Managers, view: View, **said: Any) -> tuple[str, ...]:
    manager = managers({"model": {"replies": [reply(**said)]}})
    return run(agent(manager).act(view))[1].notes


def later(make_view: Views, scenario: Scenario) -> View:
    """The first side's second turn."""
    first = (Action.OFFER, {"price": 100, "lock": "with"}, "How about it?")
    return make_view(scenario, [first, (Action.OFFER, {"price": 200, "lock": "without"}, "No.")])


def test_a_message_that_repeats_the_last_one_is_noted(managers: Managers, bike: Scenario, make_view: Views) -> None:
    view = later(make_view, bike)
    assert notes_of(managers, view, message="How about  IT?") == ("repeated",)
    assert notes_of(managers, view, message="And how about it now?") == ()


def test_a_message_that_names_other_values_than_its_offer_is_noted(
    managers: Managers, bike: Scenario, make_view: Views
) -> None:
    view = later(make_view, bike)
    for message in ("I offer 170.", "The price is €1,500.", "150 without the lock, that is fair."):
        assert notes_of(managers, view, message=message) == ("other_values",), message
    for message in ("Not 200, but 150.", "150 with the lock.", "Could you go to 175?", "We meet in the middle.", ""):
        assert notes_of(managers, view, message=message) == (), message


def test_a_model_without_a_chat_template_is_noted_once(
    managers: Managers, bike: Scenario, make_view: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finish(self: TokenStream, completion: Completion) -> None:
        original(self, replace(completion, transcript=True))

    original = TokenStream.finish
    monkeypatch.setattr(TokenStream, "finish", finish)
    assert notes_of(managers, make_view(bike)) == ("transcript",)
    view = later(make_view, bike)
    assert notes_of(managers, replace(view, own=(replace(view.own[0], notes=("transcript",)),)), message="Well?") == ()


# -- settings of the registry ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "thinking", "most"), [({}, 0, 1200), ({}, 50, 1250), ({"max_new_tokens": 60}, 50, 110)]
)
def test_a_configured_max_new_tokens_limits_a_reply(
    managers: Managers,
    bike: Scenario,
    make_view: Views,
    requests: list[GenerationRequest],
    settings: dict[str, int],
    thinking: int,
    most: int,
) -> None:
    manager = managers({"model": {"replies": [reply()], "generation_config": settings}})
    run(agent(manager, thinking=thinking).act(make_view(bike)))
    assert [request.config.max_new_tokens for request in requests] == [most]


def test_all_sampling_settings_of_the_registry_reach_the_model(
    managers: Managers, bike: Scenario, make_view: Views, requests: list[GenerationRequest]
) -> None:
    settings = {"temperature": 0.1, "top_p": 0.2, "top_k": 3, "min_p": 0.4, "repetition_penalty": 1.5, "stop": ("x",)}
    manager = managers({"model": {"replies": [reply()], "generation_config": {**settings, "reproducible": True}}})
    run(agent(manager).act(make_view(bike)))
    assert requests[0].config.model_dump() == {**settings, "reproducible": True, "max_new_tokens": 1200}
