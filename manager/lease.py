"""A request for weights while it waits, and the lease it becomes: the right to generate with them.

A lease belongs to no thread: it may be taken in one and given back in another.
"""

from __future__ import annotations

import logging
import queue
import threading
import weakref
from collections.abc import Callable
from typing import Any

from manager.backends.base import BaseLLMModel
from manager.cancel import CancelToken
from manager.config.registry import GenerationConfig, ModelSpec
from manager.config.strict_yaml import validate
from manager.errors import Failure, ManagerClosed
from manager.generation.request import GenerationRequest
from manager.generation.stream import TokenStream

logger = logging.getLogger(__name__)


class LeaseRequest:
    """A request that was made and may still be waiting. It ends exactly once: granted, refused or cancelled."""

    def __init__(self, number: int, spec: ModelSpec, owner: str | None, cancel: Callable[[int], None]) -> None:
        self.number = number
        self.spec = spec
        self.owner = owner
        self._cancel = cancel
        self._ended = threading.Event()
        self._lease: Lease | None = None
        self._failure: Failure | None = None

    def grant(self, lease: Lease) -> None:
        """Called by the manager, once."""
        self._lease = lease
        self._ended.set()

    def refuse(self, failure: Failure) -> None:
        """Called by the manager, once."""
        self._failure = failure
        self._ended.set()

    def wait(self, timeout: float | None = None) -> Lease | None:
        """The lease, or None when it is not there after `timeout` seconds; raises if the request was refused."""
        if not self._ended.wait(timeout):
            return None
        if self._failure is not None:
            raise self._failure.error()
        return self._lease

    def cancel(self) -> None:
        """Give up: leave the queue, or give back the lease if it was granted meanwhile."""
        self._cancel(self.number)
        if self._lease is not None:
            self._lease.release()


class Lease:
    """The right to use resident weights. Give it back with `release`, or use it as a `with` block."""

    def __init__(self, spec: ModelSpec, model: BaseLLMModel, release: Callable[[], None]) -> None:
        self.spec = spec
        self._model = model
        self._release = release
        self._lock = threading.Lock()
        self._streams: list[weakref.ref[TokenStream]] = []  # who writes holds them, and they hold us
        self._ending = self._released = False

    def generate(self, request: GenerationRequest, cancel: CancelToken | None = None) -> TokenStream:
        """Begin to write an answer; the stream is closed, at the latest, when the lease is given back."""
        with self._lock:
            if self._ending:
                raise ManagerClosed("this lease was given back; take a new one")
            stream = TokenStream(cancel, keeps=self)
            going_on = [other for other in self._streams if (held := other()) is not None and not held.ended]
            self._streams = [*going_on, weakref.ref(stream)]
        try:
            self._model.generate(request, stream)
        except BaseException as error:
            stream.fail(error)
            raise
        return stream

    def release(self) -> None:
        """Give the lease back, cancelling what is still being written; does nothing the second time.

        If it is interrupted (Ctrl-C) while it waits for the writing to end, it can be called again. Where the writing
        hangs, the lease is given back once that ends: until then the weights are in use.
        """
        writing = self._stop()
        for stream in writing:
            stream.close()
        if not all(stream.ended for stream in writing):
            logger.warning("%s does not stop writing; its lease comes back when it does", self.spec.model_id)
            return
        with self._lock:
            if self._released:
                return
            self._released = True
        self._release()

    def cancel(self) -> None:
        """Cancel what is being written, without waiting for its end; nothing more can be begun."""
        self._stop()

    def _stop(self) -> list[TokenStream]:
        with self._lock:
            self._ending = True
            references = [] if self._released else list(self._streams)
        writing = [stream for reference in references if (stream := reference()) is not None]
        for stream in writing:
            stream.cancel_token.cancel()
        return writing

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class LostLeases:
    """Takes back leases that vanished without having been given back.

    The garbage collector, which finds them, may run in the midst of anything, holding any lock: it only names them
    (`note`), and a thread here has them released.
    """

    def __init__(self, release: Callable[[int], None]) -> None:
        self._release = release
        self._numbers: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="lost leases", daemon=True)
        self._thread.start()

    def note(self, number: int) -> None:
        """A lease vanished. Takes no lock and never waits."""
        self._numbers.put(number)

    def close(self) -> None:
        """Take back what was noted so far, and end the thread."""
        self._numbers.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (number := self._numbers.get()) is not None:
            self._release(number)


def merged_config(spec: ModelSpec, overrides: dict[str, Any]) -> GenerationConfig:
    """A model's generation defaults with a request's own settings; raises ConfigError for what is unknown or bad."""
    if not overrides:
        return spec.generation_config
    data = {**spec.generation_config.model_dump(), **overrides}
    return validate(GenerationConfig, data, f"model '{spec.model_id}'", "generation settings")
