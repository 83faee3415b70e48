"""Runs that visitors contribute from their own account, each as a file of a public dataset there, and may withdraw.

The dataset belongs to the visitor, who can therefore delete it without this program; a tag makes all such datasets one
collection. Uses the visitor's token for the time of a call, and keeps it nowhere. Knows no page.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from negotiation.errors import NotContributed
from negotiation.runs.export import export_run
from negotiation.runs.record import Run

logger = logging.getLogger(__name__)

Token = Callable[[], str]
"""Returns the visitor's token; it may change when it is renewed, so it is asked for each time."""

NAME = "parley-runs"
"""The name of the dataset in every account."""
TAG = "parley-negotiation-runs"
LICENSE = "cc-by-4.0"
SCOPE = "contribute-repos"
"""The OAuth scope that allows an app to create repositories and to change those that it created, and nothing else."""
FOLDER = "runs"
CARD = f"""---
license: {LICENSE}
pretty_name: Negotiations played with Parley
tags:
  - {TAG}
configs:
  - config_name: default
    data_files: {FOLDER}/*.jsonl
---

# Negotiations played with Parley

The owner of this account contributed these runs. Each file is one negotiation: the scenario with both sides'
preferences, the agents and their settings, every turn, how it ended and what that was worth. Whoever contributed a run
can withdraw it; its file is deleted then. If you keep copies, please delete it from them, too.
"""

_TOKEN = re.compile(r"\b(?:hf_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{16,}|hf_oauth_[\w.-]{16,})")
FOREIGN = "{repository} exists already and was not created for runs; rename or delete it on the Hub, then try again"
HOLDS_TOKEN = "the run contains what looks like an access token, so it was not published"
NOT_OVER = "only a negotiation that has come to its end can be contributed"
SIGNED_OUT = "you are no longer signed in to Hugging Face; sign in again, then try again"
NOT_ALLOWED = "your sign-in does not allow Parley to create datasets; sign in again and allow it, then try again"
TOO_MANY = "the Hub has had too many requests from you; try again in a few minutes"
AWAY = "the Hub cannot be reached at the moment, or does not accept this; try again later"


@dataclass(frozen=True)
class DatasetPlace:
    """Where a contribution is: the dataset `account/name`, its address, and the file."""

    repository: str
    address: str
    path: str


@dataclass(frozen=True)
class Withdrawal:
    """What a withdrawal left.

    Attributes:
        dataset: Whether the dataset is still there, with other runs.
        history: Whether the file can still be found in the dataset's history.
    """

    repository: str
    dataset: bool
    history: bool


def contribute(run: Run, token: Token) -> DatasetPlace:
    """Publish a run in the dataset of the visitor's account, which is created if it is missing.

    Raises:
        NotContributed: The run is not over or contains a token, or the Hub refuses; the message says what to do.
    """
    secret = token()
    content = published_line(run)
    if _TOKEN.search(content) or (secret and secret in content):
        raise NotContributed(HOLDS_TOKEN)
    with _plain():
        api = HfApi(token=secret)
        place = _place(api, run.run_id)
        operations = [CommitOperationAdd(place.path, content.encode())]
        if not _is_ours(api, place.repository):
            api.create_repo(place.repository, repo_type="dataset", private=False, exist_ok=True)
            operations.append(CommitOperationAdd("README.md", CARD.encode()))
        api.create_commit(place.repository, operations, commit_message="Contribute a negotiation", repo_type="dataset")
    return place


def find(run_id: str, token: Token) -> tuple[DatasetPlace, bool]:
    """Return where a run is, or would be, and whether it is there; raises NotContributed if the Hub cannot be asked."""
    with _plain():
        api = HfApi(token=token())
        place = _place(api, run_id)
        return place, _is_ours(api, place.repository) and place.path in _files(api, place.repository)


def withdraw(run_id: str, token: Token) -> Withdrawal:
    """Delete a run from the dataset of the visitor's account, from its history, and the dataset with its last run.

    Raises:
        NotContributed: The Hub refuses or cannot be reached; the message says what to do.
    """
    with _plain():
        api = HfApi(token=token())
        place = _place(api, run_id)
        if not _is_ours(api, place.repository):
            return Withdrawal(place.repository, dataset=False, history=False)
        files = _files(api, place.repository)
        if place.path in files:
            gone = [CommitOperationDelete(place.path)]
            api.create_commit(place.repository, gone, commit_message="Withdraw a negotiation", repo_type="dataset")
        if not files - {place.path}:
            with suppress(HfHubHTTPError):  # not every token may delete; the file is gone in any case
                api.delete_repo(place.repository, repo_type="dataset")
                return Withdrawal(place.repository, dataset=False, history=False)
        try:
            api.super_squash_history(place.repository, repo_type="dataset")
        except HfHubHTTPError:
            return Withdrawal(place.repository, dataset=True, history=True)
        return Withdrawal(place.repository, dataset=True, history=False)


def published_line(run: Run) -> str:
    """Return what is published of a run, as a line of JSON.

    That is its export, without anything that leads to its visitor or to other runs. The id of a run opens its page, so
    a digest stands for it.

    Raises:
        NotContributed: The run is not over.
    """
    if run.status != "done":
        raise NotContributed(NOT_OVER)
    alone = replace(run, owner=None, comparison=None, lane=None, forked_from=None, forked_turns=None)
    public = replace(alone, run_id=public_id(run.run_id), published=True, reason="")
    return json.dumps(export_run(public), ensure_ascii=False) + "\n"


def public_id(run_id: str) -> str:
    """Return the id of a run in datasets, from which its own cannot be computed."""
    return hashlib.sha256(f"parley contribution {run_id}".encode()).hexdigest()[:32]


def _place(api: HfApi, run_id: str) -> DatasetPlace:
    repository = f"{api.whoami()['name']}/{NAME}"
    return DatasetPlace(repository, f"{api.endpoint}/datasets/{repository}", f"{FOLDER}/{public_id(run_id)}.jsonl")


def _is_ours(api: HfApi, repository: str) -> bool:
    """Return whether the account has the dataset; raises NotContributed if it has another one of that name."""
    try:
        about = api.repo_info(repository, repo_type="dataset")
    except RepositoryNotFoundError:
        return False
    names = {file.rfilename for file in about.siblings or ()} - {".gitattributes"}
    if names and TAG not in (about.tags or ()):
        raise NotContributed(FOREIGN.format(repository=repository))
    return bool(names)


def _files(api: HfApi, repository: str) -> set[str]:
    """Return the paths of all contributed runs in a dataset."""
    return {name for name in api.list_repo_files(repository, repo_type="dataset") if name.startswith(f"{FOLDER}/")}


@contextmanager
def _plain() -> Iterator[None]:
    """Raise NotContributed in plain words for whatever the Hub's client raises."""
    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        raise NotContributed({401: SIGNED_OUT, 403: NOT_ALLOWED, 429: TOO_MANY}.get(status, AWAY)) from None
    except NotContributed:
        raise
    except Exception as error:  # noqa: BLE001 (a network and the Hub's client fail in many ways)
        logger.warning("the Hub could not be asked about a contribution: %s", type(error).__name__)
        raise NotContributed(AWAY) from None
