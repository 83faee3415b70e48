"""The registry: the keys of entries, which entries share weights, and messages about mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from manager.config.model_spec import GenerationConfig, ModelSpec, parse_spec
from manager.config.registry import Registry
from manager.errors import ConfigError, Refused, UnknownModel

FAKE = {"type": "fake"}
REPOSITORY = {"model_name": "owner/name"}


def spec(**keys: Any) -> ModelSpec:
    return parse_spec("m", {**REPOSITORY, **keys})


# -- entries ---------------------------------------------------------------------------------------------------


def test_an_entry_needs_little() -> None:
    entry = spec()
    assert (entry.type, entry.device, entry.dtype, entry.pinned) == ("huggingface", "auto", "auto", False)
    assert entry.generation_config == GenerationConfig()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "key 'model_name': missing (a Hub repository, a folder, or the model's name on its server)"),
        ({**FAKE, "colour": 1}, "key 'colour': unknown key (known: "),
        (
            {**FAKE, "generation_config": {"temprature": 1}},
            "key 'generation_config.temprature': unknown key (known: temperature, top_p, top_k, min_p, "
            "repetition_penalty, max_new_tokens, stop, reproducible)",
        ),
        ({**FAKE, "generation_config": {"top_p": 0}}, "key 'generation_config.top_p': must be more than 0"),
        ({**FAKE, "idle_seconds": 0}, "key 'idle_seconds': must be more than 0"),
        ({**FAKE, "dtype": "int8"}, "key 'dtype': must be 'auto', 'float32', 'bfloat16' or 'float16'"),
        ({"type": "openai", **REPOSITORY}, "key 'base_url': missing (the URL of the OpenAI-compatible server)"),
        ({**FAKE, "model_id": "m"}, "key 'model_id': unknown key (the entry's name is its id)"),
        (None, "expected keys with values (key: value), got nothing"),
        ("fake", "expected keys with values (key: value), got text"),
    ],
)
def test_mistakes_name_file_model_and_key(config: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_spec("m", config, "models.yaml")
    assert str(caught.value).startswith(f"models.yaml: model 'm': {message}")


@pytest.mark.parametrize("model_id", ["", "has space", "-x", "a" * 101, "semi;colon", "<b>"])
def test_odd_ids_are_refused(model_id: str) -> None:
    with pytest.raises(ConfigError, match="a model id has at most 100 characters"):
        parse_spec(model_id, FAKE)


@pytest.mark.parametrize("model_id", ["a", "Qwen/Qwen3-0.6B", "llama3.2:1b", "x_y"])
def test_usual_ids_are_taken(model_id: str) -> None:
    assert parse_spec(model_id, FAKE).model_id == model_id


def test_an_api_key_instead_of_its_name_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="the NAME of an environment variable") as caught:
        spec(api_key="sk-abc123")
    assert "abc123" not in str(caught.value)
    assert spec(api_key="OPENAI_API_KEY").api_key == "OPENAI_API_KEY"


def test_entries_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        spec().pinned = True


# -- sharing ---------------------------------------------------------------------------------------------------


def test_entries_that_differ_in_use_share_weights() -> None:
    one = spec(generation_config={"temperature": 0.1}, label="One", pinned=True, idle_seconds=5, concurrency=2)
    other = parse_spec("other", {**REPOSITORY, "generation_config": {"temperature": 0.9}, "license": "MIT"})
    assert one.weights == other.weights


@pytest.mark.parametrize(
    "keys",
    [
        {"model_name": "owner/other"},
        {"type": "fake"},
        {"device": "cpu"},
        {"dtype": "float16"},
        {"revision": "v2"},
        {"gguf_file": "x.gguf"},
        {"quantization": "int4"},
        {"adapters": ["a/b"]},
    ],
)
def test_entries_that_differ_in_what_is_loaded_do_not(keys: dict[str, Any]) -> None:
    assert spec(**keys).weights != spec().weights


def test_the_same_name_on_two_servers_is_two_sets_of_weights() -> None:
    first, second = (spec(type="openai", base_url=f"http://{host}/v1") for host in ("one", "two"))
    assert first.weights != second.weights


def test_fakes_share_by_model_name_or_stand_alone() -> None:
    registry = Registry.from_configs({"a": FAKE, "b": FAKE, "c": {**FAKE, "model_name": "a"}})
    assert registry["a"].weights != registry["b"].weights
    assert registry.aliases(registry["a"].weights) == ("a", "c")


def test_weights_have_a_readable_name() -> None:
    assert str(spec().weights) == "owner/name"
    assert str(spec(dtype="float16", revision="v2", adapters=["x/y"]).weights) == "owner/name+float16+v2+x/y"


# -- the registry ----------------------------------------------------------------------------------------------


def test_a_file_with_or_without_a_heading(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    for text in ("b: {type: fake}\na: {type: fake}\n", "models:\n  b: {type: fake}\n  a: {type: fake}\n"):
        path.write_text(text)
        assert [entry.model_id for entry in Registry.from_yaml(path)] == ["b", "a"], "in the file's order"


@pytest.mark.parametrize("text", ["", "models:", "# nothing yet\n"])
def test_a_file_may_be_empty(tmp_path: Path, text: str) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(text)
    assert len(Registry.from_yaml(path)) == 0


def test_mistakes_in_a_file_name_it(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    for text, message in [
        ("a: {type: fake}\na: {type: fake}", ", line 2, column 1: duplicate key 'a'; keep one"),
        ("a: {typ: fake}", ": model 'a': key 'typ': unknown key"),
        ("- a", ": expected a mapping of model ids to their settings"),
        ("models: [a]", ": expected a mapping of model ids to their settings"),
    ]:
        path.write_text(text)
        with pytest.raises(ConfigError) as caught:
            Registry.from_yaml(path)
        assert str(caught.value).startswith(f"{path}{message}")
    with pytest.raises(ConfigError, match="no such file"):
        Registry.from_yaml(tmp_path / "missing.yaml")


def test_numbers_are_fine_as_ids() -> None:
    assert Registry.from_configs({7: FAKE})["7"].model_id == "7"  # type: ignore[dict-item]


def test_an_unknown_id_is_reported_with_the_known_ones() -> None:
    with pytest.raises(UnknownModel, match=r"model 'c' is not registered \(registered: a, b\)"):
        Registry.from_configs({"a": FAKE, "b": FAKE})["c"]
    with pytest.raises(UnknownModel, match=r"\(registered: none\)"):
        Registry()["c"]


def test_adding() -> None:
    registry = Registry.from_configs({"a": FAKE})
    registry.add(parse_spec("b", FAKE))
    registry.add(parse_spec("b", FAKE))
    assert "b" in registry
    assert len(registry) == 2
    with pytest.raises(ConfigError, match="model 'b' is already registered with other settings; pick another id"):
        registry.add(parse_spec("b", {**FAKE, "pinned": True}))
    assert not registry["b"].pinned


def test_a_registry_does_not_change_with_its_source() -> None:
    specs = {"a": parse_spec("a", FAKE)}
    registry = Registry(specs)
    registry.add(parse_spec("b", FAKE))
    assert list(specs) == ["a"]


def test_the_models_that_come_with_parley_are_read() -> None:
    registry = Registry.from_yaml(Path(__file__).parents[4] / "configs" / "models.yaml")
    steady, bold = registry["smollm2-steady"], registry["smollm2-bold"]
    assert steady.weights == bold.weights
    assert steady.generation_config != bold.generation_config


# -- one device, two names -------------------------------------------------------------------------------------


def device_of(spec: ModelSpec) -> str:
    if spec.device == "gone":
        raise Refused("no such device")
    return {"auto": "cuda:0", "cuda": "cuda:0"}.get(spec.device, spec.device)


@pytest.mark.parametrize(
    ("device", "shared"), [("cuda:0", True), ("cuda", True), ("auto", True), ("cpu", False), ("gone", False)]
)
def test_names_of_the_same_device_share_weights(device: str, shared: bool) -> None:
    registry = Registry()
    first = registry.add(parse_spec("first", {"model_name": "x/y"}))
    second = registry.add(registry.united(parse_spec("second", {"model_name": "x/y", "device": device}), device_of))
    assert (first.weights == second.weights) is shared
    again = registry.united(parse_spec("second", {"model_name": "x/y", "device": device}), device_of)
    assert registry.add(again) == second, "registering it again changes nothing"


@pytest.mark.parametrize("settings", [{"dtype": "float32"}, {"revision": "v2"}, {"model_name": "x/z"}, {}])
def test_devices_are_looked_up_only_if_it_matters(settings: dict[str, str]) -> None:
    def never(spec: ModelSpec) -> str:
        raise AssertionError

    registry = Registry()
    registry.add(parse_spec("first", {"model_name": "x/y"}))
    device = {"device": "cpu"} if settings else {}
    spec = parse_spec("second", {"model_name": "x/y", **device, **settings})
    assert registry.united(spec, never) is spec


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"price": {"input": -1}}, "price.input"),
        ({"price": {"output": float("inf")}}, "price.output"),
        ({"price": {"prompt": 1}}, "price.prompt"),
        ({"timeouts": {"first_token": 0}}, "timeouts.first_token"),
        ({"retries": 11}, "retries"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
    ],
)
def test_settings_of_remote_models_are_checked(settings: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=f"model 'm': key '{key}'"):
        spec(type="openai", base_url="http://one/v1", **settings)


def test_models_at_one_server_share_weights_only_with_the_same_key_and_trust() -> None:
    kinds: list[dict[str, Any]] = [{}, {"api_key": "ONE"}, {"api_key": "TWO"}, {"public_only": True}]
    assert len({spec(type="openai", base_url="http://one/v1", **kind).weights for kind in kinds}) == 4


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"gguf_file": "x.gguf", "sha256": "abc"}, "key 'sha256': write the 64 hexadecimal digits"),
        ({"adapters": ["shipped:../x"]}, "key 'adapters': write the name of an adapter that comes with Parley"),
        ({"sha256": "0" * 64}, "key 'sha256': it is the digest of a GGUF file; name that as 'gguf_file'"),
    ],
)
def test_a_digest_belongs_to_a_gguf_file(entry: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_spec("m", {"model_name": "folder", **entry})
