"""Models of providers are registered when they are first needed, and nothing but what is listed ever is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.lent_entries import LentEntries
from negotiation.errors import UnknownAgent
from tests.support.listed_models import ROUTER, ListedModels, model


@pytest.fixture
def manager() -> Iterator[LLMManager]:
    with LLMManager({"own": {"type": "fake"}}) as manager:
        yield manager


@pytest.fixture
def listed() -> ListedModels:
    return ListedModels("maker/a", "maker/b", "maker/c")


def test_a_listed_model_is_registered_when_it_is_chosen(manager: LLMManager, listed: ListedModels) -> None:
    catalog = Catalog(manager, providers=listed)
    assert list(manager.list_models()) == ["own"]
    catalog.create(AgentConfig("hf/maker/a"))
    assert list(manager.list_models()) == ["own", "hf/maker/a"]
    spec = manager.spec("hf/maker/a")
    assert (spec.base_url, spec.model_name, spec.credentials) == (ROUTER, "maker/a:swift", "visitor")


@pytest.mark.parametrize(
    "agent", ["hf/maker/other", "maker/a", "hf/", "https://elsewhere.example/v1", "hf/maker/a:dear"]
)
def test_nothing_else_is_registered(manager: LLMManager, listed: ListedModels, agent: str) -> None:
    with pytest.raises(UnknownAgent):
        Catalog(manager, providers=listed).create(AgentConfig(agent))
    assert list(manager.list_models()) == ["own"]


def test_the_ones_used_longest_ago_are_forgotten(manager: LLMManager, listed: ListedModels) -> None:
    entries = LentEntries(manager, listed, most=2)
    for name in ("hf/maker/a", "hf/maker/b", "hf/maker/a", "hf/maker/c"):
        assert entries.registered(name) is not None
    assert set(manager.list_models()) == {"own", "hf/maker/a", "hf/maker/c"}


def test_a_new_price_counts_from_the_next_choice_on(manager: LLMManager, listed: ListedModels) -> None:
    entries = LentEntries(manager, listed)
    first = entries.registered("hf/maker/a")
    listed.list(model("maker/a", price=7))
    second = entries.registered("hf/maker/a")
    assert first is not None
    assert second is not None
    assert (first.price and first.price.input, second.price and second.price.input) == (1, 7)
    assert manager.spec("hf/maker/a") == second


def test_a_model_that_is_no_longer_listed_stays_while_it_is_registered(
    manager: LLMManager, listed: ListedModels
) -> None:
    entries = LentEntries(manager, listed)
    entries.registered("hf/maker/a")
    listed.list()
    assert entries.registered("hf/maker/a") is not None
    assert entries.registered("hf/maker/b") is None


def test_the_operators_own_entry_comes_first(listed: ListedModels) -> None:
    with LLMManager({"hf/maker/a": {"type": "fake"}}) as manager:
        spec = LentEntries(manager, listed).registered("hf/maker/a")
        assert spec is not None
        assert spec.type == "fake"


def test_forgetting_a_model_leaves_the_others(manager: LLMManager) -> None:
    manager.register_model("more", {"type": "fake"})
    manager.pin("more")
    manager.unregister("own")
    assert list(manager.list_models()) == ["more"]
    assert manager.list_models()["more"]["pinned"]
