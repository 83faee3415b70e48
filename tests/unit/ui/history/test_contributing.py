"""Contributing a run on the page: who may, what they allow and read before, and that they can take it back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from manager.credentials import Credentials
from negotiation.runs.hub import contributions
from negotiation.runs.hub.contributions import NAME
from negotiation.runs.owners import digest
from negotiation.runs.record import Run
from negotiation.scenario.model import load_scenario
from tests.support.finished import finished
from tests.support.hub import Account, DatasetHub, serving_datasets
from ui.history import contributing_text as text
from ui.history.access import Access
from ui.history.contributing import Contributing
from ui.server.accounts import Accounts
from ui.server.visitor import COOKIE

ROUTER = "https://router.example/v1"
SCENARIO = load_scenario(Path(__file__).parents[4] / "configs" / "scenarios" / "company_car.yaml")
COOKIES = {digest(secret): secret for name in ("anne", "bob", "carol") if (secret := f"{name}-with-a-long-name")}
ANNE, BOB, CAROL = COOKIES
RUN = replace(finished(SCENARIO), owner=ANNE)
SECRETS = {ANNE: "0123456789abcdef-of-anne", BOB: "0123456789abcdef-of-bob"}


class Visits(Access):
    """Stands for a page's access to one run, which is Anne's. Bob is the operator."""

    def __init__(self) -> None:
        pass

    def run(self, run_ids: Any, place: int) -> Run:
        return RUN

    def may_change(self, request: Any, run: Run) -> bool:
        return True


class Corner:
    """The part of the page, with what a press on each of its buttons does."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self.part, self._press = asyncio.run(self._built())  # without a running loop, Gradio leaves one open

    async def _built(self) -> tuple[Contributing, dict[int, Callable[..., Any]]]:
        with gr.Blocks(analytics_enabled=False) as blocks:
            part = Contributing(1, Visits(), self.accounts)
            part.build_panel()
            part.connect(0, gr.State(()))
        fns = list(blocks.fns.values())
        begun = {one._id: one.targets[0][0] for one in fns if one.targets[0][1] == "click"}
        after = {begun[one.trigger_after]: one.fn for one in fns if one.trigger_after in begun and one.inputs}
        return part, after

    def press(self, button: gr.Button, visitor: str, **address: str) -> dict[Any, Any]:
        """Press a button, and return what happens after the first words about it."""
        return dict(self._press[button._id](request_of(visitor, **address), [RUN.run_id]))


def request_of(visitor: str, **address: str) -> Any:
    return SimpleNamespace(cookies={COOKIE: COOKIES[visitor]}, query_params=address)


def visible(updates: dict[Any, Any], *parts: gr.Button) -> list[bool]:
    return [bool(updates[part]["visible"]) for part in parts]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[DatasetHub]:
    with serving_datasets(monkeypatch) as server:
        server.accounts = {token: Account(COOKIES[visitor].partition("-")[0]) for visitor, token in SECRETS.items()}
        yield server


@pytest.fixture
def accounts(hub: DatasetHub) -> Accounts:
    """Anne and Bob are signed in and allow contributing; Carol is signed in only."""
    accounts = Accounts(Credentials(), ROUTER, "hub", hub.url)
    for visitor, token in SECRETS.items():
        accounts.sign_in(visitor, token, name=visitor, contributes=True)
    accounts.sign_in(CAROL, "0123456789abcdef-of-carol", name=CAROL)
    return accounts


@pytest.fixture
def corner(accounts: Accounts) -> Corner:
    return Corner(accounts)


def test_the_button_is_there_for_a_visitors_own_finished_run_only(corner: Corner) -> None:
    part = corner.part
    assert visible(part.show(request_of(ANNE), RUN), part.open) == [True]
    assert visible(part.show(request_of(CAROL), replace(RUN, owner=CAROL)), part.open) == [True]
    assert visible(part.show(request_of(ANNE), replace(RUN, status="running")), part.open) == [False]
    assert visible(part.show(request_of(CAROL), RUN), part.open) == [False]
    assert visible(part.show(request_of(BOB), RUN), part.open) == [False], "not even for the operator"


def test_nobody_is_offered_what_the_spaces_app_may_not_ask_for() -> None:
    corner = Corner(Accounts(Credentials(), ROUTER, "hub"))
    assert visible(corner.part.show(request_of(ANNE), RUN), corner.part.open) == [False]
    with pytest.raises(gr.Error):
        corner.press(corner.part.give, ANNE)


def test_nothing_is_published_before_the_visitor_has_read_what_and_where(corner: Corner, hub: DatasetHub) -> None:
    part = corner.part
    asked = corner.press(part.open, ANNE)
    assert not hub.repositories
    for words in (f"anne/{NAME}", "CC BY 4.0", "private thought", "What is not", "withdraw"):
        assert words in asked[part.about]
    assert visible(asked, part.close, part.allow, part.give, part.take) == [True, False, True, False]
    done = corner.press(part.give, ANNE)
    assert f"{hub.url}/datasets/anne/{NAME}" in done[part.about]
    assert visible(done, part.give, part.take) == [False, True]
    assert len(hub.repositories[f"anne/{NAME}"].files) == 2


def test_a_contributed_run_can_be_withdrawn_and_the_page_says_what_remains(corner: Corner, hub: DatasetHub) -> None:
    part = corner.part
    corner.press(part.give, ANNE)
    assert visible(corner.press(part.open, ANNE), part.give, part.take) == [False, True]
    done = corner.press(part.take, ANNE)
    assert text.COPIES_REMAIN in done[part.about]
    assert visible(done, part.close, part.allow, part.give, part.take) == [True, False, False, False]
    assert not hub.repositories
    assert visible(corner.press(part.open, ANNE), part.give) == [True]


@pytest.mark.parametrize("visitor", [BOB, CAROL])
@pytest.mark.parametrize("button", ["open", "give", "take"])
def test_nobody_contributes_or_withdraws_a_run_of_somebody_else(
    corner: Corner, hub: DatasetHub, visitor: str, button: str
) -> None:
    corner.press(corner.part.give, ANNE)
    with pytest.raises(gr.Error, match="runs of your own"):
        corner.press(getattr(corner.part, button), visitor)
    assert list(hub.repositories) == [f"anne/{NAME}"]


# -- what has to be allowed ------------------------------------------------------------------------------------


@pytest.mark.parametrize("button", ["open", "give", "take"])
def test_whoever_has_not_allowed_it_is_told_what_for_and_asked(corner: Corner, hub: DatasetHub, button: str) -> None:
    part = corner.part
    corner.accounts.disallow(ANNE)
    asked = corner.press(getattr(part, button), ANNE)
    assert "permission to create repositories" in asked[part.about]
    assert visible(asked, part.close, part.allow, part.give, part.take) == [True, True, False, False]
    assert not hub.asked
    assert not hub.sent


def test_whoever_comes_back_without_having_allowed_it_reads_that_nothing_was_published(corner: Corner) -> None:
    part = corner.part
    corner.accounts.disallow(ANNE)
    asked = corner.press(part.open, ANNE, contribute="1")
    assert "nothing has been published" in asked[part.about]
    assert visible(asked, part.allow, part.give) == [True, False]


def test_what_has_expired_is_asked_for_again(hub: DatasetHub) -> None:
    now = 0.0
    accounts = Accounts(Credentials(clock=lambda: now), ROUTER, "hub", hub.url)
    accounts.sign_in(ANNE, SECRETS[ANNE], name="anne", expires_at=10, contributes=True)
    corner = Corner(accounts)
    now = 10.0
    assert visible(corner.press(corner.part.give, ANNE), corner.part.allow) == [True]
    assert not hub.repositories


@pytest.mark.parametrize("status", [401, 403])
def test_a_permission_that_the_hub_does_not_accept_is_asked_for_again(
    corner: Corner, hub: DatasetHub, status: int
) -> None:
    part = corner.part
    hub.fails = {"repos/create": status}
    refused = corner.press(part.give, ANNE)
    assert visible(refused, part.allow, part.give) == [True, False]
    assert "allow it again" in refused[part.about]
    assert corner.accounts.contributor(ANNE) is None
    assert corner.accounts.of(ANNE) is not None, "they stay signed in"


@pytest.mark.parametrize(
    ("status", "words"),
    [(409, contributions.CHANGED), (429, contributions.TOO_MANY), (503, contributions.BROKEN)],
)
def test_what_the_hub_refuses_is_told_without_the_text_of_an_error(
    corner: Corner, hub: DatasetHub, status: int, words: str
) -> None:
    part = corner.part
    hub.fails = {"repos/create": status}
    refused = corner.press(part.give, ANNE)
    assert words in refused[part.about]
    assert visible(refused, part.close, part.allow, part.give, part.take) == [True, False, False, False]
    hub.fails = {}
    assert visible(corner.press(part.open, ANNE), part.give) == [True], "the permission is kept"
