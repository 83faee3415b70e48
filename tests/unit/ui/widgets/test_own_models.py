"""Pick lists: models on the visitor's account are offered to those who have one, and others learn what is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.app.availability import ModelAvailability
from negotiation.app.parley import Parley
from negotiation.app.settings import read_settings
from tests.support.hub_access import Access
from tests.support.listed_models import ListedModels
from ui.widgets.agent_picker import about_html, choices, is_usable, labels, on_account_html

STRONG = "hf/maker/strong"


@pytest.fixture
def parley(tmp_path: Path) -> Iterator[Parley]:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "models.yaml").write_text("m: {type: fake, label: Small}\n")
    settings = read_settings({"PARLEY_HOME": str(tmp_path), "PARLEY_CONFIG": str(tmp_path / "configs")})
    parley = Parley.open(settings)
    catalog = Catalog(parley.manager, providers=ListedModels("maker/strong", "maker/stronger"))
    yield replace(parley, catalog=catalog, availability=ModelAvailability(catalog, Access()))
    parley.close()


def test_they_are_offered_last_with_price_and_context(parley: Parley) -> None:
    listed = choices(parley, account=True)
    facts = "served remotely, on your account · $1.00 in, $3.00 out per million tokens · 8,192 tokens of context"
    assert listed[-2:] == [(f"strong · {facts}", STRONG), (f"stronger · {facts}", "hf/maker/stronger")]
    assert listed[:-2] == choices(parley)


def test_without_an_account_they_say_what_is_needed(parley: Parley) -> None:
    assert not any(agent.startswith("hf/") for _, agent in choices(parley))
    assert not is_usable(parley, STRONG)
    assert "on your account: choose “Use your own account”" in about_html(parley, AgentConfig(STRONG))
    assert on_account_html(parley, account=False).startswith('<p class="on-account">2 more models')


def test_with_an_account_nothing_more_is_needed(parley: Parley) -> None:
    assert is_usable(parley, STRONG, account=True)
    assert "Use your own account" not in about_html(parley, AgentConfig(STRONG), account=True)
    assert "2 models are served remotely" in on_account_html(parley, account=True)


def test_choosing_one_offers_it_to_nobody_else(parley: Parley) -> None:
    parley.catalog.create(AgentConfig(STRONG))
    assert not any(agent == STRONG for _, agent in choices(parley))
    assert [agent for _, agent in choices(parley, account=True)].count(STRONG) == 1


def test_they_have_names_before_they_are_registered(parley: Parley) -> None:
    assert labels(parley)[STRONG] == "strong"
