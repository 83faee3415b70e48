"""The real program as a subprocess that can be killed and restarted on the same data."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 180
"""How long a start may take; on a busy machine it has taken more than a minute."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process(Protocol):
    """What a server needs of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: signal.Signals, /) -> None: ...


class Server:
    """`python app.py` with a home folder."""

    def __init__(
        self,
        home: Path,
        configs: Path | None = None,
        *,
        python: str = sys.executable,
        script: Path = ROOT / "app.py",
        **environment: str,
    ) -> None:
        self.home = home
        self.command = [python, str(script)]
        self.port = free_port()
        self.log = home / "server.log"
        self.environment = {
            **os.environ,
            "PARLEY_HOME": str(home),
            "PORT": str(self.port),
            "HF_HUB_OFFLINE": "1",
            "PARLEY_PACE": "instant",
            **({"PARLEY_CONFIG": str(configs)} if configs else {}),
            **environment,
        }
        self.process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Server:
        self.home.mkdir(parents=True, exist_ok=True)
        self.process = self._launch()
        for _ in range(10 * START_SECONDS):
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended at once:\n{self.log.read_text()}")
            if self._answers():
                return self
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.1)
        raise AssertionError(f"the server does not answer:\n{self.log.read_text()}")

    def _launch(self) -> Process:
        with self.log.open("ab") as log:
            return subprocess.Popen(self.command, env=self.environment, cwd=self.home, stdout=log, stderr=log)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """Kill the process, as a power failure would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Terminate the process as an operator would, and return its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not stop:\n{self.log.read_text()}") from None
