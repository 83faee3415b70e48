"""Fixtures for the heavy tests: a PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

_NEEDS = {
    "ray": "test_cluster.py",
    "openai": "test_transformers_serve.py",
    "pyarrow": "test_parquet.py",
    "inspect_ai": "test_inspect.py",
    "verifiers": "test_verifiers.py",
}
"""Packages that `make test-heavy` installs."""
collect_ignore = [test for package, test in _NEEDS.items() if not find_spec(package)]


def _postgres_bin() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres")) or [Path(shutil.which("postgres") or "postgres")]
    return found[-1].parent


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Start a PostgreSQL server and return the URL of its database."""
    with tempfile.TemporaryDirectory(prefix="parley-postgresql-") as folder:  # accessible to the server's user
        yield from _server(Path(folder))


def _server(folder: Path) -> Iterator[str]:
    data, as_user = folder / "data", list[str | Path]()
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tools = _postgres_bin()
    subprocess.run([*as_user, tools / "initdb", "-D", data, "-A", "trust", "-U", "postgres"], check=True, cwd="/")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    control = [*as_user, tools / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
    subprocess.run([*control, "-o", options, "start"], check=True, cwd="/")
    try:
        yield f"postgresql+pg8000://postgres@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, cwd="/")
