"""Signals in any number and order, to a real process: one drain, or an immediate exit at the second Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
PROGRAM = """
import os, sys, time
from negotiation.app.signals import Signals

def say(text):
    os.write(1, f"{text}\\n".encode())

signals = Signals()
signals.listen()
say("ready")
signals.wait(reload=lambda: say("reloaded"))
say("draining")
sys.stdin.read()  # the drain lasts until the test says so
say("drained")
"""
FORKING = PROGRAM.replace(
    'say("ready")',
    """
import signal
import threading
reading, writing = os.pipe()

def fork():
    global worker
    worker = os.fork()
    if not worker:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(7))  # as ZeroGPU's package does in its workers
        os.write(writing, b"x")
        while True:
            signal.pause()

thread = threading.Thread(target=fork)
thread.start()
thread.join()
os.read(reading, 1)
say("ready")
say(worker)
say(f"worker ended with {os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])}")
""",
)
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a program and waits until it listens."""
    started: list[subprocess.Popen[str]] = []

    def begin(program: str = PROGRAM) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert heard(process) == "ready"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def heard(process: subprocess.Popen[str]) -> str:
    """The next line that a program writes."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def rest(process: subprocess.Popen[str]) -> tuple[list[str], int]:
    """What a program still writes once its drain may end, and its exit status."""
    written, _ = process.communicate(timeout=30)
    return written.split(), process.returncode


@pytest.mark.parametrize("count", [1, 2, 2000])
def test_any_number_of_sigterms_to_the_group_lead_to_one_drain(start: Start, count: int) -> None:
    process = start()
    for _ in range(count):  # they arrive while the handler runs
        os.killpg(process.pid, signal.SIGTERM)
    assert heard(process) == "draining"
    for _ in range(count):
        os.killpg(process.pid, signal.SIGTERM)
    assert rest(process) == (["drained"], 0)


def test_the_first_ctrl_c_drains_and_the_second_ends_at_once(start: Start) -> None:
    process = start()
    process.send_signal(signal.SIGINT)
    assert heard(process) == "draining"
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 1


def test_a_burst_of_mixed_signals_ends_in_a_drain_or_at_once(start: Start) -> None:
    process = start()
    for number in [signal.SIGTERM, signal.SIGHUP, signal.SIGINT] * 300:
        if process.poll() is None:
            process.send_signal(number)
    written, status = rest(process)  # how many the kernel merges depends on the machine
    assert status == (0 if "drained" in written else 1)


def test_reloads_do_not_stop_it(start: Start) -> None:
    process = start()
    for _ in range(500):
        process.send_signal(signal.SIGHUP)
    assert heard(process) == "reloaded"
    process.send_signal(signal.SIGTERM)
    written, status = rest(process)
    assert status == 0
    assert [word for word in written if word != "reloaded"] == ["draining", "drained"]


def test_a_signal_to_a_forked_worker_is_not_one_to_the_program(start: Start) -> None:
    process = start(FORKING)
    worker = int(heard(process))
    os.kill(worker, signal.SIGTERM)
    assert heard(process) == "worker ended with 7"
    process.send_signal(signal.SIGTERM)
    assert heard(process) == "draining"
    assert rest(process) == (["drained"], 0)
