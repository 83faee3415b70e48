"""The program in processes forked from one that has imported everything, which is most of the work of a start."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.server import Server

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.support.preloaded"])


class ForkedServer(Server):
    """The program as `Server` starts it, but with its imports done.

    Imported modules keep what they have read from the environment, such as HF_ENDPOINT. `Server` is for tests that set
    such variables, and for those of the start itself.
    """

    def _launch(self) -> _Forked:
        return _Forked(self.environment, self.home, self.log)


class _Forked:
    """A forked process with the methods of `subprocess.Popen` that a server needs."""

    def __init__(self, environment: dict[str, str], folder: Path, log: Path) -> None:
        self._process = _CONTEXT.Process(target=_serve, args=(environment, folder, log), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(["app.py"], timeout)
        return status

    def send_signal(self, sig: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)


def _serve(environment: dict[str, str], folder: Path, log: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["app.py"]

    from ui.serve import serve

    serve()
