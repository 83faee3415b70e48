"""What the arena says about costs before the start, and the limit on each negotiation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.purse import LIMIT
from negotiation.app.parley import Parley
from negotiation.app.settings import read_settings
from negotiation.comparison.comparison import Players
from negotiation.runs.owners import digest
from tests.support.listed_models import ListedModels, model
from ui.widgets import spending as module
from ui.widgets.spending import LEAST, MOST, Spending, limit_of, remembered_limit

FIRM, STRONG = AgentConfig("boulware"), AgentConfig("hf/maker/strong")
SCRIPTS: tuple[Players, Players] = ((FIRM, FIRM), (FIRM, FIRM))
ONE_PAID: tuple[Players, Players] = ((STRONG, FIRM), (FIRM, FIRM))
ADA: Any = SimpleNamespace(cookies={"parley_visitor": "ada-with-a-long-name"}, session_hash="s")


@pytest.fixture
def parley(tmp_path: Path) -> Iterator[Parley]:
    parley = Parley.open(read_settings({"PARLEY_HOME": str(tmp_path)}))
    yield replace(parley, catalog=Catalog(parley.manager, providers=ListedModels("maker/strong")))
    parley.close()


@pytest.fixture
def spending(parley: Parley) -> Spending:
    spending = Spending(parley, "arena")
    spending.build_limit()
    return spending


def said(spending: Spending, parley: Parley, lanes: Sequence[Players]) -> tuple[str, bool]:
    new = spending.show(ADA, parley.scenarios["used_camera"], lanes)
    return str(new[spending.line]), new[spending.limit]["visible"]


def test_nothing_is_said_where_nobody_is_paid(spending: Spending, parley: Parley) -> None:
    assert said(spending, parley, SCRIPTS) == ("", False)


def test_prices_and_the_likely_cost_come_before_the_start(spending: Spending, parley: Parley) -> None:
    words, limited = said(spending, parley, ONE_PAID)
    assert "strong: $1.00 in, $3.00 out per million tokens" in words
    assert "Estimated cost of both lanes: up to about $" in words
    assert "last time" not in words
    assert limited


def test_the_last_cost_is_that_of_the_visitors_own_runs(
    spending: Spending, parley: Parley, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def last_cost(store: object, scenario: str, agents: Any, viewer: str | None) -> float | None:
        asked.append(viewer)
        return 0.0031 if agents["a"] == STRONG else None

    monkeypatch.setattr(module, "last_cost", last_cost)
    assert "The last time it was $0.0031" in said(spending, parley, ONE_PAID)[0]
    assert set(asked) == {digest("ada-with-a-long-name")}


def test_one_negotiation_is_not_called_two(spending: Spending, parley: Parley) -> None:
    assert "Estimated cost: up to about $" in said(spending, parley, ONE_PAID[:1])[0]


def test_models_without_a_price_are_named(spending: Spending, parley: Parley) -> None:
    free = model("maker/free")
    listed: Any = parley.catalog.providers
    listed.list(model("maker/strong"), replace(free, price=None))
    words = said(spending, parley, ((STRONG, FIRM), (AgentConfig("hf/maker/free"), FIRM)))[0]
    assert "free: no price stated" in words
    assert ", not counting free" in words


def test_what_is_known_of_one_lane_only_is_not_said_of_both(
    spending: Spending, parley: Parley, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {FIRM.agent: 0.01}
    monkeypatch.setattr(module, "last_cost", lambda store, scenario, agents, viewer: known.get(agents["a"].agent))
    assert "last time" not in said(spending, parley, ((STRONG, FIRM), (FIRM, STRONG)))[0]


@pytest.mark.parametrize(("given", "limit"), [(None, LIMIT), (1, 1.0), (LEAST, LEAST), (MOST, MOST)])
def test_a_limit_may_be_left_out(given: float | None, limit: float) -> None:
    assert limit_of(given) == limit


@pytest.mark.parametrize("given", [0, -1, MOST + 1, float("nan"), float("inf")])
def test_an_impossible_limit_is_refused(given: float) -> None:
    with pytest.raises(gr.Error, match="The limit must be between"):
        limit_of(given)


@pytest.mark.parametrize("stored", [None, "1", True, 0, 1e9, [], float("nan")])
def test_a_stored_limit_that_is_none_is_forgotten(stored: object) -> None:
    assert remembered_limit({"limit": stored}) == LIMIT
    assert remembered_limit({"limit": 2}) == 2.0
