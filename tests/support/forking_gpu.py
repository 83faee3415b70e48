"""A stand-in for `spaces.GPU` that really forks: each call drives its generator in a child process.

Arguments and values are pickled through a pipe, and closing the generator stops the child at its next value, as
ZeroGPU's package does it. The fork inherits whatever else the function refers to.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable, Generator
from multiprocessing.connection import Connection
from typing import Any

Function = Callable[..., Generator[Any, None, None]]


class ForkingGPU:
    """The decorator. Records the requested `durations` and the worker `processes`; raises `broken` if that is set."""

    def __init__(self) -> None:
        self.durations: list[int] = []
        self.processes: set[int] = set()
        self.calls = 0
        self.broken: Exception | None = None
        self.dies_after: type | None = None  # kind of value after which the worker dies, as when its time runs out

    def __call__(self, *, duration: Callable[..., int]) -> Callable[[Function], Function]:
        def decorate(function: Function) -> Function:
            def lent(*given: Any) -> Generator[Any, None, None]:
                self.durations.append(duration(*given))
                self.calls += 1
                if self.broken is not None:
                    raise self.broken
                yield from self._run(function, pickle.dumps(given))

            return lent

        return decorate

    def _run(self, function: Function, given: bytes) -> Generator[Any, None, None]:
        forking = multiprocessing.get_context("fork")
        ours, theirs = forking.Pipe()
        stop = forking.Event()
        child = forking.Process(target=_work, args=(function, given, theirs, stop), daemon=True)
        child.start()
        theirs.close()
        try:
            while True:
                try:
                    kind, value = pickle.loads(ours.recv_bytes())
                except EOFError:
                    raise RuntimeError("GPU task aborted") from None
                if kind == "end":
                    return
                if kind == "error":
                    raise RuntimeError(value)
                self.processes.add(kind)
                yield value
                if self.dies_after is not None and isinstance(value, self.dies_after):
                    child.kill()  # whatever it has sent since is lost with it
                    raise RuntimeError("GPU task aborted")
        finally:
            stop.set()
            ours.close()
            child.join(30)
            assert not child.is_alive()


def _work(function: Function, given: bytes, pipe: Connection, stop: Any) -> None:
    driving = function(*pickle.loads(given))
    try:
        for value in driving:
            if stop.is_set():
                break
            pipe.send_bytes(pickle.dumps((os.getpid(), value)))
        driving.close()
        pipe.send_bytes(pickle.dumps(("end", None)))
    except BrokenPipeError:
        driving.close()
    except Exception as error:  # noqa: BLE001 (the caller gets it)
        pipe.send_bytes(pickle.dumps(("error", f"{type(error).__name__}: {error}")))
    finally:
        os._exit(0)  # skip the exit handlers of pytest and torch
