"""The server's memory, threads, and event-loop latency."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SAMPLE_SECONDS = 0.5
WARM_UP = 1 / 3
"""Share of the time to skip before memory is measured: by then, everything has been imported and used once."""
PROBE = "/gradio_api/queue/status"
"""Answered on the event loop itself, without any lookup."""


class Figures:
    """Samples a process and its port on a thread until stopped."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._began = time.monotonic()
        self._memory: list[tuple[float, float]] = []  # minutes, MB
        self._lags: list[float] = []
        self.threads_before = self.threads
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="figures", daemon=True)
        self._thread.start()

    @property
    def threads(self) -> int:
        """Return the current number of threads of the server."""
        return int(self._status("Threads"))

    @property
    def memory(self) -> float:
        """Return the current resident memory of the server in MB."""
        return self._status("VmRSS") / 1024

    @property
    def lag_p95(self) -> float:
        """Return the 95th percentile of the latency of tiny requests, in seconds."""
        return p95(self._lags)

    @property
    def slope(self) -> float:
        """Return the growth of resident memory in MB per minute: least squares over all samples after the warm-up."""
        samples = np.array(self._memory)
        after = samples[samples[:, 0] >= samples[-1, 0] * WARM_UP]
        return float(np.polyfit(after[:, 0], after[:, 1], 1)[0])

    def stop(self) -> None:
        """Stop sampling."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(SAMPLE_SECONDS):
            self._memory.append(((time.monotonic() - self._began) / 60, self.memory))
            asked = time.monotonic()
            self._probe()
            self._lags.append(time.monotonic() - asked)

    def _probe(self) -> None:
        self._connection.request("GET", PROBE)
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status == 200

    def _status(self, name: str) -> float:
        found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        assert found is not None
        return float(found[1])


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile, or 0 without values."""
    return round(float(np.percentile(values, 95)), 3) if values else 0.0
