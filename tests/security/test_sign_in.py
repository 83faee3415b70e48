"""Signing in with a stand-in for the Hub, at Gradio's own addresses: the token reaches the vault and nothing else."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from manager.errors import CredentialMissing
from negotiation.app.parley import Parley
from negotiation.app.settings import read_settings
from tests.support.remote_server import FaultyServer
from tests.support.serving import serving
from ui.page import build_page
from ui.server.accounts import accounts_of
from ui.server.request_guard import RequestGuard
from ui.server.scopes import NeededScopes
from ui.server.sign_in import TokenKeeper, VisitEnds
from ui.server.visitor import COOKIE, VisitorCookie, name_in

pytest.importorskip("authlib", reason="signing in needs gradio[oauth]")

from tests.support.oauth_hub import CLIENT, CLIENT_SECRET, CONTRIBUTE, MARK, SCOPES, OAuthHub

BASIC = "openid profile inference-api"
BACK = "/?replay=a-run&contribute=1"


class Space:
    """A Space with `hf_oauth: true`, as one browser sees it."""

    def __init__(self, parley: Parley, client: TestClient, hub: OAuthHub) -> None:
        self.parley, self.client, self.hub = parley, client, hub
        self.accounts = accounts_of(parley)

    @property
    def visitor(self) -> str | None:
        return name_in(self.client.cookies)

    def sign_in(self, name: str, target: str = "/") -> str:
        """Go where a browser goes after a click on the button, and return where it arrives."""
        self.hub.visitor = name
        leaves = self.client.get("/login/huggingface", params={"_target_url": target}, follow_redirects=False)
        comes_back = httpx.get(leaves.headers["location"], trust_env=False).headers["location"]
        return str(self.client.get(comes_back, follow_redirects=False).headers["location"])

    @property
    def cookies(self) -> str:
        """All cookies, and what Gradio's session holds."""
        values = {cookie.name: str(cookie.value) for cookie in self.client.cookies.jar}
        session = base64.b64decode(values.get("session", "").partition(".")[0]).decode()
        return f"{values} {session}"

    @property
    def button(self) -> str:
        """What opening the page writes on the button."""
        config = self.client.get("/config").json()
        (button,) = (part["id"] for part in config["components"] if part["props"].get("elem_id") == "account-button")
        (opened,) = (one for one in config["dependencies"] if one["outputs"][:1] == [button])
        body = {"data": [], "fn_index": opened["id"], "session_hash": "page"}
        answer = self.client.post(f"/gradio_api/run/{opened['api_name']}", json=body)
        return str(answer.json()["data"][0])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Parley, FastAPI, OAuthHub]]:
    """Return a Space's program, its app, and the Hub that it asks."""
    router = FaultyServer()
    with serving(OAuthHub()) as hub, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        oauth = gr.oauth
        patch.setattr(oauth, "get_space", lambda: "someone/parley")
        for name, value in (("CLIENT_ID", CLIENT), ("CLIENT_SECRET", CLIENT_SECRET), ("SCOPES", SCOPES)):
            patch.setattr(oauth, f"OAUTH_{name}", value)
        patch.setattr(oauth, "OPENID_PROVIDER_URL", hub.url)
        home = str(tmp_path_factory.mktemp("home"))
        parley = Parley.open(
            read_settings({"PARLEY_HOME": home, "PARLEY_PROVIDERS": router.base_url, **hub.environment})
        )
        with ThreadPoolExecutor(1) as thread:
            app = thread.submit(lambda: asyncio.run(_built(parley))).result()
        yield parley, app, hub
        parley.close()
    router.close()


@pytest.fixture
def space(served: tuple[Parley, FastAPI, OAuthHub]) -> Iterator[Space]:
    parley, app, hub = served
    hub.forget()
    with TestClient(app, base_url="https://parley.test") as client:
        client.get("/")
        yield Space(parley, client, hub)


async def _built(parley: Parley) -> FastAPI:
    """Build the page inside an event loop, because Gradio otherwise creates loops and never closes them."""
    page, accounts = build_page(parley), accounts_of(parley)
    middleware = [
        Middleware(RequestGuard, sign_in=True),
        Middleware(VisitorCookie),
        Middleware(VisitEnds, accounts=accounts),
        Middleware(TokenKeeper, accounts=accounts),
        Middleware(NeededScopes),
    ]
    app = FastAPI()
    gr.mount_gradio_app(app, page, path="", app_kwargs={"middleware": middleware}, enable_monitoring=False)
    return app


def test_the_token_reaches_the_vault_and_no_cookie(space: Space) -> None:
    space.sign_in("ada")
    account, handle = space.accounts.of(space.visitor), space.accounts.handle(space.visitor)
    assert account is not None
    assert handle is not None
    assert account.name == "ada"
    (token,) = space.hub.tokens
    assert space.parley.manager.credentials.reveal(handle, str(space.parley.catalog.providers.base_url)) == token
    assert "preferred_username" in space.cookies, "the session is in a cookie that this test can read"
    assert MARK not in space.cookies
    assert MARK not in space.client.get("/config").text


def test_signing_out_ends_it(space: Space) -> None:
    space.sign_in("ada")
    space.client.get("/logout", follow_redirects=False)
    assert not space.accounts.knows(space.visitor)
    assert "preferred_username" not in space.cookies


def test_another_browser_with_the_sessions_cookie_only_is_nobody(space: Space) -> None:
    space.sign_in("ada")
    session = json.dumps([cookie.value for cookie in space.client.cookies.jar if cookie.name == "session"])
    space.client.cookies.delete(COOKIE)
    space.client.get("/")
    assert session
    assert not space.accounts.knows(space.visitor)


def test_who_refuses_is_not_signed_in_and_comes_back(space: Space) -> None:
    space.hub.refuses = True
    assert space.sign_in("ada", "/?replay=a-run") == "/?replay=a-run&sign_in_failed=yes"
    assert not space.accounts.knows(space.visitor)
    assert "_state_" not in space.cookies


def test_a_hub_that_gives_no_token_sends_nobody_to_an_error_page(space: Space) -> None:
    space.hub.down = True
    assert space.sign_in("ada") == "/?sign_in_failed=yes"
    assert not space.accounts.knows(space.visitor)


@pytest.mark.parametrize(
    "target", ["https://elsewhere.example/", "//elsewhere.example/", "//[", "\\\\elsewhere.example"]
)
def test_who_refuses_is_sent_nowhere_else(space: Space, target: str) -> None:
    space.hub.refuses = True
    assert space.sign_in("ada", target) == "/?sign_in_failed=yes"


def test_no_token_stays_in_the_cookie_if_the_way_back_fails(space: Space) -> None:
    assert space.sign_in("ada", "http://[") == "/?sign_in_failed=yes"
    assert MARK not in space.cookies
    assert not space.accounts.knows(space.visitor)


# -- contributing --------------------------------------------------------------------------------------------------


def test_signing_in_asks_for_no_more_than_it_needs(space: Space) -> None:
    assert CONTRIBUTE in SCOPES.split(), "the app may ask for it"
    assert space.sign_in("ada") == "/"
    assert space.hub.asked_scopes == [BASIC]
    assert space.accounts.contributor(space.visitor) is None


def test_whoever_is_about_to_contribute_is_asked_for_that_too_and_comes_back(space: Space) -> None:
    space.sign_in("ada")
    assert space.sign_in("ada", BACK) == BACK
    assert space.hub.asked_scopes == [BASIC, f"{BASIC} {CONTRIBUTE}"]
    account = space.accounts.contributor(space.visitor)
    assert account is not None
    signed_in, allows_more = space.hub.tokens
    assert (account.endpoint, account.token()) == (space.hub.url, allows_more)
    handle = space.accounts.handle(space.visitor)
    assert handle is not None
    router = str(space.parley.catalog.providers.base_url)
    assert space.parley.manager.credentials.reveal(handle, router) == signed_in
    assert MARK not in space.cookies


def test_refusing_to_contribute_leaves_the_sign_in_as_it_was(space: Space) -> None:
    space.sign_in("ada")
    space.hub.refuses = True
    assert space.sign_in("ada", BACK) == f"{BACK}&sign_in_failed=yes"
    assert space.accounts.contributor(space.visitor) is None
    account = space.accounts.of(space.visitor)
    assert account is not None
    assert account.name == "ada"
    assert "preferred_username" in space.cookies


def test_a_hub_that_grants_less_than_was_asked_is_believed(space: Space) -> None:
    space.hub.grants = BASIC
    assert space.sign_in("ada", BACK) == BACK
    assert space.accounts.of(space.visitor) is not None
    assert space.accounts.contributor(space.visitor) is None


def test_signing_out_forgets_the_permission(space: Space) -> None:
    space.sign_in("ada", BACK)
    account = space.accounts.contributor(space.visitor)
    assert account is not None
    space.client.get("/logout", follow_redirects=False)
    assert space.accounts.contributor(space.visitor) is None
    with pytest.raises(CredentialMissing):
        account.token()


def test_an_answer_that_was_not_asked_for_signs_nobody_in(space: Space) -> None:
    answer = space.client.get("/login/callback?code=stolen&state=guessed", follow_redirects=False)
    assert answer.headers["location"].startswith("/login/huggingface")
    assert not space.accounts.knows(space.visitor)


def test_only_the_five_functions_are_public(space: Space) -> None:
    named = json.loads(space.client.get("/gradio_api/info").text)["named_endpoints"]
    assert set(named) == {"/models", "/scenarios", "/negotiate", "/move", "/run"}


def test_the_page_names_who_is_signed_in(space: Space) -> None:
    assert space.button == "Sign in with Hugging Face"
    space.sign_in("ada")
    assert space.button == "Sign out (ada)"
    space.client.get("/logout", follow_redirects=False)
    assert space.button == "Sign in with Hugging Face"
