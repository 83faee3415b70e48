"""Datasets of an account on the Hugging Face Hub, changed with the token of its owner for the time of a call.

Each request is sent once and answered within a time limit, because a person waits for it: the Hub's own client has no
limit, and tries again for minutes. Nothing is remembered from one account to the next, neither a token nor a cookie.
Knows nothing of runs.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from manager.config.certificates import trusted

Token = Callable[[], str]
"""Returns the visitor's token; it may change when it is renewed, so it is asked for each time."""

SECONDS = 20.0
"""How long the Hub may take for an answer."""
SAMPLE_BYTES = 512
"""What the Hub sees of a file before it says how to send it."""
_BRANCH = "main"


@dataclass(frozen=True)
class HubAccount:
    """A visitor's account, as far as they let the program use it.

    Attributes:
        endpoint: The address of the Hub that gave the token, which is sent to no other.
    """

    endpoint: str
    token: Token


class HubRefused(Exception):
    """The Hub answered with an error; `status` is its HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


class HubSilent(Exception):
    """The Hub did not answer in time, or its answer makes no sense; `slow` in the first case."""

    def __init__(self, *, slow: bool) -> None:
        super().__init__("no answer in time" if slow else "no usable answer")
        self.slow = slow


class FileTooLarge(Exception):
    """The Hub does not take a file of this size in a commit."""


@dataclass(frozen=True)
class Dataset:
    """What the Hub says about a dataset."""

    tags: frozenset[str]
    files: frozenset[str]


class HubDatasets:
    """The datasets of one account, for the time of a `with` block.

    All methods raise HubRefused or HubSilent.
    """

    def __init__(self, account: HubAccount, seconds: float = SECONDS) -> None:
        self.endpoint = account.endpoint.rstrip("/")
        self._client = httpx.Client(
            verify=trusted(),
            headers={"Authorization": f"Bearer {account.token()}"},
            timeout=seconds,
            follow_redirects=False,
        )

    def __enter__(self) -> HubDatasets:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def owner(self) -> str:
        """Return the name of the account."""
        with _usable():
            return str(self._ask("GET", "/api/whoami-v2").json()["name"])

    def find(self, name: str) -> Dataset | None:
        """Return the dataset `owner/name`; None if there is none."""
        try:
            answer = self._ask("GET", f"/api/datasets/{quote(name)}")
        except HubRefused as refused:
            if refused.status == 404:
                return None
            raise
        with _usable():
            about = answer.json()
            files = frozenset(str(file["rfilename"]) for file in about.get("siblings") or ())
            return Dataset(frozenset(map(str, about.get("tags") or ())), files)

    def create(self, name: str) -> None:
        """Create a public dataset `owner/name`; it may exist already."""
        asked = {**_named(name), "visibility": "public"}
        try:
            self._ask("POST", "/api/repos/create", json=asked)
        except HubRefused as refused:
            # Also what the Hub says while it creates another repository of the account.
            if refused.status != 409 or self.find(name) is None:
                raise

    def commit(
        self, name: str, message: str, files: Mapping[str, bytes] | None = None, delete: Collection[str] = ()
    ) -> None:
        """Add or replace files and delete others, in one commit.

        Raises:
            FileTooLarge: A file is too large, which the Hub says before anything is sent.
        """
        added = files or {}
        if added:
            self._check_sizes(name, added)
        lines: list[dict[str, Any]] = [{"key": "header", "value": {"summary": message, "description": ""}}]
        for path, content in added.items():
            value = {"content": base64.b64encode(content).decode(), "path": path, "encoding": "base64"}
            lines.append({"key": "file", "value": value})
        lines += [{"key": "deletedFile", "value": {"path": path}} for path in delete]
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        headers = {"Content-Type": "application/x-ndjson"}
        self._ask("POST", f"/api/datasets/{quote(name)}/commit/{_BRANCH}", content=body, headers=headers)

    def squash(self, name: str, message: str) -> None:
        """Reduce the history to a single commit."""
        self._ask("POST", f"/api/datasets/{quote(name)}/super-squash/{_BRANCH}", json={"message": message})

    def delete(self, name: str) -> None:
        """Delete a dataset with everything in it."""
        self._ask("DELETE", "/api/repos/delete", json=_named(name))

    def _check_sizes(self, name: str, files: Mapping[str, bytes]) -> None:
        asked = [
            {"path": path, "sample": base64.b64encode(content[:SAMPLE_BYTES]).decode(), "size": len(content)}
            for path, content in files.items()
        ]
        answer = self._ask("POST", f"/api/datasets/{quote(name)}/preupload/{_BRANCH}", json={"files": asked})
        with _usable():
            if any(file["uploadMode"] != "regular" for file in answer.json()["files"]):
                raise FileTooLarge

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, self.endpoint + path, **options)
        except httpx.TimeoutException:
            raise HubSilent(slow=True) from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise HubSilent(slow=False) from None
        if not answer.is_success:
            raise HubRefused(answer.status_code)
        return answer


def _named(name: str) -> dict[str, str]:
    owner, _, rest = name.partition("/")
    return {"name": rest, "organization": owner, "type": "dataset"}


@contextmanager
def _usable() -> Iterator[None]:
    """Raise HubSilent for an answer that is no JSON, or not of the expected form."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError):
        raise HubSilent(slow=False) from None
