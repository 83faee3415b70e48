"""What is made of a listing of provider models, however odd its entries are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from manager.config.model_spec import Price
from manager.config.provider_models import MOST, ProviderModel, ShippedModel, read_listing, read_shipped
from manager.errors import ConfigError

SHIPPED = Path(__file__).parents[4] / "configs" / "providers.yaml"
GOOD: dict[str, Any] = {
    "id": "owner/strong",
    "providers": [
        {
            "provider": "dear",
            "status": "live",
            "context_length": 131072,
            "pricing": {"input": 3, "output": 9},
            "supports_structured_output": True,
        },
        {
            "provider": "cheap",
            "status": "live",
            "context_length": 32768,
            "pricing": {"input": 0.5, "output": 1.5},
            "supports_structured_output": True,
        },
        {"provider": "loose", "status": "live", "pricing": {"input": 0.1, "output": 0.1}},
        {"provider": "down", "status": "error", "pricing": {"input": 0, "output": 0}},
    ],
}


def listed(*entries: object) -> list[ProviderModel]:
    return list(read_listing({"data": list(entries)}, {}).values())


def alone(**keys: Any) -> ProviderModel:
    """Return a model with one provider, which states `keys`."""
    (model,) = listed({"id": "owner/m", "providers": [{"provider": "p", "status": "live", **keys}]})
    return model


def test_the_cheapest_provider_that_holds_replies_to_a_schema_serves_a_model() -> None:
    assert listed(GOOD) == [ProviderModel("owner/strong", "strong", "cheap", Price(input=0.5, output=1.5), 32768, True)]


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "owner/m",
        {},
        {"id": 7},
        {"id": "no-owner"},
        {"id": "owner/m\n"},
        {"id": "owner/../../etc"},
        {"id": "owner/m?x=1"},
        {"id": "https://elsewhere.example/v1"},
        {"id": "owner/" + "m" * 200},
        {"id": "öwner/m"},
        {"id": "owner/m", "providers": []},
        {"id": "owner/m", "providers": None},
        {"id": "owner/m", "providers": [{"provider": "p", "status": "error"}]},
        {"id": "owner/m", "providers": [{"provider": "p", "task": "text-to-image"}]},
        {"id": "owner/m", "pipeline_tag": "feature-extraction"},
        {"id": "owner/m", "architecture": {"output_modalities": ["image"]}},
    ],
)
def test_an_entry_that_cannot_be_used_is_skipped_alone(entry: object) -> None:
    assert [model.name for model in listed(entry, GOOD)] == ["owner/strong"]


@pytest.mark.parametrize("listing", [None, [], {}, {"data": None}, {"data": {"id": "owner/m"}}, "error", 7])
def test_an_answer_of_another_shape_lists_nothing(listing: object) -> None:
    assert read_listing(listing, {}) == {}


def test_a_model_may_come_without_providers() -> None:
    assert listed({"id": "owner/m", "object": "model"}) == [ProviderModel("owner/m", "m")]


@pytest.mark.parametrize(
    "pricing",
    [
        *(None, [], "free", {}, {"input": 1}, {"input": -1, "output": 1}, {"input": "nan", "output": 1}),
        *({"input": True, "output": 1}, {"input": 1e99, "output": 1}, {"input": "1" * 5000, "output": 1}),
    ],
)
def test_a_price_that_makes_no_sense_is_no_price(pricing: object) -> None:
    assert alone(pricing=pricing).price is None


def test_numbers_may_be_written_as_text() -> None:
    model = alone(pricing={"input": "0.25", "output": "1"}, context_length="4096")
    assert (model.price, model.context) == (Price(input=0.25, output=1), 4096)


@pytest.mark.parametrize("length", [0, -5, "long", None, 1e30, [4096], True])
def test_a_context_that_makes_no_sense_is_unknown(length: object) -> None:
    assert alone(context_length=length).context is None


@pytest.mark.parametrize("provider", ["a b", "p/../x", "p:q", "", None, 7, "p" * 41, "ü"])
def test_a_provider_with_an_odd_name_is_left_to_the_router(provider: object) -> None:
    assert alone(provider=provider).provider is None


def test_a_listing_is_cut_off() -> None:
    assert len(listed(*({"id": f"owner/m{number}"} for number in range(MOST + 5)))) == MOST


def test_the_first_of_two_entries_counts() -> None:
    assert [model.context for model in listed({"id": "o/m", "context_length": 1}, {"id": "o/m"})] == [1]


def test_the_shipped_list_comes_first_and_gives_settings() -> None:
    own = ShippedModel.model_validate({"label": "The last", "generation_config": {"temperature": 0.1}})
    found = list(read_listing({"data": [{"id": "o/first"}, {"id": "o/last"}]}, {"o/last": own}).values())
    assert [model.label for model in found] == ["The last", "first"]
    assert [model.generation.temperature for model in found] == [0.1, 0.7]


def test_the_shipped_list_is_right() -> None:
    shipped = read_shipped(SHIPPED)
    assert len(shipped) >= 5
    assert all(own.label and own.generation_config.model_fields_set for own in shipped.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "expected models by their names on the Hub"),
        ("just-a-name: {}", "model 'just-a-name': write its name on the Hub"),
        ("o/m: {base_url: http://elsewhere.example}", "model 'o/m': key 'base_url': unknown key"),
    ],
)
def test_a_wrong_shipped_list_is_explained(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "providers.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_shipped(tmp_path / "providers.yaml")


ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=20),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=12), inner, max_size=5),
    max_leaves=12,
)
KEYS = some.sampled_from(
    ["id", "providers", "provider", "status", "pricing", "input", "output", "context_length", "task", "architecture"]
)
ENTRY = some.dictionaries(KEYS, ANYTHING | some.just("owner/m") | some.dictionaries(KEYS, ANYTHING), max_size=8)


@given(some.lists(ENTRY | ANYTHING, max_size=6))
def test_no_entry_keeps_another_from_being_read(entries: list[object]) -> None:
    assert "hf/owner/strong" in read_listing({"data": [*entries, GOOD]}, {})
