"""A stand-in for the Hub's dataset repositories, with the requests that commit and fetch files."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from huggingface_hub import constants

from tests.support.serving import StandIn, serving


@dataclass
class Account:
    """Whose token it is, and what it allows."""

    name: str
    may_write: bool = True
    may_delete: bool = True


@dataclass
class Repository:
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)  # commit messages
    squashed: int = 0

    @property
    def tags(self) -> list[str]:
        """The tags of the front matter."""
        card = self.files.get("README.md", b"").decode()
        head = yaml.safe_load(card.split("---")[1]) if card.startswith("---") else {}
        return list(head.get("tags", ()))

    @property
    def sha(self) -> str:
        return hashlib.sha1(f"{len(self.commits)}".encode(), usedforsecurity=False).hexdigest()


class DatasetHub(StandIn):
    """Repositories by name, and accounts by token. While `broken` is set, every request fails.

    With `accounts`, writing takes the token of the account that owns a repository; without, anybody may.
    """

    def __init__(self, handler: type[DatasetHandler] | None = None) -> None:
        super().__init__(handler or DatasetHandler)
        self.forget()

    def forget(self) -> None:
        """Begin anew: without repositories, accounts and records."""
        self.repositories: dict[str, Repository] = {}
        self.asked: list[tuple[str, str | None]] = []  # path and token of each request
        self.sent: list[tuple[str, str, bytes]] = []  # method, path and body of each change
        self.accounts: dict[str, Account] = {}
        self.broken = False
        self.fails: dict[str, int] = {}  # status by a part of the path, such as "commit"
        self.stuck: dict[str, threading.Event] = {}  # until when such requests get no answer
        self.cookies: list[tuple[str | None, str]] = []  # account and cookie of each request that carries one
        self.largest = 10_000_000  # bytes of a file that need not go another way
        self.committed = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def wait_for_commits(self, name: str, count: int) -> None:
        """Wait until a repository has at least `count` commits."""
        with self.committed:
            enough = lambda: name in self.repositories and len(self.repositories[name].commits) >= count  # noqa: E731
            assert self.committed.wait_for(enough, 30), f"no {count} commits"


class DatasetHandler(http.server.BaseHTTPRequestHandler):
    """Answers the requests of a DatasetHub."""

    server: DatasetHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _account(self) -> Account | None:
        return self.server.accounts.get((self.headers.get("Authorization") or "").removeprefix("Bearer "))

    def _refuses(self, name: str, *, deleting: bool = False) -> bool:
        """Answer a request to change a repository that its account may not make; return whether that was so."""
        if not self.server.accounts:
            return False
        account = self._account()
        if account is None:
            self._send(401, {"error": "Invalid credentials"})
        elif name.split("/")[0] != account.name or not (account.may_delete if deleting else account.may_write):
            self._send(403, {"error": "insufficient scope"})
        else:
            return False
        return True

    def _fails(self, body: bool = True) -> bool:
        """Answer a request that is to fail; return whether that was so."""
        for part, until in self.server.stuck.items():
            if part in self.path:
                until.wait()
        status = 503 if self.server.broken else next((s for p, s in self.server.fails.items() if p in self.path), None)
        if status is not None:
            self._send(status, {"error": "as the test wants it"}, body=body)
        return status is not None

    def do_HEAD(self) -> None:
        self._get(body=False)

    def do_GET(self) -> None:
        self._get(body=True)

    def _get(self, body: bool) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        path = unquote(urlsplit(self.path).path).strip("/").removeprefix("api/").removeprefix("datasets/")
        parts = path.split("/")
        name, rest = "/".join(parts[:2]), parts[2:]
        repository = self.server.repositories.get(name)
        if self._fails(body):
            return
        if path == "whoami-v2":
            account = self._account()
            self._send(200 if account else 401, {"name": account.name, "type": "user"} if account else {}, body=body)
        elif repository is None:
            self._send(404, {"error": "not found"}, {"X-Error-Code": "RepoNotFound"}, body)
        elif not rest or rest[0] == "revision":
            files = [{"rfilename": file} for file in repository.files]
            about = {"id": name, "sha": repository.sha, "private": repository.private, "siblings": files}
            about["tags"] = repository.tags
            self._send(200, about, body=body)
        elif rest[0] == "tree":
            tree = [
                {"type": "file", "path": file, "size": len(content), "oid": _digest(content)}
                for file, content in repository.files.items()
            ]
            self._send(200, tree, body=body)
        elif (file := "/".join(rest[2:])) in repository.files:
            content = repository.files[file]
            self._send(200, content, {"X-Repo-Commit": repository.sha, "ETag": f'"{_digest(content)}"'}, body)
        else:
            self._send(404, {}, {"X-Error-Code": "EntryNotFound"}, body)

    def do_POST(self) -> None:
        content = self._content()
        path = unquote(urlsplit(self.path).path).strip("/")
        self.server.sent.append((self.command, path, content))
        if self._fails():
            return
        if path == "api/validate-yaml":  # the front matter of a README that is about to be committed
            yaml.safe_load(json.loads(content)["content"].split("---")[1])
            self._send(200, {"errors": [], "warnings": []})
        elif path == "api/repos/create":
            asked = json.loads(content)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            if self._refuses(name):
                return
            new = name not in self.server.repositories
            if new:
                self.server.repositories[name] = Repository(asked.get("visibility") == "private")
            self._send(200 if new else 409, {"url": f"{self.server.url}/datasets/{name}"})
        else:
            parts = path.removeprefix("api/datasets/").split("/")
            repository = self.server.repositories["/".join(parts[:2])]
            if self._refuses("/".join(parts[:2])):
                return
            if parts[2] == "preupload":
                modes = [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["size"] > self.server.largest else "regular",
                        "shouldIgnore": False,
                        "oid": None,
                    }
                    for file in json.loads(content)["files"]
                ]
                self._send(200, {"files": modes})
            elif parts[2] == "commit":
                self._commit("/".join(parts[:2]), [json.loads(line) for line in content.splitlines() if line])
            else:
                repository.squashed += 1
                self._send(200, {})

    def do_DELETE(self) -> None:
        content = self._content()
        self.server.sent.append((self.command, urlsplit(self.path).path.strip("/"), content))
        if self._fails():
            return
        asked = json.loads(content)
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        if not self._refuses(name, deleting=True):
            del self.server.repositories[name]
            self._send(200, {})

    def _content(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        repository = self.server.repositories[name]
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del repository.files[value["path"]]
        with self.server.committed:
            repository.commits.append(lines[0]["value"]["summary"])
            self.server.committed.notify_all()
        url = f"{self.server.url}/datasets/{name}/commit/{repository.sha}"
        self._send(200, {"commitUrl": url, "commitOid": repository.sha, "hookOutput": ""})

    def _send(self, status: int, content: Any, headers: dict[str, str] | None = None, body: bool = True) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        account = self._account()
        if given := self.headers.get("Cookie"):
            self.server.cookies.append((account.name if account else None, given))
        cookie = {"Set-Cookie": f"account={account.name}"} if account else {}
        for key, value in {**(headers or {}), **cookie, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(data)


def _digest(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


@contextmanager
def serving_datasets(monkeypatch: pytest.MonkeyPatch) -> Iterator[DatasetHub]:
    """Make this process use a stand-in Hub for datasets."""
    with serving(DatasetHub()) as server:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        url = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield server
