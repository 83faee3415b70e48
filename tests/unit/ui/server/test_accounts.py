"""Visitors' accounts: each serves its own visitor only, ends with the visit, and is never handed out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from manager.credentials import Credentials
from manager.errors import CredentialMissing, CredentialRejected
from negotiation.app.sign_in import OAUTH, sign_in
from negotiation.runs.owners import digest
from ui.server import accounts as module
from ui.server.accounts import Accounts, is_from_own_machine, own_token
from ui.server.request_guard import RequestGuard
from ui.server.sign_in import TokenKeeper, VisitEnds
from ui.server.visitor import COOKIE, VisitorCookie

ROUTER = "https://router.example/v1"
SECRETS = {digest(secret): secret for secret in ("ada-with-a-long-name", "bob-with-a-long-name")}
ADA, BOB = SECRETS
TOKEN = "hf_oauth_a_secret_token"
INFO: dict[str, Any] = {
    "access_token": TOKEN,
    "refresh_token": "hf_refresh_a_secret",
    "id_token": "a.secret.too",
    "scope": "openid profile inference-api",
    "expires_at": 1000,
    "userinfo": {"sub": "1", "name": "Ada", "preferred_username": "ada", "profile": "p", "picture": "i", "email": "e"},
}
PUBLIC = {"userinfo": {"name": "Ada", "preferred_username": "ada", "profile": "p", "picture": "i"}, "expires_at": 1000}


class Here:
    """Accounts with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.vault = Credentials(clock=lambda: self.now)
        self.accounts = Accounts(self.vault, ROUTER, "hub")

    def key_of(self, visitor: str) -> str | None:
        handle = self.accounts.handle(visitor)
        return None if handle is None else self.vault.reveal(handle, ROUTER)


@pytest.fixture
def here() -> Here:
    return Here()


def scope(path: str, visitor: str | None = None, **more: Any) -> dict[str, Any]:
    cookies = [(b"cookie", f"{COOKIE}={SECRETS.get(visitor, visitor)}".encode())] if visitor else []
    return {"type": "http", "path": path, "method": "GET", "query_string": b"", "headers": cookies, **more}


async def received() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


def answering(do: Callable[[dict[str, Any]], None] = lambda scope: None) -> Any:
    async def app(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        do(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app


def ask(app: Any, asked: dict[str, Any]) -> list[Any]:
    """Serve a request by hand, because in a full test run a browser's event loop already runs in this thread."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(StopIteration):
        app(asked, received, send).send(None)
    return sent


# -- accounts --------------------------------------------------------------------------------------------------


def test_each_visitor_has_their_own_key(here: Here) -> None:
    here.accounts.sign_in(ADA, "hf_ada", name="ada")
    here.accounts.sign_in(BOB, "hf_bob", name="bob")
    assert (here.key_of(ADA), here.key_of(BOB)) == ("hf_ada", "hf_bob")
    here.accounts.sign_out(ADA)
    assert (here.key_of(ADA), here.key_of(BOB)) == (None, "hf_bob")
    assert here.accounts.handle(None) is None


def test_an_expired_sign_in_is_told_from_none(here: Here) -> None:
    here.accounts.sign_in(ADA, "hf_ada", name="ada", expires_at=10)
    assert here.accounts.of(ADA) is not None
    here.now = 10
    assert here.accounts.of(ADA) is None
    assert here.accounts.has_expired(ADA)
    assert not here.accounts.has_expired(BOB)
    here.accounts.sign_in(ADA, "hf_new", name="ada", expires_at=20)
    assert not here.accounts.has_expired(ADA)


def test_what_cannot_be_a_key_is_refused_without_repeating_it(here: Here) -> None:
    with pytest.raises(CredentialRejected) as refused:
        here.accounts.sign_in(ADA, "not a key")
    assert "not a key" not in str(refused.value)
    assert not here.accounts.knows(ADA)


def test_the_end_of_a_visit_makes_old_handles_worthless(here: Here) -> None:
    here.accounts.sign_in(ADA, "hf_ada")
    handle = here.accounts.handle(ADA)
    assert handle is not None
    here.accounts.sign_out(ADA)
    here.accounts.sign_in(ADA, "hf_later")
    with pytest.raises(CredentialMissing):
        here.vault.reveal(handle, ROUTER)


# -- contributing to the Hub -----------------------------------------------------------------------------------

HUB = "https://hub.example"


def contributing(here: Here) -> Accounts:
    here.accounts = Accounts(here.vault, ROUTER, "hub", HUB)
    return here.accounts


def contribution_key(here: Here, visitor: str) -> str | None:
    account = here.accounts.contributor(visitor)
    assert account is None or account.endpoint == HUB
    return None if account is None else account.token()


def test_a_sign_in_alone_does_not_allow_contributing(here: Here) -> None:
    contributing(here).sign_in(ADA, "hf_ada", name="ada")
    assert contribution_key(here, ADA) is None
    assert here.accounts.contributor(None) is None


def test_what_allows_contributing_goes_to_the_hub_only_while_a_sign_in_lasts(here: Here) -> None:
    accounts = contributing(here)
    accounts.sign_in(ADA, "hf_ada", name="ada")
    accounts.sign_in(ADA, "hf_more", name="ada", contributes=True)
    assert (here.key_of(ADA), contribution_key(here, ADA)) == ("hf_ada", "hf_more")
    assert contribution_key(here, BOB) is None


def test_allowing_it_without_a_sign_in_or_from_another_account_signs_in(here: Here) -> None:
    accounts = contributing(here)
    accounts.sign_in(ADA, "hf_ada", name="ada", contributes=True)
    assert (here.key_of(ADA), contribution_key(here, ADA)) == ("hf_ada", "hf_ada")
    accounts.sign_in(ADA, "hf_eve", name="eve", contributes=True)
    assert (here.key_of(ADA), contribution_key(here, ADA)) == ("hf_eve", "hf_eve")


@pytest.mark.parametrize("contributes", [False, True])
def test_another_account_does_not_pay_for_what_the_first_one_started(here: Here, contributes: bool) -> None:
    accounts = contributing(here)
    accounts.sign_in(ADA, "hf_ada", name="ada")
    started = accounts.handle(ADA)
    assert started is not None
    accounts.sign_in(ADA, "hf_renewed", name="ada")
    assert here.vault.reveal(started, ROUTER) == "hf_renewed"
    accounts.sign_in(ADA, "hf_eve", name="eve", contributes=contributes)
    with pytest.raises(CredentialMissing):
        here.vault.reveal(started, ROUTER)
    assert here.key_of(ADA) == "hf_eve"


def test_a_later_sign_in_that_allows_less_takes_the_permission_away(here: Here) -> None:
    accounts = contributing(here)
    accounts.sign_in(ADA, "hf_ada", name="ada", contributes=True)
    accounts.sign_in(ADA, "hf_eve", name="eve")
    assert (here.key_of(ADA), contribution_key(here, ADA)) == ("hf_eve", None)


def test_the_permission_ends_with_the_sign_in_when_it_expires_and_when_it_is_taken_away(here: Here) -> None:
    accounts = contributing(here)
    accounts.sign_in(ADA, "hf_ada", name="ada", expires_at=10, contributes=True)
    account = accounts.contributor(ADA)
    assert account is not None
    accounts.sign_out(ADA)
    with pytest.raises(CredentialMissing):
        account.token()
    accounts.sign_in(ADA, "hf_ada", name="ada", expires_at=10, contributes=True)
    accounts.disallow(ADA)
    assert (here.key_of(ADA), contribution_key(here, ADA)) == ("hf_ada", None)
    accounts.sign_in(ADA, "hf_ada", name="ada", expires_at=10, contributes=True)
    here.now = 10
    assert contribution_key(here, ADA) is None


def test_an_account_that_may_be_contributed_to_does_not_show_its_token(here: Here) -> None:
    contributing(here).sign_in(ADA, "hf_ada", name="ada", contributes=True)
    assert "hf_ada" not in f"{here.accounts.contributor(ADA)} {here.accounts!r} {vars(here.accounts)}"


def test_nobody_contributes_where_the_app_may_not_ask_for_it(here: Here) -> None:
    here.accounts.sign_in(ADA, "hf_ada", name="ada", contributes=True)
    assert here.accounts.contributor(ADA) is None


# -- signing in with the Hub -----------------------------------------------------------------------------------


def signed_in(here: Here, visitor: str | None = ADA, path: str = "/login/callback", **info: Any) -> dict[str, Any]:
    """Return the session after Gradio's callback has put a token into it."""
    session: dict[str, Any] = {"_state": "kept"}
    keeper = TokenKeeper(answering(lambda scope: scope["session"].update(oauth_info={**INFO, **info})), here.accounts)
    ask(keeper, scope(path, visitor, session=session))
    return session


def test_the_token_goes_into_the_vault_and_not_into_the_cookie(here: Here) -> None:
    assert signed_in(here) == {"_state": "kept", "oauth_info": PUBLIC}
    assert here.key_of(ADA) == TOKEN
    here.now = 1000
    assert here.key_of(ADA) is None


@pytest.mark.parametrize(
    ("visitor", "path", "info"),
    [
        (None, "/login/callback", {}),
        (ADA, "/somewhere/else", {}),
        (ADA, "/login/callback", {"userinfo": None}),
        (ADA, "/login/callback", {"access_token": "no key at all"}),
    ],
)
def test_a_token_that_cannot_be_kept_is_dropped(here: Here, visitor: str | None, path: str, info: Any) -> None:
    assert signed_in(here, visitor, path, **info) == {"_state": "kept"}
    assert here.key_of(ADA) is None


def test_a_token_of_which_nobody_says_how_long_it_is_good_is_kept_for_the_visit(here: Here) -> None:
    assert signed_in(here, expires_at=None) == {"_state": "kept", "oauth_info": {**PUBLIC, "expires_at": None}}
    here.now = 10**9
    assert here.key_of(ADA) == TOKEN


@pytest.mark.parametrize("info", [INFO, PUBLIC])
def test_a_session_without_a_key_here_is_signed_out(here: Here, info: Any) -> None:
    session = {"oauth_info": dict(info)}
    seen: list[object] = []
    ask(
        TokenKeeper(answering(lambda scope: seen.append(dict(scope["session"]))), here.accounts),
        scope("/", ADA, session=session),
    )
    assert seen == [{}]


def test_signing_out_forgets_the_key_at_once(here: Here) -> None:
    session = signed_in(here)
    ask(TokenKeeper(answering(), here.accounts), scope("/logout", ADA, session=session))
    assert here.key_of(ADA) is None


@pytest.mark.parametrize("path", ["/login/huggingface", "/login/callback", "/logout"])
@pytest.mark.parametrize("open_here", [True, False])
def test_the_addresses_of_the_sign_in_are_open_only_where_there_is_one(path: str, open_here: bool) -> None:
    (start, *_) = ask(RequestGuard(answering(), sign_in=open_here), scope(path))
    assert start["status"] == (200 if open_here else 404)


@pytest.mark.parametrize("path", ["/login", "/login/", "/login_check", "/logout/x", "/token"])
def test_other_addresses_stay_closed(path: str) -> None:
    assert ask(RequestGuard(answering(), sign_in=True), scope(path))[0]["status"] == 404


def test_a_link_elsewhere_signs_nobody_out(here: Here) -> None:
    session = signed_in(here)
    asked = scope("/logout", ADA, session=session)
    asked["headers"] += [(b"sec-fetch-site", b"cross-site"), (b"sec-fetch-mode", b"navigate")]
    ask(RequestGuard(TokenKeeper(answering(), here.accounts), sign_in=True), asked)
    assert here.key_of(ADA) == TOKEN
    assert "oauth_info" in session


def test_who_begins_to_sign_in_gets_a_name() -> None:
    (start, *_) = ask(VisitorCookie(answering()), scope("/login/huggingface"))
    assert COOKIE.encode() in dict(start["headers"])[b"set-cookie"]


# -- the end of a visit ----------------------------------------------------------------------------------------


class Loop:
    """The part of an event loop that waits, with a clock that the test moves."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Any]] = []

    def call_later(self, seconds: float, call: Any, *args: Any) -> Any:
        entry = (seconds, lambda: call(*args))
        self.due.append(entry)
        return SimpleNamespace(cancel=lambda: self.due.remove(entry))

    def pass_time(self) -> None:
        due, self.due = self.due, []
        for _, call in due:
            call()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    loop = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    return loop


def test_a_key_outlives_its_last_page_by_a_while(here: Here, loop: Loop) -> None:
    here.accounts.sign_in(ADA, "hf_ada")
    here.accounts.sign_in(BOB, "hf_bob")
    while_open: list[int] = []
    ends = VisitEnds(answering(lambda scope: while_open.append(len(loop.due))), here.accounts, away=120)
    ask(ends, scope("/gradio_api/heartbeat/one", ADA))
    assert while_open == [0]
    assert [seconds for seconds, _ in loop.due] == [120]
    ask(ends, scope("/gradio_api/queue/join", ADA))
    assert len(loop.due) == 1, "each request begins the wait anew"
    loop.pass_time()
    assert (here.key_of(ADA), here.key_of(BOB)) == (None, "hf_bob")


def test_a_key_stays_while_another_page_is_open(here: Here, loop: Loop) -> None:
    here.accounts.sign_in(ADA, "hf_ada")

    def closes_one(outer: dict[str, Any]) -> None:
        if outer["path"].endswith("outer"):
            ask(ends, scope("/gradio_api/heartbeat/inner", ADA))
            assert not loop.due

    ends = VisitEnds(answering(closes_one), here.accounts)
    ask(ends, scope("/gradio_api/heartbeat/outer", ADA))
    assert len(loop.due) == 1


def test_nobody_waits_for_visitors_without_a_key(here: Here, loop: Loop) -> None:
    ask(VisitEnds(answering(), here.accounts), scope("/gradio_api/heartbeat/one", ADA))
    assert not loop.due


# -- this machine's own token ----------------------------------------------------------------------------------

LOCAL = {"host": "127.0.0.1:7860", "origin": "http://127.0.0.1:7860"}


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        (LOCAL, True),
        ({"host": "localhost:7860", "origin": "http://localhost:7860"}, True),
        ({"host": "[::1]:7860", "origin": "http://[::1]:7860"}, True),
        ({"host": "127.0.0.1:7860"}, False),
        ({**LOCAL, "origin": "https://elsewhere.example"}, False),
        ({**LOCAL, "origin": "null"}, False),
        ({**LOCAL, "host": "parley.example"}, False),
        ({**LOCAL, "host": "127.0.0.1.example:7860"}, False),
        ({**LOCAL, "host": "["}, False),
        ({**LOCAL, "x-forwarded-for": "203.0.113.7"}, False),
        ({**LOCAL, "forwarded": "for=203.0.113.7"}, False),
        ({}, False),
    ],
)
def test_only_this_machines_own_browser_is_its_user(headers: dict[str, str], own: bool) -> None:
    assert is_from_own_machine(headers) is own


@pytest.mark.parametrize("own_machine", [True, False])
def test_the_machines_token_is_for_its_user(monkeypatch: pytest.MonkeyPatch, own_machine: bool) -> None:
    monkeypatch.setattr(module, "get_token", lambda: "hf_own")
    settings: Any = SimpleNamespace(own_machine=own_machine)
    request: Any = SimpleNamespace(headers=LOCAL)
    assert own_token(settings, request) == ("hf_own" if own_machine else None)


SPACE = {"SPACE_ID": "me/parley", "SYSTEM": "spaces", **dict.fromkeys(OAUTH, "set")}


@pytest.mark.parametrize("missing", [*SPACE])
def test_the_sign_in_needs_a_space_with_everything(missing: str) -> None:
    assert sign_in(SPACE, ROUTER) == "hub"
    assert sign_in({name: value for name, value in SPACE.items() if name != missing}, ROUTER) == "none"


def test_no_variable_alone_brings_the_sign_in_off_spaces() -> None:
    assert sign_in(dict.fromkeys(OAUTH, "set"), ROUTER) == "key"
    assert sign_in(SPACE, None) == "none"
