"""The end of the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

HANGING = """
import threading
from concurrent.futures import ThreadPoolExecutor
from manager.process import leave

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
