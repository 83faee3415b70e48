"""Requests for weights, and the leases they become: the right to generate with them.

A lease belongs to no thread: one thread may acquire it and another release it.
"""

from __future__ import annotations

import logging
import queue
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from manager.backends.base import BaseLLMModel
from manager.cancel import CancelToken
from manager.config.model_spec import GenerationConfig, ModelSpec
from manager.config.strict_yaml import validate
from manager.credentials import Bearer
from manager.errors import Failure, ManagerClosed
from manager.generation.request import GenerationRequest
from manager.generation.stream import TokenStream
from manager.identity import Identity

logger = logging.getLogger(__name__)


class LeaseRequest:
    """A pending request for a lease. It ends exactly once: granted, refused or cancelled."""

    def __init__(
        self,
        number: int,
        spec: ModelSpec,
        owner: str | None,
        cancel: Callable[[int], None],
        bearer: Bearer | None = None,
    ) -> None:
        self.number = number
        self.spec = spec
        self.owner = owner
        self.bearer = bearer
        self._cancel = cancel
        self._ended = threading.Event()
        self._lease: Lease | None = None
        self._failure: Failure | None = None

    def grant(self, lease: Lease) -> None:
        """End the request with a lease. Called by the manager."""
        self._lease = lease
        self._ended.set()

    def refuse(self, failure: Failure) -> None:
        """End the request with a failure. Called by the manager."""
        self._failure = failure
        self._ended.set()

    def wait(self, timeout: float | None = None) -> Lease | None:
        """Return the lease, or None after `timeout` seconds. Raises the reason if the request was refused."""
        if not self._ended.wait(timeout):
            return None
        if self._failure is not None:
            raise self._failure.error()
        return self._lease

    def cancel(self) -> None:
        """Leave the queue, or release the lease if it was granted in the meantime."""
        self._cancel(self.number)
        if self._lease is not None:
            self._lease.release()


class Lease:
    """The right to use resident weights. End it with `release`, or use it as a `with` block."""

    def __init__(
        self, spec: ModelSpec, model: BaseLLMModel, release: Callable[[], None], bearer: Bearer | None = None
    ) -> None:
        self.spec = spec
        self._bearer = bearer
        self._model = model
        self._release = release
        self._lock = threading.Lock()
        self._streams: list[weakref.ref[TokenStream]] = []  # weak, as streams keep their lease alive
        self._ending = self._released = False

    @property
    def identity(self) -> Identity:
        """Exactly which weights these are: revision or digest, dtype, quantization, device."""
        return self._model.identity

    def most_tokens(self, request: GenerationRequest) -> int:
        """Return how many tokens an answer may have, and thus cost; thinking counts."""
        return self._model.most_tokens(request)

    def generate(self, request: GenerationRequest, cancel: CancelToken | None = None) -> TokenStream:
        """Begin to write an answer, and return its stream. Releasing the lease closes the stream.

        Raises:
            ManagerClosed: The lease was released.
            GenerationFailed: The request is not usable. Later failures are raised by the stream.
        """
        with self._lock:
            if self._ending:
                raise ManagerClosed("this lease was released; request a new one")
            stream = TokenStream(cancel, keeps=self)
            unfinished = [other for other in self._streams if (held := other()) is not None and not held.ended]
            self._streams = [*unfinished, weakref.ref(stream)]
        try:
            self._model.generate(replace(request, bearer=self._bearer), stream)
        except BaseException as error:
            stream.fail(error)
            raise
        return stream

    def release(self) -> None:
        """Release the lease, cancelling unfinished streams. Does nothing the second time.

        If it is interrupted (Ctrl-C) while waiting for a stream to end, it can be called again. If a stream hangs, the
        lease is released when the stream ends, since the weights are in use until then.
        """
        writing = self._stop()
        for stream in writing:
            stream.close()
        if not all(stream.ended for stream in writing):
            logger.warning("%s has not stopped generating; its lease will be released when it does", self.spec.model_id)
            return
        with self._lock:
            if self._released:
                return
            self._released = True
        self._release()

    def cancel(self) -> None:
        """Cancel unfinished streams without waiting for their end, and refuse new ones."""
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
    """Releases leases that were garbage-collected without being released.

    The garbage collector may run at any point and under any lock, so it only reports the lease's number (`report`). A
    thread releases the lease.
    """

    def __init__(self, release: Callable[[int], None]) -> None:
        self._release = release
        self._numbers: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="lost leases", daemon=True)
        self._thread.start()

    def report(self, number: int) -> None:
        """Queue a lost lease for release. Takes no lock and never waits."""
        self._numbers.put(number)

    def close(self) -> None:
        """Release the leases reported so far, and end the thread."""
        self._numbers.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (number := self._numbers.get()) is not None:
            self._release(number)


def merged_config(spec: ModelSpec, overrides: dict[str, Any]) -> GenerationConfig:
    """Return a model's generation defaults with a request's overrides. Raises ConfigError for a wrong setting."""
    if not overrides:
        return spec.generation_config
    data = {**spec.generation_config.model_dump(), **overrides}
    return validate(GenerationConfig, data, f"model '{spec.model_id}'", "generation settings")
