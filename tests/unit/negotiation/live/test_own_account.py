"""Runs on a visitor's own account: whose key is sent, what ends a run politely, and where no key is ever found."""

from __future__ import annotations

import json
import logging
import math
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from manager.backends.remote import pacing
from manager.credentials import Credentials, Handle
from manager.errors import CredentialExpired, CredentialMissing
from manager.manager import LLMManager
from negotiation.agents.catalog import Catalog
from negotiation.agents.config import AgentConfig
from negotiation.agents.purse import Payer
from negotiation.app.logs import log_event
from negotiation.comparison.comparison import Comparison
from negotiation.comparison.service import Comparisons
from negotiation.game.events import Ended, Event, Halted, TurnTaken
from negotiation.live.costs import expected_cost, last_cost
from negotiation.live.feed import stored_events
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.export import export_run, to_csv, to_jsonl
from negotiation.runs.record import Run
from negotiation.runs.store import Store
from negotiation.scenario.model import Scenario
from tests.support.router import FAILURES, Account, Router
from tests.support.watch import PATIENCE

ANN, BOB = "hf_Very-Secret-Ann-0123456789", "hf_Very-Secret-Bob-0123456789"
PRICE = {"input": 1.0, "output": 10.0}  # a reply of the router costs $0.002: 1,000 tokens read, 100 written
REPLY = 0.002
Runs = Callable[..., Run]


class Now:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> Iterator[Router]:
    monkeypatch.setattr(pacing, "FIRST_PAUSE", 0.002)
    made = Router()
    made.accounts = {ANN: Account(), BOB: Account()}
    yield made
    made.close()


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def catalog(router: Router, now: Now) -> Iterator[Catalog]:
    config = {"temperature": 0.7, "max_new_tokens": 500}
    with LLMManager(
        {"strong": router.entry(price=PRICE, generation_config=config), "free": router.entry(model_name="org/free")}
    ) as manager:
        manager.credentials = Credentials(now)
        yield Catalog(manager)


@pytest.fixture
def live(catalog: Catalog, store: Store) -> Iterator[LiveRuns]:
    runs = LiveRuns(catalog, store, grace=math.inf, on_event=log_event)
    yield runs
    runs.close()


def thinks_in_vain(call: Any) -> None:
    """Think for a thousand bytes, and break off."""
    call.start().event({"choices": [{"delta": {"reasoning_content": "Hm, hm. " * 125}}]})


def sign_in(catalog: Catalog, router: Router, name: str, key: str, expires_at: float | None = None) -> Handle:
    return catalog.manager.credentials.keep(name, key, expires_at, server=router.base_url)


def finished(live: LiveRuns, run_id: str) -> tuple[list[Event], Event]:
    """Wait for the end of a run."""
    events: list[Event] = []
    if (watch := live.watch(run_id)) is not None:
        with watch:
            while not events or not isinstance(events[-1], Ended | Halted):
                events += watch.poll(PATIENCE)
        live._driver.join()
    events = events or stored_events(live._store.run(run_id))  # it had ended already
    return events, events[-1]


# -- whose key -----------------------------------------------------------------------------------------------------


def test_two_visitors_at_once_each_send_their_own_key(
    live: LiveRuns, catalog: Catalog, router: Router, make_run: Runs, bike: Scenario
) -> None:
    runs: dict[str, str] = {}
    for name, key in (("ann", ANN), ("bob", BOB)):
        scenario = bike.model_copy(update={"story": f"{bike.story} It belongs to {name}."})
        run = make_run(scenario=scenario, a="strong", b="strong", owner=name)
        runs[name] = live.start(run, payer=Payer(sign_in(catalog, router, name, key)))
    for run_id in runs.values():
        assert isinstance(finished(live, run_id)[1], Ended)
    assert set(router.keys_of("belongs to ann")) == {ANN}
    assert set(router.keys_of("belongs to bob")) == {BOB}


def test_without_a_key_nothing_starts_and_nothing_is_recorded(
    live: LiveRuns, catalog: Catalog, router: Router, store: Store, make_run: Runs, now: Now
) -> None:
    with pytest.raises(CredentialMissing, match="'strong' runs on your own account: sign in, or enter a key"):
        live.start(make_run(a="strong"))
    handle = sign_in(catalog, router, "ann", ANN, 1001)
    now.seconds = 1001
    with pytest.raises(CredentialExpired, match="sign in again and continue"):
        live.start(make_run(a="strong"), payer=Payer(handle))
    assert store.summaries() == []
    assert router.calls == []


# -- ends that the visitor can do something about ------------------------------------------------------------------


def test_running_out_of_credit_keeps_everything_and_another_account_continues(
    live: LiveRuns, catalog: Catalog, router: Router, store: Store, make_run: Runs
) -> None:
    router.accounts[ANN].replies = 2
    ann, bob = sign_in(catalog, router, "ann", ANN), sign_in(catalog, router, "bob", BOB)
    run_id = live.start(make_run(a="strong", b="hardliner"), payer=Payer(ann))
    events, end = finished(live, run_id)
    assert isinstance(end, Halted)
    assert end.status == "failed"
    assert end.reason.startswith("Your account at the server of 'org/strong' has no credit left (HTTP 402)")
    kept = store.run(run_id).turns
    assert len(kept) == sum(isinstance(event, TurnTaken) for event in events) == 4
    live.resume(run_id, payer=Payer(bob))
    assert isinstance(finished(live, run_id)[1], Ended)
    assert store.run(run_id).turns[:4] == kept
    assert router.keys[-1] == BOB


def test_a_sign_in_that_expires_ends_the_run_until_the_next_one(
    live: LiveRuns, catalog: Catalog, router: Router, store: Store, make_run: Runs, now: Now
) -> None:
    handle = sign_in(catalog, router, "ann", ANN, 1001)
    behaviour = router.accounts[ANN].behaviour

    def last(call: Any) -> None:
        behaviour(call)
        now.seconds = 1002

    router.accounts[ANN].behaviour = last
    run_id = live.start(make_run(a="strong", b="hardliner"), payer=Payer(handle))
    _, end = finished(live, run_id)
    assert end == Halted("failed", "Your sign-in has expired; sign in again and continue.")
    assert len(store.run(run_id).turns) == 2
    with pytest.raises(CredentialExpired):
        live.resume(run_id, payer=Payer(handle))
    router.accounts[ANN].behaviour = behaviour
    assert sign_in(catalog, router, "ann", ANN, 2000) == handle
    live.resume(run_id, payer=Payer(handle))
    assert isinstance(finished(live, run_id)[1], Ended)


def test_a_rejected_key_says_so(live: LiveRuns, catalog: Catalog, router: Router, make_run: Runs) -> None:
    router.accounts[ANN].behaviour = FAILURES["wrong"]
    run_id = live.start(make_run(a="strong"), payer=Payer(sign_in(catalog, router, "ann", ANN)))
    _, end = finished(live, run_id)
    assert isinstance(end, Halted)
    assert "does not accept your sign-in or key for it (HTTP 401); sign in again or enter another key" in end.reason


# -- limits --------------------------------------------------------------------------------------------------------


def test_a_run_stops_before_it_exceeds_its_limit_and_continues_with_a_higher_one(
    live: LiveRuns, catalog: Catalog, router: Router, store: Store, make_run: Runs
) -> None:
    ann = sign_in(catalog, router, "ann", ANN)
    limit = 0.01
    run_id = live.start(make_run(a="strong", b="hardliner"), payer=Payer(ann, limit))
    _, end = finished(live, run_id)
    run = store.run(run_id)
    assert 0 < run.cost <= limit
    assert end == Halted("stopped", f"stopped at your limit of $0.01; it has cost ${run.cost:.4f} so far")
    assert (run.status, len(router.calls)) == ("stopped", round(run.cost / REPLY))
    live.resume(run_id, payer=Payer(ann, limit))
    assert finished(live, run_id)[1] == end
    assert len(router.calls) == round(run.cost / REPLY), "the same limit allows no further request"
    live.resume(run_id, payer=Payer(ann, 1.0))
    assert isinstance(finished(live, run_id)[1], Ended)


def test_what_an_unfinished_turn_cost_counts_when_the_run_continues(
    live: LiveRuns, catalog: Catalog, router: Router, store: Store, make_run: Runs
) -> None:
    ann = sign_in(catalog, router, "ann", ANN)
    router.accounts[ANN].behaviour = thinks_in_vain
    run_id = live.start(make_run(a="strong", b="hardliner"), payer=Payer(ann, 1.0))
    assert isinstance(finished(live, run_id)[1], Halted)
    assert store.run(run_id).turns == ()
    spent = live._spent[run_id]
    assert spent > 0
    assert live._agents(store.run(run_id), Payer(ann, 1.0))[1].spent == spent
    live.resume(run_id, payer=Payer(ann, 1.0))
    finished(live, run_id)
    assert live._spent[run_id] >= spent


def test_a_turn_costs_what_its_repeated_requests_cost(
    live: LiveRuns, catalog: Catalog, router: Router, store: Store, make_run: Runs
) -> None:
    ann, well = sign_in(catalog, router, "ann", ANN), router.accounts[ANN].behaviour

    def first_in_vain(call: Any) -> None:
        router.accounts[ANN].behaviour = well
        thinks_in_vain(call)

    router.accounts[ANN].behaviour = first_in_vain
    catalog.manager.register_model("patient", router.entry(model_name="org/patient", price=PRICE, retries=2))
    run_id = live.start(make_run(a="patient", b="hardliner"), payer=Payer(ann))
    end = finished(live, run_id)[1]
    assert isinstance(end, Ended)
    first, *others = [turn.cost for turn in store.run(run_id).turns if turn.cost is not None]
    assert others == pytest.approx([REPLY] * len(others))
    assert first > REPLY + 1000 * PRICE["output"] / 1e6 / 4
    assert live._spent[run_id] == pytest.approx(store.run(run_id).cost)


def test_a_forked_run_owes_nothing_for_the_turns_it_begins_with(
    live: LiveRuns, catalog: Catalog, router: Router, store: Store, make_run: Runs
) -> None:
    ann = sign_in(catalog, router, "ann", ANN)
    first = live.start(make_run(a="strong", b="hardliner"), payer=Payer(ann, 0.01))
    finished(live, first)
    cost = store.run(first).cost
    forked = live.fork(first, len(store.run(first).turns), payer=Payer(ann, 0.01))
    _, end = finished(live, forked)
    assert store.run(forked).cost > 0
    assert isinstance(end, Ended) or end.reason.startswith("stopped at your limit")  # type: ignore[union-attr]
    assert store.run(first).cost == cost
    with pytest.raises(CredentialMissing):
        live.fork(first, 1)


def test_models_without_a_price_know_no_limit(live: LiveRuns, catalog: Catalog, router: Router, make_run: Runs) -> None:
    run_id = live.start(make_run(a="free", b="hardliner"), payer=Payer(sign_in(catalog, router, "ann", ANN), limit=0.0))
    assert isinstance(finished(live, run_id)[1], Ended)


def test_a_comparison_ends_at_its_limit_and_keeps_what_was_played(
    catalog: Catalog, router: Router, store: Store, bike: Scenario
) -> None:
    ann = sign_in(catalog, router, "ann", ANN)
    comparisons = Comparisons(catalog, store)
    agents = AgentConfig("strong"), AgentConfig("linear")
    asked = Comparison(bike, agents, AgentConfig("hardliner"), 4, owner="ann")
    with pytest.raises(CredentialMissing):
        comparisons.start(asked)
    comparisons.start(asked, payer=Payer(ann, 0.02))
    thread = comparisons._growing["ann"].thread
    if thread is not None:
        thread.join(PATIENCE)
    status = comparisons.status("ann")
    assert status is not None
    assert not status.running
    assert status.error.startswith("stopped at your limit of $0.02; it has cost $0.0")
    assert 0 < status.done < status.goal
    assert len(router.calls) * REPLY <= 0.02 + 1e-9
    assert set(router.keys) == {ANN}
    comparisons.close()


# -- estimates -----------------------------------------------------------------------------------------------------


def test_the_page_can_say_what_a_run_is_likely_to_cost(
    live: LiveRuns, catalog: Catalog, router: Router, store: Store, make_run: Runs, bike: Scenario
) -> None:
    models = {spec.model_id: spec for spec in catalog.models()}
    strong, free, script = AgentConfig("strong"), AgentConfig("free"), AgentConfig("hardliner")
    one = expected_cost(bike, {"a": strong, "b": script}, models)
    two = expected_cost(bike, {"a": strong, "b": strong}, models)
    assert one.most is not None
    assert two.most is not None
    assert 0.01 < one.most < two.most < 0.2
    assert one.unpriced == ()
    assert expected_cost(bike, {"a": free, "b": free}, models).unpriced == ("free",)
    assert expected_cost(bike, {"a": script, "b": script}, models).most is None
    agents = {"a": strong, "b": script}
    assert last_cost(store, "bike", agents, "ann") is None  # type: ignore[arg-type]
    ann = sign_in(catalog, router, "ann", ANN)
    run_id = live.start(make_run(a="strong", b="hardliner", owner="ann"), payer=Payer(ann))
    finished(live, run_id)
    assert last_cost(store, "bike", agents, "ann") == pytest.approx(store.run(run_id).cost)  # type: ignore[arg-type]
    assert last_cost(store, "bike", agents, "bob") is None, "others' runs are none of their business"  # type: ignore[arg-type]


# -- no key anywhere -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [None, *FAILURES])
def test_no_key_is_found_in_logs_database_exports_status_or_errors(
    live: LiveRuns,
    catalog: Catalog,
    router: Router,
    store: Store,
    make_run: Runs,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    failure: str | None,
) -> None:
    caplog.set_level(logging.DEBUG)
    handle = sign_in(catalog, router, "ann", ANN)
    watched = catalog.manager.subscribe()
    behaviour = router.accounts[ANN].behaviour

    def first_well(call: Any) -> None:
        router.accounts[ANN].behaviour = behaviour if failure is None else FAILURES[failure]
        behaviour(call)

    router.accounts[ANN].behaviour = first_well
    run_id = live.start(make_run(a="strong", b="hardliner", owner="ann"), payer=Payer(handle, 5.0))
    events, end = finished(live, run_id)
    assert isinstance(end, Ended if failure is None else Halted)
    run = store.run(run_id)
    places = {
        "log": caplog.text,
        "events": repr(events),
        "stored events": repr(stored_events(run)),
        "run": repr(run) + json.dumps(export_run(run)) + "".join(to_jsonl([run])) + to_csv([run]),
        "status": repr(catalog.manager.snapshot()) + repr(catalog.manager.list_models()),
        "agents": repr(catalog.create(AgentConfig("strong"))) + repr(Payer(handle)),
    }
    while (event := watched.get(0)) is not None:
        places["status"] += repr(event)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files, "the database is a file here"
    for path in files:
        places[path.name] = path.read_bytes().decode("latin-1")
    for place, text in places.items():
        assert "Very-Secret" not in text, place
        assert handle not in text, place
    with pytest.raises(TypeError, match="stay in the process"):
        pickle.dumps(catalog.manager.credentials)
