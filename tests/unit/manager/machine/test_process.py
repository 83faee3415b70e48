"""What the process keeps, and its end."""

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


@pytest.mark.timeout(60)
def test_a_pool_that_hangs_does_not_hold_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout) == (3, "closed")


CHURN = """
import time
from manager.machine import process

process.TRIM_SECONDS = 0.05
process.keep_memory_low()

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

before = resident()
made = [bytes(700) for _ in range(300_000)]
grown = resident()
assert grown > before + 150
kept = made[::100]  # what is left lies between, as in a program that goes on
del made
ends = time.monotonic() + 60
while resident() > before + 60 and time.monotonic() < ends:
    time.sleep(0.05)
print(resident() < before + 60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_what_is_freed_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", CHURN], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
