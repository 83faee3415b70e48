"""Models as agents: real manager, fake weights. Replies are read strictly, the ledger is honest, leases come back."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest

from manager.backends.fake import FakeModel
from manager.cancel import CancelToken
from manager.errors import Cancelled, LoadFailed, QueueFull, UnknownModel, WaitTimeout
from manager.generation.request import GenerationRequest
from manager.manager import LLMManager
from negotiation.agents import llm
from negotiation.agents.base import Decision, View
from negotiation.agents.llm import ModelAgent
from negotiation.agents.options import ModelOptions
from negotiation.agents.strategies import STRATEGIES
from negotiation.events import Ended, Event, InvalidReply, Rejected, Waiting, Writing
from negotiation.protocol import Action
from negotiation.scenario import Scenario
from negotiation.session import Negotiation, negotiate

Managers = Callable[..., LLMManager]
Views = Callable[..., View]
OFFER = {"price": 150, "lock": "with"}


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


def advance(acting: Generator[Any, None, Decision], kind: type) -> Any:
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


def test_what_a_model_is_asked(
    managers: Managers, bike: Scenario, make_view: Views, requests: list[GenerationRequest]
) -> None:
    settings = {"temperature": 0.25, "max_new_tokens": 16}
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
        {"role": "assistant", "content": BAD[kind]},
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
    assert [event.attempt for event in events if isinstance(event, Rejected)] == [0, 1, 2]
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
    assert asked == [(manager.spec("model"), {"owner": "run-7", "next_model": manager.spec("other")})]


def test_a_script_needs_no_model(managers: Managers, bike: Scenario, make_view: Views, asked: list[Any]) -> None:
    manager = managers({"model": {"replies": [reply()]}})
    run(agent(manager).act(replace(make_view(bike), next_agent=STRATEGIES["boulware"])))
    assert asked == [(manager.spec("model"), {"owner": "run", "next_model": None})]


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
    with pytest.raises(LoadFailed, match="fails, as its entry asks"):
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
