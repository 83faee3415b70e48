"""Runs that visitors contribute from their own account: what is published, where, and what a withdrawal leaves."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from manager.identity import Identity
from negotiation.errors import NotContributed
from negotiation.game.events import Writer
from negotiation.runs import contributions
from negotiation.runs.contributions import NAME, TAG, contribute, find, public_id, published_line, withdraw
from negotiation.runs.export import read_export
from negotiation.runs.provenance import Provenance
from negotiation.runs.record import Run
from negotiation.scenario.model import load_scenario
from tests.support.finished import finished
from tests.support.hub import Account, DatasetHub, Repository, serving_datasets

ANNES = "oauth-token-of-anne"
SCENARIO = load_scenario(Path(__file__).parents[4] / "configs" / "scenarios" / "company_car.yaml")


def token() -> str:
    return ANNES


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[DatasetHub]:
    with serving_datasets(monkeypatch) as server:
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # between its tries
        server.accounts = {ANNES: Account("anne"), "token-of-bob": Account("bob")}
        yield server


@pytest.fixture
def run() -> Run:
    writer = Writer(Identity(model_name="someone/model", device="cpu"), {"temperature": 0.5})
    provenance = Provenance.begun(SCENARIO).written("a", 0, writer)
    linked = {"comparison": "the-comparison", "lane": 1, "forked_from": "another-run", "forked_turns": 2}
    return replace(finished(SCENARIO), owner="the-cookie", provenance=provenance, **linked)  # type: ignore[arg-type]


def test_a_run_becomes_a_file_of_a_public_dataset_in_the_visitors_account(hub: DatasetHub, run: Run) -> None:
    place = contribute(run, token)
    assert place.repository == f"anne/{NAME}"
    assert place.address == f"{hub.url}/datasets/anne/{NAME}"
    repository = hub.repositories[place.repository]
    assert not repository.private
    assert TAG in repository.tags
    assert sorted(repository.files) == ["README.md", place.path]
    restored = read_export(json.loads(repository.files[place.path]))
    assert (restored.turns, restored.agreement, restored.measures) == (run.turns, run.agreement, run.measures)
    assert find(run.run_id, token) == (place, True)


def test_each_request_carries_the_visitors_own_token(hub: DatasetHub, run: Run) -> None:
    contribute(run, token)
    contribute(run, lambda: "token-of-bob")
    for path, given in hub.asked:
        assert given in (f"Bearer {ANNES}", "Bearer token-of-bob")
        assert "anne" not in path or given == f"Bearer {ANNES}"
    assert {"anne/" + NAME, "bob/" + NAME} == hub.repositories.keys()


def test_nothing_published_leads_to_the_visitor_or_to_other_runs(
    hub: DatasetHub, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    place = contribute(run, token)
    published = b"\n".join(hub.repositories[place.repository].files.values()).decode() + place.path
    for private in (run.run_id, "the-cookie", "the-comparison", "another-run", "anne", ANNES, "127.0.0.1"):
        assert private not in published
    assert ANNES not in caplog.text
    assert public_id(run.run_id) in published


@pytest.mark.parametrize("secret", [ANNES, "hf_" + "a1B2" * 8, "sk-" + "a1B2" * 8])
def test_a_run_that_contains_a_token_is_not_published(hub: DatasetHub, run: Run, secret: str) -> None:
    first, *others = run.turns
    told = replace(run, turns=(replace(first, message=f"My token is {secret}."), *others))
    with pytest.raises(NotContributed, match="looks like an access token"):
        contribute(told, token)
    assert not hub.repositories


@pytest.mark.parametrize("status", ["running", "stopped", "interrupted", "failed"])
def test_only_what_has_ended_is_published(run: Run, status: str) -> None:
    with pytest.raises(NotContributed, match="come to its end"):
        published_line(replace(run, status=status))  # type: ignore[arg-type]


def test_contributing_twice_changes_nothing_and_several_runs_share_a_dataset(hub: DatasetHub, run: Run) -> None:
    other = replace(run, run_id="another")
    places = [contribute(one, token) for one in (run, run, other)]
    assert places[0] == places[1]
    assert sorted(hub.repositories[f"anne/{NAME}"].files) == sorted({"README.md", *(one.path for one in places)})


def test_a_withdrawn_run_is_gone_from_the_dataset_and_its_history(hub: DatasetHub, run: Run) -> None:
    other = replace(run, run_id="another")
    contribute(run, token)
    contribute(other, token)
    left = withdraw(run.run_id, token)
    assert (left.dataset, left.history) == (True, False)
    assert find(run.run_id, token)[1] is False
    assert find("another", token)[1] is True
    assert hub.repositories[left.repository].squashed == 1


def test_the_last_withdrawal_deletes_the_dataset(hub: DatasetHub, run: Run) -> None:
    contribute(run, token)
    left = withdraw(run.run_id, token)
    assert (left.dataset, left.history) == (False, False)
    assert not hub.repositories
    assert withdraw(run.run_id, token) == left  # again


def test_a_token_that_may_not_delete_datasets_still_withdraws_the_run(hub: DatasetHub, run: Run) -> None:
    hub.accounts[ANNES].may_delete = False
    contribute(run, token)
    left = withdraw(run.run_id, token)
    assert (left.dataset, left.history) == (True, False)
    assert sorted(hub.repositories[left.repository].files) == ["README.md"]


def test_another_dataset_of_that_name_is_left_alone(hub: DatasetHub, run: Run) -> None:
    theirs = hub.repositories[f"anne/{NAME}"] = Repository(private=True, files={"README.md": b"mine", "a.txt": b"b"})
    for act in (lambda: contribute(run, token), lambda: withdraw(run.run_id, token), lambda: find(run.run_id, token)):
        with pytest.raises(NotContributed, match="was not created for runs"):
            act()
    assert theirs.files == {"README.md": b"mine", "a.txt": b"b"}


def test_what_the_hub_refuses_is_told_in_plain_words(hub: DatasetHub, run: Run) -> None:
    acts: tuple[Callable[[], object], ...] = (lambda: contribute(run, token), lambda: withdraw(run.run_id, token))
    contribute(run, token)
    hub.accounts[ANNES].may_write = False
    for act in acts:
        with pytest.raises(NotContributed, match=contributions.NOT_ALLOWED):
            act()
    hub.accounts.clear()
    for act in acts:
        with pytest.raises(NotContributed, match=contributions.SIGNED_OUT):
            act()
    hub.broken = True
    for act in acts:
        with pytest.raises(NotContributed, match=contributions.AWAY):
            act()


def test_a_hub_out_of_reach_is_told_as_such(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    with serving_datasets(monkeypatch):
        pass  # it no longer answers
    with pytest.raises(NotContributed, match=contributions.AWAY):
        contribute(run, token)
