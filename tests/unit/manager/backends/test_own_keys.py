"""Models that each visitor pays for: a request carries its own visitor's key, and one's trouble is nobody else's."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.backends.remote import pacing, standing
from manager.backends.remote.standing import VisitorStanding
from manager.config.model_spec import ModelSpec, parse_spec
from manager.credentials import Credentials, Handle
from manager.errors import (
    ConfigError,
    CoolingDown,
    CredentialExpired,
    CredentialMissing,
    CredentialRejected,
    OutOfCredit,
    ParleyError,
    RateLimited,
    ServerFailed,
)
from manager.manager import LLMManager
from tests.support.effort import examples
from tests.support.remote_server import Behaviour, Call
from tests.support.router import FAILURES, Account, Router, writes

KEYS = {name: f"hf_Very-Secret-{name}-0123456789" for name in ("ann", "bob", "cid")}


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> Iterator[Router]:
    monkeypatch.setattr(pacing, "FIRST_PAUSE", 0.002)
    made = Router()
    made.accounts = {key: Account() for key in KEYS.values()}
    yield made
    made.close()


@pytest.fixture
def managers(router: Router) -> Iterator[Callable[..., LLMManager]]:
    made: list[LLMManager] = []

    def make(**settings: Any) -> LLMManager:
        made.append(LLMManager({"strong": router.entry(**settings)}))
        return made[-1]

    yield make
    for each in made:
        each.cleanup()


def sign_in(manager: LLMManager, name: str, key: str | None = None, expires_at: float | None = None) -> Handle:
    base_url = manager.spec("strong").base_url
    assert base_url is not None
    return manager.credentials.keep(name, key or KEYS[name], expires_at, server=base_url)


def ask(manager: LLMManager, handle: Handle | None, text: str = "Hi") -> str:
    return manager.session("someone", handle).get_response(text, "strong")


def shown(manager: LLMManager) -> tuple[str, str]:
    row = manager.snapshot().of("strong")
    assert row is not None
    return str(row.state), row.reason


# -- entries -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"type": "fake"}, "only remote models"),
        ({"type": "huggingface", "model_name": "org/m"}, "only remote models"),
        ({"api_key": "THE_KEY"}, "not allowed with 'api_key'; keep one"),
        ({"public_only": True}, "not allowed with 'public_only'"),
        ({"credentials": "operator"}, "must be 'visitor'"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused(settings: dict[str, Any], words: str) -> None:
    entry = {"type": "openai", "model_name": "org/m", "base_url": "https://models.example/v1", "credentials": "visitor"}
    with pytest.raises(ConfigError, match=f"model 'strong': key 'credentials': .*{words}"):
        parse_spec("strong", {**entry, **settings})


def test_strangers_cannot_add_servers_that_are_sent_visitors_keys(router: Router) -> None:
    with LLMManager({}) as manager, pytest.raises(ConfigError, match="only the operator says who gets keys"):
        manager.register_model("trap", router.entry(), trusted=False)


def test_an_entry_for_visitors_shares_nothing_with_one_that_the_operator_pays_for(router: Router) -> None:
    own = parse_spec("own", router.entry())
    paid = parse_spec("paid", {**router.entry(), "credentials": None})
    assert own.weights != paid.weights


# -- keys ----------------------------------------------------------------------------------------------------------


def test_each_request_carries_its_visitors_key_and_nothing_else_of_anybody(
    router: Router, managers: Callable[..., LLMManager]
) -> None:
    manager = managers()
    handles = {name: sign_in(manager, name) for name in KEYS}
    for name in ("ann", "bob", "ann", "cid"):
        assert ask(manager, handles[name]) == "Hello!"
    assert router.keys == [KEYS[name] for name in ("ann", "bob", "ann", "cid")]
    assert all(call.headers["Cookie"] is None for call in router.calls), "a cookie would mix visitors up"


def test_without_a_key_nothing_is_sent_and_the_visitor_is_told_what_to_do(
    router: Router, managers: Callable[..., LLMManager]
) -> None:
    manager = managers(label="A strong one")
    with pytest.raises(CredentialMissing, match=r"^'A strong one' runs on your own account: sign in, or enter a key$"):
        ask(manager, None)
    handle = sign_in(manager, "ann")
    manager.credentials.forget("ann")
    with pytest.raises(CredentialMissing, match="sign in again"):
        ask(manager, handle)
    elsewhere = manager.credentials.keep("bob", KEYS["bob"], server="https://other.example/v1")
    with pytest.raises(CredentialMissing, match="runs on your own account"):
        ask(manager, elsewhere)
    with pytest.raises(CredentialExpired, match="sign in again and continue"):
        ask(manager, sign_in(manager, "cid", expires_at=1.0))
    assert router.calls == []
    assert manager.snapshot().queue == ()


def test_a_model_that_the_operator_pays_for_is_never_sent_a_visitors_key(
    router: Router, managers: Callable[..., LLMManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", KEYS["bob"])
    manager = managers(credentials=None, api_key="THE_KEY")
    ask(manager, manager.credentials.keep("ann", KEYS["ann"], server=router.base_url))
    assert router.keys == [KEYS["bob"]]


def test_a_key_that_is_replaced_or_forgotten_counts_from_the_next_request_on(
    router: Router, managers: Callable[..., LLMManager]
) -> None:
    manager = managers()
    handle = sign_in(manager, "ann")
    with manager.lease("strong", credential=handle) as lease:
        manager.credentials.keep("ann", KEYS["bob"], server=router.base_url)
        session = manager.session("another", handle)
        assert session.get_response("Hi", "strong") == "Hello!"
        manager.credentials.forget("ann")
        with pytest.raises(CredentialMissing):
            "".join(lease.generate(_request()))
    assert router.keys == [KEYS["bob"]]
    assert shown(manager) == ("resident", "answers")


def _request() -> Any:
    from manager.generation.request import GenerationRequest, as_messages

    return GenerationRequest(as_messages("Hi"))


# -- failures ------------------------------------------------------------------------------------------------------

PERSONAL = {
    "wrong": (
        CredentialRejected,
        r"does not accept your sign-in or key for it \(HTTP 401\); sign in again or enter another",
    ),
    "forbidden": (CredentialRejected, "HTTP 403"),
    "empty": (OutOfCredit, r"^Your account at .* has no credit left \(HTTP 402\); add credit there"),
    "closed": (RateLimited, "accepts no more requests for now"),
    "empty inside": (OutOfCredit, "has no credit left"),
    "no quota inside": (OutOfCredit, "has no credit left"),
    "wrong inside": (CredentialRejected, r"does not accept your sign-in or key for it \(HTTP 401\)"),
}


@pytest.mark.parametrize("failure", PERSONAL)
def test_one_visitors_trouble_neither_stops_the_others_nor_shows(
    router: Router, managers: Callable[..., LLMManager], caplog: pytest.LogCaptureFixture, failure: str
) -> None:
    caplog.set_level(logging.DEBUG)
    kind, words = PERSONAL[failure]
    manager = managers()
    ann, bob = sign_in(manager, "ann"), sign_in(manager, "bob")
    events = manager.subscribe()
    ask(manager, bob)
    router.accounts[KEYS["ann"]].behaviour = FAILURES[failure]
    with pytest.raises(kind, match=words) as raised:
        ask(manager, ann)
    assert shown(manager) == ("resident", "answers")
    assert ask(manager, bob) == "Hello!"
    sent = len(router.calls)
    with pytest.raises(kind if kind is OutOfCredit else CoolingDown, match=words) as again:
        ask(manager, ann)
    if kind is OutOfCredit:
        assert len(router.calls) == sent + 1, "whoever adds credit goes on at once"
    else:
        assert len(router.calls) == sent, "a visitor who was refused is not let through again at once"
        assert "try again in" in str(again.value)
    assert ask(manager, bob) == "Hello!"
    told = []
    while (event := events.get(0)) is not None:
        told.append(repr(event))
    assert not any("last error" in event or "failed" in event for event in told)
    seen = [str(raised.value), caplog.text, repr(manager.snapshot()), *told, repr(vars(manager))]
    assert not any(key in "".join(seen) for key in KEYS.values())


def test_another_key_ends_the_pause_after_a_refused_one(router: Router, managers: Callable[..., LLMManager]) -> None:
    manager = managers()
    handle = sign_in(manager, "ann", "hf_wrong")
    with pytest.raises(CredentialRejected):
        ask(manager, handle)
    sign_in(manager, "ann")
    assert ask(manager, handle) == "Hello!"


@pytest.mark.parametrize("failure", ["down", "dropped"])
def test_what_fails_for_everybody_cools_down_without_a_word_that_was_meant_for_one(
    router: Router, managers: Callable[..., LLMManager], failure: str
) -> None:
    manager = managers()
    ann, bob = sign_in(manager, "ann"), sign_in(manager, "bob")
    router.broken = FAILURES[failure]
    with pytest.raises(ServerFailed, match="HTTP 50"):
        ask(manager, ann)
    assert shown(manager) == ("failed", "the server of 'org/strong' failed")
    with pytest.raises(CoolingDown, match=r"^the server of 'org/strong' failed \(try again in"):
        ask(manager, bob)
    assert router.keys == [KEYS["ann"]]


def test_a_failure_is_reported_once_and_not_again_after_the_cool_down(
    router: Router,
) -> None:
    now = [1000.0]
    with LLMManager({"strong": router.entry()}, clock=lambda: now[0]) as manager:
        ann, bob = sign_in(manager, "ann"), sign_in(manager, "bob", "hf_wrong")
        router.broken = FAILURES["down"]
        with pytest.raises(ServerFailed):
            ask(manager, ann)
        router.broken = None
        now[0] += 1000
        lease = manager.lease("strong", credential=bob)
        lease.release()  # asked for nothing
        with pytest.raises(CredentialRejected):
            ask(manager, bob)
        assert ask(manager, ann) == "Hello!"
        assert shown(manager) == ("resident", "answers")


# -- pace ----------------------------------------------------------------------------------------------------------


def test_each_visitor_has_places_of_their_own(router: Router, managers: Callable[..., LLMManager]) -> None:
    manager = managers(concurrency=1)
    ann, bob = sign_in(manager, "ann"), sign_in(manager, "bob")
    with manager.lease("strong", owner="1", credential=ann):
        second = manager.request_lease("strong", owner="2", credential=ann)
        assert second.wait(0) is None
        assert manager.snapshot().queue[0].expected is not None
        with manager.lease("strong", owner="3", credential=bob, timeout=5):
            assert second.wait(0) is None
        assert second.wait(0) is None, "a place of another visitor is not one of this visitor"
        third = manager.request_lease("strong", owner="4", credential=bob)
        lease = third.wait(5)
        assert lease is not None
        lease.release()
    granted = second.wait(5)
    assert granted is not None
    granted.release()


def test_a_pause_that_one_visitor_was_asked_for_holds_up_no_other(
    router: Router, managers: Callable[..., LLMManager]
) -> None:
    paused = threading.Event()

    def once(call: Call) -> None:
        router.accounts[KEYS["ann"]].behaviour = writes
        call.refuse(429, "slow down", Retry_After="30")
        paused.set()

    manager = managers(retries=1)
    ann, bob = sign_in(manager, "ann"), sign_in(manager, "bob")
    router.accounts[KEYS["ann"]].behaviour = once
    with manager.lease("strong", owner="ann", credential=ann) as lease:
        stream = lease.generate(_request())
        assert paused.wait(30)
        assert ask(manager, bob) == "Hello!"
        assert not stream.ended
        stream.close()


def test_what_is_known_of_a_visitor_ends_with_their_handle() -> None:
    credentials = Credentials()
    handle = credentials.keep("ann", KEYS["ann"], server="https://models.example/v1")
    gc.collect()
    before = len(standing._standings)
    assert VisitorStanding.of(handle, "https://models.example/v1") is VisitorStanding.of(
        handle, "https://models.example/v1/"
    )
    assert len(standing._standings) == before + 1
    credentials.forget("ann")
    del handle
    gc.collect()
    assert len(standing._standings) == before


# -- any interleaving ----------------------------------------------------------------------------------------------

ACTS = ("ask", "ask", "ask", "keep", "keep", "forget", "expire", "wrong", "empty", "busy", "down", "well")
steps = st.lists(st.tuples(st.sampled_from(sorted(KEYS)), st.sampled_from(ACTS)), min_size=1, max_size=14)


class Visits:
    """Several visitors at one manager, each of whose requests says whose it is."""

    def __init__(self, router: Router, spec: ModelSpec) -> None:
        self.router = router
        self.now = 1000.0
        self.manager = LLMManager({spec.model_id: spec.model_dump(exclude={"model_id"}, exclude_defaults=True)})
        self.manager.credentials = Credentials(lambda: self.now)
        self.given: dict[str, set[str]] = {name: set() for name in KEYS}
        self.handles: dict[str, Handle] = {}
        self._counts = dict.fromkeys(KEYS, 0)
        self.told: list[str] = []

    def do(self, name: str, act: str) -> None:
        credentials = self.manager.credentials
        if act == "keep":
            self._counts[name] += 1
            key = f"hf_{name}_{self._counts[name]}_Very-Secret"
            self.given[name].add(key)
            self.router.accounts[key] = Account()
            self.handles[name] = credentials.keep(name, key, self.now + 100, server=self.router.base_url)
        elif act == "forget":
            credentials.forget(name)
        elif act == "expire":
            self.now += 101
        elif act == "ask":
            try:
                ask(self.manager, self.handles.get(name), f"I am {name}.")
            except ParleyError as error:
                self.told.append(f"{error!r} {error}")
        else:
            behaviour: Behaviour = writes if act == "well" else FAILURES[act]
            for key in self.given[name]:
                self.router.accounts[key].behaviour = behaviour

    def do_all(self, name: str, acts: list[str]) -> None:
        for act in acts:
            self.do(name, act)

    def check(self) -> None:
        for name in KEYS:
            assert set(self.router.keys_of(f"I am {name}.")) <= self.given[name]
        assert None not in self.router.keys
        everything = "".join([*self.told, repr(self.manager.snapshot()), repr(self.manager.list_models())])
        assert "Very-Secret" not in everything
        assert all(handle not in everything for handle in self.handles.values())


@given(steps=steps, together=st.booleans())
@examples(40)
def test_no_interleaving_of_visitors_mixes_up_their_keys(steps: list[tuple[str, str]], together: bool) -> None:
    router = Router()
    visits = Visits(router, parse_spec("strong", router.entry()))
    try:
        if together:  # each visitor on a thread of their own
            with ThreadPoolExecutor(len(KEYS)) as pool:
                own = {name: [act for whose, act in steps if whose == name] for name in KEYS}
                list(pool.map(lambda name: visits.do_all(name, own[name]), KEYS))
        else:
            for name, act in steps:
                visits.do(name, act)
        visits.check()
    finally:
        visits.manager.cleanup()
        router.close()
