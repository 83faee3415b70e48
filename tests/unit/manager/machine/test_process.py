"""Memory that the process returns, and how it ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

HANGING = """
import threading
from concurrent.futures import ThreadPoolExecutor
from manager.machine.process import leave

begun = threading.Event()
def hang():
    begun.set()
    threading.Event().wait()
ThreadPoolExecutor(1).submit(hang)
begun.wait()
print("closed", end="")
leave(3)
"""


def test_a_thread_pool_that_hangs_does_not_delay_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout) == (3, "closed")


CHURN = """
import time
import psutil
from manager.machine import process

process.TRIM_SECONDS = 0.05
process.keep_memory_low()

def resident():
    return psutil.Process().memory_info().rss / 2**20

before = resident()
made = [bytes(700) for _ in range(300_000)]
grown = resident()
assert grown > before + 150
kept = made[::100]  # scattered between the freed objects, as in a running program
del made
ends = time.monotonic() + 60
while resident() > before + 60 and time.monotonic() < ends:
    time.sleep(0.05)
print(resident() < before + 60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_freed_memory_returns_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", CHURN], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
