"""A loopback stand-in for the Hugging Face Hub that can drop connections."""

from __future__ import annotations

import hashlib
import http.server
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

from tests.support.serving import StandIn, serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ERRORS = {
    "missing": (401, "RepoNotFound"),
    "gated": (403, "GatedRepo"),
    "revision": (404, "RevisionNotFound"),
    "down": (500, ""),
}


class Hub(StandIn):
    """Serves the repositories in `files`, {name: {path: content}}; `owner/gated` and the other names in ERRORS fail."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        self.parameters: dict[str, int] = {}  # of repositories with safetensors
        self.asked: list[str] = []
        self.drops: list[int] = []  # bytes of weights after which each successive connection breaks

    def about(self, name: str) -> dict[str, Any]:
        """Return what the Hub says about a repository, beside its name and commit."""
        files = [{"rfilename": path} for path in self.files.get(name, ())]
        total = self.parameters.get(name)
        tensors = {} if total is None else {"safetensors": {"parameters": {"BF16": total}, "total": total}}
        return {"siblings": files, "gated": False, "cardData": {"license": "apache-2.0"}, **tensors}


class Handler(http.server.BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.server.asked.append(path)
        parts = path.removeprefix("api/models/").split("/")
        name, rest = "/".join(parts[:2]), parts[2:]
        about_model = path.startswith("api/models/") and len(parts) == 2
        if name == "owner/walled" and about_model:  # anyone may read about it
            self._send(200, json.dumps({"id": name, "gated": "manual", "siblings": []}).encode(), {}, body)
        elif name == "owner/walled" and rest == ["auth-check"]:
            self._send(403, b"", {"X-Error-Code": "GatedRepo"}, body)
        elif not rest and not about_model:
            self._send(404, b"", {}, body)
        elif parts[1] in ERRORS or (parts[1] == "tiny" and "gone" in rest):
            status, code = ERRORS["revision" if "gone" in rest else parts[1]]
            self._send(status, b"", {"X-Error-Code": code} if code else {}, body)
        elif about_model:
            self._send(200, json.dumps({"id": name, "sha": COMMIT, **self.server.about(name)}).encode(), {}, body)
        elif rest[0] == "revision":
            self._send(200, json.dumps({"id": name, "sha": COMMIT, "siblings": []}).encode(), {}, body)
        elif rest[0] == "tree":
            files = self.server.files[name]
            tree = [{"type": "file", "path": p, "size": len(c), "oid": digest(c)} for p, c in files.items()]
            self._send(200, json.dumps(tree).encode(), {}, body)
        else:
            content = self.server.files[name]["/".join(rest[2:])]
            about = {"X-Repo-Commit": COMMIT, "ETag": f'"{digest(content)}"'}
            begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
            if begin:
                about["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            drop = self.server.drops.pop(0) if body and self.server.drops and rest[-1].endswith("tensors") else None
            self._send(206 if begin else 200, content[begin:], about, body, drop)

    def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool, drop: int | None = None) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(content[:drop])
        if drop is not None:
            self.close_connection = True


def digest(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


@contextmanager
def serving_hub(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Hub]:
    """Make this process use a stand-in Hub, with its cache in `folder`."""
    with serving(Hub()) as server:
        point_to(f"http://127.0.0.1:{server.server_address[1]}", monkeypatch, folder)
        yield server


def point_to(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
