"""Runs that visitors contribute from their own account, each as a file of a public dataset there, and may withdraw.

The dataset belongs to the visitor, who can therefore delete it without this program; a tag makes all such datasets one
collection. Uses the visitor's token for the time of a call, and keeps it nowhere. Knows no page.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from negotiation.errors import NotAllowed, NotContributed
from negotiation.runs.export import export_run
from negotiation.runs.hub.visitor_datasets import FileTooLarge, HubAccount, HubDatasets, HubRefused, HubSilent
from negotiation.runs.record import Run

logger = logging.getLogger(__name__)

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
FOREIGN = (
    "Your account already has a dataset {repository} that was not made for runs. Rename or delete it on the Hub, then "
    "try again."
)
HOLDS_TOKEN = "The run contains what looks like an access token, so it was not published."
NOT_OVER = "Only a negotiation that has come to its end can be contributed."
TOO_LARGE = "The run is too large for the dataset, so it was not published."
SIGNED_OUT = "The permission that you gave is no longer valid. Continue to Hugging Face to allow it again."
NOT_ALLOWED = (
    "Hugging Face does not let Parley change the dataset {name} in your account. Continue to Hugging Face to allow it "
    "again. If that does not help, another program has created that dataset: rename or delete it on the Hub, then try "
    "again."
)
CHANGED = "The dataset has just been changed from somewhere else. Try again in a moment."
TOO_MANY = "You have sent Hugging Face too many requests. Try again in a few minutes."
BROKEN = "Hugging Face has a problem at the moment. Try again in a few minutes."
SLOW = "Hugging Face did not answer in time. Check in a minute whether it worked, and if not, try again."
AWAY = "Hugging Face cannot be reached at the moment. Try again in a few minutes."
REFUSED = "Hugging Face did not accept this. Try again later; if it keeps happening, please report it."
_PERMISSION = {401: SIGNED_OUT, 402: NOT_ALLOWED, 403: NOT_ALLOWED}
_OTHERS = {404: CHANGED, 409: CHANGED, 412: CHANGED, 413: TOO_LARGE, 429: TOO_MANY}


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


def contribute(run: Run, account: HubAccount) -> DatasetPlace:
    """Publish a run in the dataset of the visitor's account, which is created if it is missing.

    Raises:
        NotContributed: The run is not over or contains a token, or the Hub refuses; the message says what to do.
        NotAllowed: The visitor has to allow it again.
    """
    content = published_line(run)
    if _TOKEN.search(content) or account.token() in content:
        raise NotContributed(HOLDS_TOKEN)
    with _opened(account) as hub:
        place = _place(hub, run.run_id)
        found = _ours(hub, place.repository)
        if found is not None and place.path in found:
            return place
        files = {place.path: content.encode()}
        if found is None:
            hub.create(place.repository)
            files["README.md"] = CARD.encode()
        hub.commit(place.repository, "Contribute a negotiation", files)
    return place


def find(run_id: str, account: HubAccount) -> tuple[DatasetPlace, bool]:
    """Return where a run is, or would be, and whether it is there; raises like `contribute`."""
    with _opened(account) as hub:
        place = _place(hub, run_id)
        return place, place.path in (_ours(hub, place.repository) or ())


def withdraw(run_id: str, account: HubAccount) -> Withdrawal:
    """Delete a run from the dataset of the visitor's account, from its history, and the dataset with its last run.

    Raises:
        NotContributed: The Hub refuses or cannot be reached; the message says what to do.
        NotAllowed: The visitor has to allow it again.
    """
    with _opened(account) as hub:
        place = _place(hub, run_id)
        files = _ours(hub, place.repository)
        if files is None:
            return Withdrawal(place.repository, dataset=False, history=False)
        if place.path in files:
            hub.commit(place.repository, "Withdraw a negotiation", delete=[place.path])
        left = _ours(hub, place.repository) or set()  # looked up again: another run may have come
        if not left - {place.path}:
            with suppress(HubRefused, HubSilent):  # not every token may delete; the file is gone in any case
                hub.delete(place.repository)
                return Withdrawal(place.repository, dataset=False, history=False)
        try:
            hub.squash(place.repository, "Leave out what was withdrawn")
        except (HubRefused, HubSilent):
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


def _place(hub: HubDatasets, run_id: str) -> DatasetPlace:
    repository = f"{hub.owner()}/{NAME}"
    return DatasetPlace(repository, f"{hub.endpoint}/datasets/{repository}", f"{FOLDER}/{public_id(run_id)}.jsonl")


def _ours(hub: HubDatasets, repository: str) -> set[str] | None:
    """Return the paths of all files in the account's dataset, except for its card.

    None means that there is no such dataset, or an empty one. Raises NotContributed if it is somebody else's.
    """
    found = hub.find(repository)
    names = set() if found is None else found.files - {".gitattributes"}
    if found is None or not names:
        return None
    if TAG not in found.tags:
        raise NotContributed(FOREIGN.format(repository=repository))
    return set(names - {"README.md"})


@contextmanager
def _opened(account: HubAccount) -> Iterator[HubDatasets]:
    """Open the datasets of an account, and raise NotContributed in plain words for what the Hub refuses."""
    try:
        with HubDatasets(account) as hub:
            yield hub
    except HubRefused as refused:
        logger.info("the Hub refused a contribution or a withdrawal: HTTP %d", refused.status)
        if refused.status in _PERMISSION:
            raise NotAllowed(_PERMISSION[refused.status].format(name=NAME)) from None
        raise NotContributed(BROKEN if refused.status >= 500 else _OTHERS.get(refused.status, REFUSED)) from None
    except HubSilent as silent:
        logger.info("the Hub did not answer about a contribution (%s)", silent)
        raise NotContributed(SLOW if silent.slow else AWAY) from None
    except FileTooLarge:
        raise NotContributed(TOO_LARGE) from None
