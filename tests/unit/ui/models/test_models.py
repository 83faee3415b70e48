"""The registry, the timeline and the operator's rights, without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from manager.machine.hub_access import SILENT
from manager.manager import LLMManager
from manager.state import LoadProgress, State
from manager.status.snapshot import Entry
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.strategies import STRATEGIES
from negotiation.app.availability import ModelAvailability
from negotiation.app.machine_profile import Machine
from negotiation.app.parley import Parley
from negotiation.app.settings import read_settings
from negotiation.errors import DoesNotFit
from tests.support.hub_access import Access, with_access
from tests.support.hubserver import Hub, serving_hub
from ui.drawing.timeline import LONGEST_SECONDS, timeline_html
from ui.kit import text as shared
from ui.models import text
from ui.models.operator_actions import OperatorActions
from ui.models.table import models_html, needs
from ui.server.operator import operators_of
from ui.server.visitor import COOKIE, visitor_of
from ui.widgets.agent_picker import choices
from ui.widgets.model_facts import unusable_html

NOW = 1_700_000_000.0
LOAD = Entry(
    number=1,
    kind="load",
    weights="w",
    model_ids=("m",),
    owner=None,
    begun=NOW - 30,
    ended=NOW - 20,
    bytes=900_000_000,
    reason="requested",
    outcome="loaded",
)


def test_the_table_shows_state_size_memory_licence_and_needs() -> None:
    configs: dict[str, dict[str, Any]] = {
        "m": {"type": "fake", "label": "<b>Mine</b>", "size_bytes": 900_000_000, "license": "MIT", "size": "1B"},
        "hub": {"model_name": "a/b", "size": "1.7B"},
        "served": {"type": "fake", "model_name": "x"},
    }
    with LLMManager(configs) as manager:
        manager.load_model("m")
        manager.pin("m")
        specs = [manager.spec(model_id) for model_id in configs]
        shown = models_html(specs, manager.snapshot(), {"m": "", "hub": "<i>much</i>", "served": ""})
        assert "&lt;b&gt;Mine&lt;/b&gt;" in shown
        for words in ("900 MB on cpu", "MIT", text.PINNED, "&lt;i&gt;much", shared.STATE["resident"]):
            assert words in shown
        snapshot = manager.snapshot()
    progress = LoadProgress("fetching", 5, 10, 1.0)
    row = snapshot.weights[0]._replace(state=State.LOADING, progress=progress, waiting=2, leases=0)
    loading = models_html(specs[:1], replace(snapshot, weights=(row,)), {"m": ""})
    assert shared.FETCHING in loading
    assert 'value="50"' in loading
    assert text.WAITING.format(count=2) in loading


def test_a_remote_model_shows_address_price_and_the_age_of_its_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "sk-Very-Secret")
    entry = {"type": "openai", "model_name": "org/m", "base_url": "http://gpu-box:8000/v1", "api_key": "THE_KEY"}
    with LLMManager({"far": {**entry, "price": {"input": 0.15, "output": 2}}}) as manager:
        spec, snapshot = manager.spec("far"), manager.snapshot()
        parley: Any = SimpleNamespace(availability=ModelAvailability(Catalog(manager), Access()))
        needed = {"far": needs(parley, spec)}
        row = snapshot.weights[0]._replace(remote=True, state=State.RESIDENT, reason="answers", answered=3.0)
        fresh, old, down = (
            models_html([spec], replace(snapshot, weights=(row._replace(**changed),)), needed)
            for changed in ({}, {"answered": 400.0}, {"state": State.FAILED, "reason": "no route", "answered": 400.0})
        )
    for words in ("http://gpu-box:8000/v1", "$0.15 in, $2.00 out per million tokens", shared.ANSWERS):
        assert words in fresh
    assert "last answer 7 min ago" in old
    assert 'data-state="resident"' not in old
    assert "last answer 7 min ago" in down
    assert "no route" in down
    assert "Very-Secret" not in fresh + old + down


def test_an_empty_registry_has_its_own_message() -> None:
    with LLMManager({}) as manager:
        assert shared.STATUS_NONE in models_html([], manager.snapshot(), {})


def test_the_timeline_draws_a_row_for_each_set_of_weights_with_durations() -> None:
    wait = Entry(
        number=2,
        kind="wait",
        weights="w",
        model_ids=("m",),
        owner="run",
        begun=NOW - 30,
        ended=NOW - 20,
        bytes=0,
        reason="",
        outcome="granted",
    )
    going = Entry(
        number=3,
        kind="load",
        weights="v",
        model_ids=(),
        owner=None,
        begun=NOW - 5,
        ended=None,
        bytes=0,
        reason="requested",
    )
    failed = Entry(
        number=4,
        kind="failure",
        weights="v",
        model_ids=(),
        owner=None,
        begun=NOW - 2,
        ended=NOW - 2,
        bytes=0,
        reason="<i>no</i>",
    )
    shown = timeline_html([LOAD, wait, going, failed], NOW, {"m": "Mine"})
    assert shown.count('class="row"') == 2
    assert "took 10.0 s" in shown
    assert "for 5.0 s so far" in shown
    assert "span load open" in shown
    assert "Mine" in shown
    assert "&lt;i&gt;no&lt;/i&gt;" in shown
    assert "<i>no" not in shown


def test_the_timeline_drops_old_entries() -> None:
    assert shared.TIMELINE_EMPTY in timeline_html([], NOW, {})
    assert shared.TIMELINE_EMPTY in timeline_html([LOAD], NOW + LONGEST_SECONDS, {})


@pytest.fixture
def parley(tmp_path: Path) -> Iterator[Parley]:
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "models.yaml").write_text("m: {type: fake}\n")
    environment = {"PARLEY_HOME": str(tmp_path), "PARLEY_CONFIG": str(configs), "PARLEY_OPERATOR_PASSWORD": "sesame"}
    parley = Parley.open(read_settings(environment))
    yield parley
    parley.close()


def test_the_needs_of_each_kind_of_model_and_a_model_that_does_not_fit(tmp_path: Path) -> None:
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "models.yaml").write_text(
        "packaged: {model_name: a/b, gguf_file: 'package:ui/kit/text.py', size: 1B}\n"
        "elsewhere: {model_name: a/b, gguf_file: 'package:no_such_package/x', size: 1B}\n"
        f"folder: {{model_name: {configs}, size: 1B}}\ngone: {{model_name: /models/b, size: 1B}}\n"
        "unknown: {model_name: c/d}\nhuge: {model_name: e/f, size: 70B}\n"
        "served: {type: openai, model_name: x, base_url: 'http://127.0.0.1:1/v1'}\nfake: {type: fake}\n"
    )
    machine = Machine(9 * 10**9, bfloat16=True)
    environment = {"PARLEY_HOME": str(tmp_path), "PARLEY_CONFIG": str(configs)}
    parley = Parley.open(read_settings(environment, machine))
    try:
        online = with_access(parley)
        found = {spec.model_id: needs(online, spec) for spec in map(parley.manager.spec, parley.manager.list_models())}
        assert found == {
            "packaged": "ready here, included with Parley",
            "elsewhere": "needs a download of 2.0 GB, 2.4 GB of memory",
            "folder": "ready here, 2.4 GB of memory",
            "gone": "cannot be used: it is missing: there is no folder /models/b",
            "unknown": "needs a download",
            "huge": "cannot be used: it needs about 168.0 GB, and this machine has 6.4 GB for models",
            "served": "the remote server http://127.0.0.1:1/v1",
            "fake": text.NEEDS_NOTHING,
        }
        picks = {agent: label for label, agent in choices(online)}
        models = [agent for agent in picks if agent not in STRATEGIES]
        assert models == ["packaged", "folder", "fake", "served", "elsewhere", "unknown"], "by group"
        assert picks["packaged"] == "packaged · ready here · included with Parley"
        assert picks["served"] == "served · served remotely"
        assert picks["elsewhere"] == "elsewhere · needs a download of 2.0 GB · 2.4 GB of memory"
        assert "<b>huge</b> needs about 168.0 GB, and this machine has" in unusable_html(online)
        offline = with_access(parley, SILENT)
        assert [a for _, a in choices(offline) if a not in STRATEGIES] == ["packaged", "folder", "fake", "served"]
        assert "<b>elsewhere</b> must be downloaded first, and the Hub does not answer." in unusable_html(offline)
        with pytest.raises(DoesNotFit, match=r"'huge' does not fit: it needs about 168.0 GB, .*; pick a smaller model"):
            parley.catalog.create(AgentConfig("huge"))
    finally:
        parley.close()


def request(visitor: str) -> Any:
    return SimpleNamespace(cookies={COOKIE: visitor}, session_hash="page")


def load(actions: OperatorActions, asking: Any) -> None:
    """Load on a separate thread: `asyncio.run` would remove the main thread's event loop, which Gradio needs."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(actions.load(asking, "m"))).result()


def test_every_handler_of_an_action_requires_the_operator(parley: Parley) -> None:
    actions, stranger = OperatorActions(parley), request("a-stranger-with-a-cookie")
    before = parley.manager.list_models()
    with pytest.raises(gr.Error, match="operator"):
        load(actions, stranger)
    for act in (actions.unload, actions.pin, actions.unpin):
        with pytest.raises(gr.Error, match="operator"):
            act(stranger, "m")
    with pytest.raises(gr.Error, match="operator"):
        actions.add(stranger, "owner/name", "", "")
    assert parley.manager.list_models() == before


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serving_hub(monkeypatch, tmp_path) as server:
        yield server


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("owner/missing", "the Hub has no repository 'owner/missing'"),
        ("owner/walled", "'owner/walled' is gated"),
        ("owner/down", "cannot be downloaded"),
        ("owner/huge", "owner/huge does not fit: it needs about"),
    ],
)
def test_a_model_is_checked_before_it_is_added(parley: Parley, hub_server: Hub, name: str, problem: str) -> None:
    hub_server.files["owner/huge"] = {"model.safetensors": b"x"}
    hub_server.parameters["owner/huge"] = 10**13
    actions, operator = OperatorActions(parley), request("the-operator-with-a-cookie")
    assert operators_of(parley).sign_in(visitor_of(operator), "here", "sesame") is None
    with pytest.raises(gr.Error, match=problem):
        actions.add(operator, name, "", "")
    assert name not in parley.manager.list_models()


def test_the_operator_loads_pins_and_adds(parley: Parley, hub_server: Hub) -> None:
    actions, operator = OperatorActions(parley), request("the-operator-with-a-cookie")
    assert operators_of(parley).sign_in(visitor_of(operator), "here", "sesame") is None
    load(actions, operator)
    manager = parley.manager
    assert manager.list_models()["m"]["is_loaded"]
    actions.pin(operator, "m")
    assert manager.list_models()["m"]["pinned"]
    actions.unpin(operator, "m")
    assert not manager.list_models()["m"]["pinned"]
    for wrong in ("no hub id", "owner/name/more", ""):
        with pytest.raises(gr.Error, match="owner/name"):
            actions.add(operator, wrong, "", "")
    with pytest.raises(gr.Error, match="Pick a model"):
        actions.unload(operator, None)
    hub_server.files["owner/name"] = {"model.safetensors": b"x"}
    hub_server.parameters["owner/name"] = 135_000_000
    assert actions.add(operator, " owner/name ", "Mine", "") == "owner/name"
    added = manager.spec("owner/name")
    assert (added.label, added.size, added.license, added.gated) == ("Mine", "135M", "apache-2.0", False)
    operators_of(parley).sign_out(visitor_of(operator))
    with pytest.raises(gr.Error, match="operator"):
        actions.unload(operator, "m")
