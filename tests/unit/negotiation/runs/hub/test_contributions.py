"""Runs that visitors contribute from their own account: what is published, where, and what a withdrawal leaves."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

from manager.errors import CredentialExpired
from manager.identity import Identity
from negotiation.errors import NotAllowed, NotContributed
from negotiation.game.events import Writer
from negotiation.runs.export import read_export
from negotiation.runs.hub import contributions
from negotiation.runs.hub.contributions import NAME, TAG, contribute, find, public_id, published_line, withdraw
from negotiation.runs.hub.visitor_datasets import HubAccount, HubDatasets
from negotiation.runs.provenance import Provenance
from negotiation.runs.record import Run
from negotiation.scenario.model import load_scenario
from tests.support.finished import finished
from tests.support.hub import Account, DatasetHub, Repository, serving_datasets

ANNES, BOBS = "oauth-token-of-anne", "token-of-bob"
SCENARIO = load_scenario(Path(__file__).parents[5] / "configs" / "scenarios" / "company_car.yaml")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[DatasetHub]:
    with serving_datasets(monkeypatch) as server:
        server.accounts = {ANNES: Account("anne"), BOBS: Account("bob")}
        yield server


@pytest.fixture
def anne(hub: DatasetHub) -> HubAccount:
    return HubAccount(hub.url, lambda: ANNES)


@pytest.fixture
def run() -> Run:
    writer = Writer(Identity(model_name="someone/model", device="cpu"), {"temperature": 0.5})
    provenance = Provenance.begun(SCENARIO).written("a", 0, writer)
    linked = {"comparison": "the-comparison", "lane": 1, "forked_from": "another-run", "forked_turns": 2}
    return replace(finished(SCENARIO), owner="the-cookie", provenance=provenance, **linked)  # type: ignore[arg-type]


def test_a_run_becomes_a_file_of_a_public_dataset_in_the_visitors_account(
    hub: DatasetHub, anne: HubAccount, run: Run
) -> None:
    place = contribute(run, anne)
    assert place.repository == f"anne/{NAME}"
    assert place.address == f"{hub.url}/datasets/anne/{NAME}"
    repository = hub.repositories[place.repository]
    assert not repository.private
    assert TAG in repository.tags
    assert sorted(repository.files) == ["README.md", place.path]
    restored = read_export(json.loads(repository.files[place.path]))
    assert (restored.turns, restored.agreement, restored.measures) == (run.turns, run.agreement, run.measures)
    assert find(run.run_id, anne) == (place, True)


def test_each_request_carries_the_visitors_own_token(hub: DatasetHub, anne: HubAccount, run: Run) -> None:
    contribute(run, anne)
    contribute(run, HubAccount(hub.url, lambda: BOBS))
    for path, given in hub.asked:
        assert given in (f"Bearer {ANNES}", f"Bearer {BOBS}")
        assert "anne" not in path or given == f"Bearer {ANNES}"
    assert {"anne/" + NAME, "bob/" + NAME} == hub.repositories.keys()


def test_nothing_published_leads_to_the_visitor_or_to_other_runs(
    hub: DatasetHub, anne: HubAccount, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    place = contribute(run, anne)
    published = b"\n".join(hub.repositories[place.repository].files.values()).decode() + place.path
    for private in (run.run_id, "the-cookie", "the-comparison", "another-run", "anne", ANNES, "127.0.0.1"):
        assert private not in published
    assert ANNES not in caplog.text
    assert public_id(run.run_id) in published


@pytest.mark.parametrize("secret", [ANNES, "hf_" + "a1B2" * 8, "sk-" + "a1B2" * 8])
def test_a_run_that_contains_a_token_is_not_published(hub: DatasetHub, anne: HubAccount, run: Run, secret: str) -> None:
    first, *others = run.turns
    told = replace(run, turns=(replace(first, message=f"My token is {secret}."), *others))
    with pytest.raises(NotContributed, match="looks like an access token"):
        contribute(told, anne)
    assert not hub.repositories


@pytest.mark.parametrize("status", ["running", "stopped", "interrupted", "failed"])
def test_only_what_has_ended_is_published(run: Run, status: str) -> None:
    with pytest.raises(NotContributed, match="come to its end"):
        published_line(replace(run, status=status))  # type: ignore[arg-type]


def test_contributing_twice_changes_nothing_and_several_runs_share_a_dataset(
    hub: DatasetHub, anne: HubAccount, run: Run
) -> None:
    other = replace(run, run_id="another")
    places = [contribute(one, anne) for one in (run, run, other)]
    assert places[0] == places[1]
    assert sorted(hub.repositories[f"anne/{NAME}"].files) == sorted({"README.md", *(one.path for one in places)})


def test_a_withdrawn_run_is_gone_from_the_dataset_and_its_history(hub: DatasetHub, anne: HubAccount, run: Run) -> None:
    other = replace(run, run_id="another")
    contribute(run, anne)
    contribute(other, anne)
    left = withdraw(run.run_id, anne)
    assert (left.dataset, left.history) == (True, False)
    assert find(run.run_id, anne)[1] is False
    assert find("another", anne)[1] is True
    assert hub.repositories[left.repository].squashed == 1


def test_the_last_withdrawal_deletes_the_dataset(hub: DatasetHub, anne: HubAccount, run: Run) -> None:
    contribute(run, anne)
    left = withdraw(run.run_id, anne)
    assert (left.dataset, left.history) == (False, False)
    assert not hub.repositories
    assert withdraw(run.run_id, anne) == left  # again


def test_files_of_the_visitors_own_in_the_dataset_outlive_the_last_withdrawal(
    hub: DatasetHub, anne: HubAccount, run: Run
) -> None:
    place = contribute(run, anne)
    hub.repositories[place.repository].files["my_notes.md"] = b"mine"
    left = withdraw(run.run_id, anne)
    assert (left.dataset, left.history) == (True, False)
    assert sorted(hub.repositories[place.repository].files) == ["README.md", "my_notes.md"]


def test_a_token_that_may_not_delete_datasets_still_withdraws_the_run(
    hub: DatasetHub, anne: HubAccount, run: Run
) -> None:
    hub.accounts[ANNES].may_delete = False
    contribute(run, anne)
    left = withdraw(run.run_id, anne)
    assert (left.dataset, left.history) == (True, False)
    assert sorted(hub.repositories[left.repository].files) == ["README.md"]


def test_another_dataset_of_that_name_is_left_alone(hub: DatasetHub, anne: HubAccount, run: Run) -> None:
    theirs = hub.repositories[f"anne/{NAME}"] = Repository(private=True, files={"README.md": b"mine", "a.txt": b"b"})
    for act in (lambda: contribute(run, anne), lambda: withdraw(run.run_id, anne), lambda: find(run.run_id, anne)):
        with pytest.raises(NotContributed, match="was not made for runs"):
            act()
    assert theirs.files == {"README.md": b"mine", "a.txt": b"b"}


# -- what the Hub refuses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (401, contributions.SIGNED_OUT, NotAllowed),
        (403, "does not let Parley change the dataset parley-runs", NotAllowed),
        (409, contributions.CHANGED, NotContributed),
        (412, contributions.CHANGED, NotContributed),
        (413, contributions.TOO_LARGE, NotContributed),
        (418, contributions.REFUSED, NotContributed),
        (429, contributions.TOO_MANY, NotContributed),
        (500, contributions.BROKEN, NotContributed),
        (502, contributions.BROKEN, NotContributed),
        (504, contributions.BROKEN, NotContributed),
    ],
)
def test_what_the_hub_refuses_is_told_in_plain_words(
    hub: DatasetHub, anne: HubAccount, run: Run, status: int, words: str, kind: type[NotContributed]
) -> None:
    contribute(run, anne)
    hub.fails = {"/commit/": status}
    for act in (lambda: contribute(replace(run, run_id="another"), anne), lambda: withdraw(run.run_id, anne)):
        with pytest.raises(NotContributed, match=words) as refused:
            act()
        assert type(refused.value) is kind
        assert str(refused.value).endswith(".")
    hub.fails = {"whoami": status}
    with pytest.raises(kind, match=words):
        find(run.run_id, anne)


def test_each_request_is_sent_once_whatever_the_answer(hub: DatasetHub, anne: HubAccount, run: Run) -> None:
    hub.fails = {"/commit/": 503}
    with pytest.raises(NotContributed):
        contribute(run, anne)
    assert sum("/commit/" in path for _, path, _ in hub.sent) == 1


def test_a_hub_that_does_not_answer_keeps_nobody_waiting(
    hub: DatasetHub, anne: HubAccount, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HubDatasets.__init__, "__defaults__", (0.2,))
    answers = hub.stuck["/commit/"] = threading.Event()
    try:
        with pytest.raises(NotContributed, match=contributions.SLOW):
            contribute(run, anne)
    finally:
        answers.set()


def test_a_hub_out_of_reach_is_told_as_such(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    with serving_datasets(monkeypatch) as server:
        gone = HubAccount(server.url, lambda: ANNES)  # it no longer answers
    with pytest.raises(NotContributed, match=contributions.AWAY):
        contribute(run, gone)


def test_an_answer_that_makes_no_sense_is_told_as_no_answer(hub: DatasetHub, anne: HubAccount, run: Run) -> None:
    hub.fails = {"whoami": 200}
    with pytest.raises(NotContributed, match=contributions.AWAY):
        contribute(run, anne)


def test_a_dataset_that_was_just_created_elsewhere_is_used(hub: DatasetHub, anne: HubAccount, run: Run) -> None:
    hub.repositories[f"anne/{NAME}"] = Repository(private=False)
    contribute(run, anne)
    assert find(run.run_id, anne)[1]


def test_another_repository_being_created_is_told_as_a_change(hub: DatasetHub, anne: HubAccount, run: Run) -> None:
    hub.fails = {"repos/create": 409}
    with pytest.raises(NotContributed, match=contributions.CHANGED):
        contribute(run, anne)


def test_a_run_that_the_hub_wants_as_a_large_file_is_not_published(hub: DatasetHub, anne: HubAccount, run: Run) -> None:
    hub.largest = 1000
    with pytest.raises(NotContributed, match=contributions.TOO_LARGE):
        contribute(run, anne)
    assert not any("/commit/" in path for _, path, _ in hub.sent)


def test_a_key_that_is_gone_says_so_itself(hub: DatasetHub, run: Run) -> None:
    def gone() -> str:
        raise CredentialExpired("Your sign-in has expired.")

    away = HubAccount(hub.url, gone)
    for act in (lambda: contribute(run, away), lambda: find(run.run_id, away), lambda: withdraw(run.run_id, away)):
        with pytest.raises(CredentialExpired):
            act()


def test_no_cookie_goes_from_one_account_to_the_next(hub: DatasetHub, anne: HubAccount, run: Run) -> None:
    contribute(run, anne)
    contribute(run, HubAccount(hub.url, lambda: BOBS))
    assert {account for account, cookie in hub.cookies if cookie == "account=anne"} <= {"anne"}
    assert {account for account, cookie in hub.cookies if cookie == "account=bob"} <= {"bob"}


# -- the same requests as the Hub's own client ---------------------------------------------------------------------


def test_the_requests_are_those_of_the_hubs_own_client(hub: DatasetHub, anne: HubAccount) -> None:
    name, files = "anne/things", {"runs/a.jsonl": b"{}\n" * 400, "runs/b.jsonl": b"{}"}
    api = HfApi(endpoint=hub.url, token=ANNES)
    with HubDatasets(anne) as ours:
        assert ours.owner() == api.whoami()["name"]
        assert ours.find(name) is None
        ours.create(name)
        ours.commit(name, "Add", files)
        found = ours.find(name)
        ours.commit(name, "Leave out", delete=["runs/b.jsonl"])
        ours.squash(name, "Squash")
        ours.delete(name)
    sent, hub.sent = hub.sent, []
    api.create_repo(name, repo_type="dataset", private=False)
    api.create_commit(
        name, [CommitOperationAdd(*one) for one in files.items()], commit_message="Add", repo_type="dataset"
    )
    assert found is not None
    assert found.files == set(api.list_repo_files(name, repo_type="dataset"))
    gone = [CommitOperationDelete("runs/b.jsonl")]
    api.create_commit(name, gone, commit_message="Leave out", repo_type="dataset")
    api.super_squash_history(name, repo_type="dataset", commit_message="Squash")
    api.delete_repo(name, repo_type="dataset")
    assert [_plain(*one) for one in sent] == [_plain(*one) for one in hub.sent]


def _plain(method: str, path: str, content: bytes) -> tuple[str, str, list[object]]:
    return method, path, [json.loads(line) for line in content.splitlines()]
