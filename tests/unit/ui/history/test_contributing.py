"""Contributing a run on the page: who may, what they read before, and that they can take it back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from negotiation.runs.contributions import NAME, Token
from negotiation.runs.record import Run
from negotiation.scenario.model import load_scenario
from tests.support.finished import finished
from tests.support.hub import Account, DatasetHub, serving_datasets
from ui.history import text
from ui.history.contributing import Contributing, nobodys_token

SCENARIO = load_scenario(Path(__file__).parents[4] / "configs" / "scenarios" / "company_car.yaml")
RUN = replace(finished(SCENARIO), owner="anne")
TOKENS = {"anne": "token-of-anne", "bob": "token-of-bob"}


class Visits:
    """Stands for a page's access to one run, which is Anne's."""

    def run(self, run_ids: Any, place: int) -> Run:
        return RUN

    def may_change(self, request: Any, run: Run) -> bool:
        return bool(request.username == run.owner)


def visitor(name: str) -> Any:
    return SimpleNamespace(username=name)


def token_of(request: Any) -> Token | None:
    token = TOKENS.get(request.username)
    return None if token is None else lambda: token


def build(token_of: Callable[[Any], Token | None]) -> tuple[Contributing, dict[str, Callable[..., Any]]]:
    """Return the part of the page, and what a press on each of its buttons does."""

    async def building() -> tuple[Contributing, dict[str, Callable[..., Any]]]:
        with gr.Blocks() as blocks:
            part = Contributing("replay-1", Visits(), token_of)  # type: ignore[arg-type]
            part.connect(0, gr.State(()))
        names = {part.open._id: "open", part.give._id: "give", part.take._id: "take"}
        return part, {names[one.targets[0][0]]: one.fn for one in blocks.fns.values() if one.targets[0][0] in names}

    return asyncio.run(building())  # without a running loop, Gradio opens one and leaves it open


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[DatasetHub]:
    with serving_datasets(monkeypatch) as server:
        server.accounts = {token: Account(name) for name, token in TOKENS.items()}
        yield server


def visible(updates: dict[Any, Any], component: Any) -> bool:
    return bool(updates[component]["visible"])


def test_the_button_is_there_for_a_visitors_own_finished_run_and_a_token_only() -> None:
    part, _ = build(token_of)
    assert visible(part.show(visitor("anne"), RUN, may_change=True), part.open)
    assert not visible(part.show(visitor("anne"), RUN, may_change=False), part.open)
    assert not visible(part.show(visitor("anne"), replace(RUN, status="running"), may_change=True), part.open)
    assert not visible(part.show(visitor("carol"), RUN, may_change=True), part.open)
    unconnected, _ = build(nobodys_token)
    assert not visible(unconnected.show(visitor("anne"), RUN, may_change=True), unconnected.open)


def test_nothing_is_published_before_the_visitor_has_read_what_and_where(hub: DatasetHub) -> None:
    part, press = build(token_of)
    asked = press["open"](visitor("anne"), [RUN.run_id])
    assert not hub.repositories
    for words in (f"anne/{NAME}", "CC BY 4.0", "private thought", "Not published", "withdraw"):
        assert words in asked[part.about]
    assert (visible(asked, part.panel), visible(asked, part.give), visible(asked, part.take)) == (True, True, False)
    done = press["give"](visitor("anne"), [RUN.run_id])
    assert f"{hub.url}/datasets/anne/{NAME}" in done[part.about]
    assert len(hub.repositories[f"anne/{NAME}"].files) == 2


def test_a_contributed_run_can_be_withdrawn_and_the_page_says_what_remains(hub: DatasetHub) -> None:
    part, press = build(token_of)
    press["give"](visitor("anne"), [RUN.run_id])
    asked = press["open"](visitor("anne"), [RUN.run_id])
    assert (visible(asked, part.give), visible(asked, part.take)) == (False, True)
    done = press["take"](visitor("anne"), [RUN.run_id])
    assert text.COPIES_REMAIN in done[part.about]
    assert not hub.repositories
    assert visible(press["open"](visitor("anne"), [RUN.run_id]), part.give)


@pytest.mark.parametrize("name", ["bob", "carol"])
@pytest.mark.parametrize("button", ["open", "give", "take"])
def test_nobody_contributes_or_withdraws_a_run_of_somebody_else(hub: DatasetHub, name: str, button: str) -> None:
    _, press = build(token_of)
    press["give"](visitor("anne"), [RUN.run_id])
    with pytest.raises(gr.Error, match="a run of your own"):
        press[button](visitor(name), [RUN.run_id])
    assert list(hub.repositories) == [f"anne/{NAME}"]


def test_a_refusal_is_told_without_the_text_of_an_error(hub: DatasetHub) -> None:
    hub.accounts["token-of-anne"].may_write = False
    _, press = build(token_of)
    with pytest.raises(gr.Error, match="allow it, then try again"):
        press["give"](visitor("anne"), [RUN.run_id])
