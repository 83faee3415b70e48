"""Provenance: every run says what it was played with, and earlier runs without it stay readable."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import metadata
from typing import Any

import pytest

from manager.cancel import CancelToken
from manager.identity import Identity, ServerReport
from manager.manager import LLMManager
from negotiation.agents import prompts
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.batch.executor import play
from negotiation.errors import StoreError
from negotiation.game.events import Halted, Turn, TurnTaken, Writer
from negotiation.game.protocol import Action
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.codec import run_from_json, run_to_json
from negotiation.runs.export import read_export, to_csv, to_jsonl
from negotiation.runs.provenance import Program, Provenance, this_program
from negotiation.runs.record import Run
from negotiation.runs.store import Store
from negotiation.scenario.model import Scenario, parse_scenario
from tests.support.remote_server import FaultyServer, answers

Runs = Callable[..., Run]
MODELS: dict[str, Any] = {
    "warm": {
        "model_name": "fakes/warm",
        "generation_config": {"temperature": 0.4, "top_p": 0.9, "max_new_tokens": 200},
    },
    "plain": {},
}


@pytest.fixture
def catalog(managers: Callable[..., LLMManager]) -> Catalog:
    return Catalog(managers(MODELS))


def played(catalog: Catalog, run: Run) -> Run:
    return play(catalog, run, CancelToken())


def known(run: Run) -> Provenance:
    assert run.provenance is not None
    return run.provenance


def writer(fingerprint: str = "fp_1", temperature: float = 0.7) -> Writer:
    server = ServerReport(model="m-2026", fingerprint=fingerprint)
    return Writer(Identity(model_name="m", device="remote", server=server), {"temperature": temperature})


# -- what is recorded ------------------------------------------------------------------------------------------


def test_a_run_names_its_program_its_prompts_and_its_scenario(catalog: Catalog, make_run: Runs, bike: Scenario) -> None:
    found = known(played(catalog, make_run("run", a="boulware", b="conceder")))
    assert found.scenario_sha256 == bike.sha256
    assert found.program == this_program()
    assert found.program.prompt_version == prompts.VERSION
    assert found.models == {}, "scripted strategies belong to the program"


def test_a_model_is_recorded_with_every_sampling_setting_as_used(catalog: Catalog, make_run: Runs) -> None:
    run = replace(
        make_run("run", b="boulware"),
        agents={"a": AgentConfig("warm", {"temperature": 0.1, "thinking": 50}), "b": AgentConfig("boulware")},
    )
    done = played(catalog, run)
    (use,) = known(done).models["a"]
    assert use.identity == Identity(model_name="fakes/warm", device="cpu")
    assert use.sampling == {
        "temperature": 0.1, "top_p": 0.9, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "max_new_tokens": 250,
        "stop": [], "reproducible": False,
    }  # fmt: skip
    assert known(done).of_turn("a", 4) == use
    assert known(done).of_turn("b", 1) is None


def test_a_remote_server_is_recorded_as_it_describes_itself(
    managers: Callable[..., LLMManager], make_run: Runs, remote: FaultyServer
) -> None:
    reply = json.dumps({"thought": "", "action": "walk_away", "offer": None, "message": "Bye."})
    remote.behaviours = [answers(reply, signed={"model": "m-2026", "system_fingerprint": "fp_7"})]
    config = {"type": "openai", "model_name": "m", "base_url": remote.base_url, "extra_body": {"service_tier": "flex"}}
    done = played(Catalog(managers({"far": config})), make_run("run", a="far", b="boulware"))
    (use,) = known(done).models["a"]
    assert (use.identity.model_name, use.identity.device) == ("m", "remote")
    assert use.identity.server is not None
    assert (use.identity.server.model, use.identity.server.fingerprint) == ("m-2026", "fp_7")
    assert use.sampling["extra_body"] == {"service_tier": "flex"}
    assert remote.base_url not in json.dumps(run_to_json(done)), "addresses are private"


@pytest.fixture
def remote() -> Iterator[FaultyServer]:
    server = FaultyServer()
    yield server
    server.close()


def test_a_change_of_the_writer_is_recorded_from_its_first_turn_on(bike: Scenario) -> None:
    found = Provenance.begun(bike)
    for turn, wrote in enumerate([writer(), None, writer(), None, writer("fp_2"), None, writer("fp_2")]):
        found = found.written("a" if turn % 2 == 0 else "b", turn, wrote)
    assert [use.first_turn for use in found.models["a"]] == [0, 4]
    assert "b" not in found.models
    of_turn = [found.of_turn("a", turn) for turn in (0, 2, 4, 6)]
    fingerprints = [use.identity.server.fingerprint for use in of_turn if use is not None and use.identity.server]
    assert fingerprints == ["fp_1", "fp_1", "fp_2", "fp_2"]


def test_the_digest_of_a_scenario_covers_what_is_played_and_no_default(bike_data: dict[str, Any]) -> None:
    def digest(**changed: Any) -> str:
        return parse_scenario("bike", {**bike_data, **changed}, "bike.yaml").sha256

    bike = parse_scenario("bike", bike_data, "bike.yaml")
    assert bike.sha256
    changed = bike.model_copy(update={"rounds": 7})
    assert digest() == digest(discount=1.0) == parse_scenario("other", bike_data, "other.yaml").sha256
    assert len({digest(), changed.sha256, digest(rounds=5), digest(story="Another story."), digest(discount=0.9)}) == 5


# -- where it is stored ----------------------------------------------------------------------------------------


def test_provenance_is_committed_with_each_turn_and_survives_everything(
    catalog: Catalog, store: Store, make_run: Runs
) -> None:
    live = LiveRuns(catalog, store)
    try:
        run_id = live.start(make_run(a="warm", b="boulware"), background=True)
        watch = live.watch(run_id)
        for event in watch or ():
            if isinstance(event, TurnTaken) and event.turn.seat == "a":
                assert known(store.run(run_id)).models["a"][0].identity.model_name == "fakes/warm"
    finally:
        live.close()
    stored = store.run(run_id)
    assert known(stored).program == this_program()
    assert run_from_json(json.loads(json.dumps(run_to_json(stored)))).provenance == stored.provenance
    (line,) = to_jsonl([stored])
    assert read_export(json.loads(line)) == replace(stored, owner=None, published=False)


def test_a_run_that_another_version_continues_names_both(catalog: Catalog, store: Store, make_run: Runs) -> None:
    begun = make_run("run-1")
    earlier = this_program().model_copy(update={"parley": "0.0.9", "prompt_version": 1})
    first = Provenance(scenario_sha256=begun.scenario.sha256, program=earlier)
    store.begin(replace(begun, provenance=first))
    store.add_turn("run-1", Turn(0, 1, "a", "boulware", Action.OFFER, {"price": 200, "lock": "without"}), first)
    store.end("run-1", Halted("stopped", "stopped"))
    live = LiveRuns(catalog, store)
    try:
        live.resume("run-1")
        for _ in live.watch("run-1") or ():
            pass
    finally:
        live.close()
    found = known(store.run("run-1"))
    assert (found.program, found.continued_by) == (earlier, (this_program(),))
    assert found.continued() == found, "the same program is named once"


@pytest.mark.parametrize("stored", [None, "absent"])
def test_runs_without_provenance_stay_readable(make_run: Runs, stored: str | None) -> None:
    data = run_to_json(make_run("run-1"))
    assert data["provenance"] is None
    if stored:
        del data["provenance"]
    found = run_from_json(data)
    assert found.provenance is None
    made = TurnTaken(Turn(0, 1, "a", "x", Action.WALK_AWAY, None), writer())
    assert found.written(made) == found


def test_what_a_newer_version_recorded_is_ignored_and_nonsense_is_refused(catalog: Catalog, make_run: Runs) -> None:
    data = run_to_json(played(catalog, make_run("run-1", a="warm")))
    data["provenance"]["weather"] = "fine"
    data["provenance"]["program"]["moon"] = "full"
    data["provenance"]["models"]["a"][0]["identity"]["colour"] = "red"
    assert known(run_from_json(data)).program == this_program()
    data["provenance"]["program"]["parley"] = "x" * 5000
    with pytest.raises(StoreError, match=r"provenance\.program\.parley"):
        run_from_json(data)


def test_a_csv_row_names_the_writer_of_its_turn(catalog: Catalog, make_run: Runs) -> None:
    done = played(catalog, make_run("run-1", a="warm", b="boulware"))
    rows = list(csv.DictReader(io.StringIO(to_csv([done]), newline="")))
    assert [row["model"] for row in rows[:2]] == ["fakes/warm", ""]
    assert {row["device"] for row in rows[::2]} == {"cpu"}
    assert {row["prompt_version"] for row in rows} == {str(prompts.VERSION)}
    assert {row["scenario_sha256"] for row in rows} == {done.scenario.sha256}
    before = csv.DictReader(io.StringIO(to_csv([replace(done, provenance=None)]), newline=""))
    assert {row["parley"] for row in before} == {""}


def test_versions_are_read_without_importing_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    this_program.cache_clear()
    try:
        found: Program = this_program()
    finally:
        this_program.cache_clear()
    assert (found.torch, found.transformers) == (None, None)
