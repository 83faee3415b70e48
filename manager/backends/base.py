"""The interface of a backend, and the table of backends by the `type` that registry entries name.

Imports no library that runs models. A backend's module is imported when its type is first used.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from manager.config.model_spec import ModelSpec
from manager.errors import Failure, MissingPackage, UnsupportedType
from manager.generation.request import GenerationRequest
from manager.generation.stream import TokenStream
from manager.identity import Identity

Progress = Callable[[str, int, int], None]
"""Report the progress of work on weights: stage ("fetching", "loading" or "waking"), bytes done, and bytes in all.
Raises Cancelled if the work is no longer needed."""


@dataclass(frozen=True)
class Footprint:
    """The device of weights, and the bytes that they need there.

    Loaded weights are charged `bytes` (replaced by the measured number) plus `working`.
    """

    device: str
    bytes: int
    remote: bool = False  # held by another program, so that they take no slot here
    load_seconds: float | None = None  # an estimate, if the backend has a better one than bytes over bandwidth
    working: int = 0  # bytes needed for writing: activations, and the conversations being written
    allowance: int = 0  # bytes of conversations worth caching between turns
    capacity: int | None = None  # bytes available on the device: its budget unless one is configured
    parking: int | None = None  # bytes of host memory available for parking; None if these weights cannot be parked


@dataclass(frozen=True)
class Health:
    """The outcome of the last request to a remote server; `failure` is None if it succeeded.

    `cool` is the shortest cool-down in seconds if the whole server failed, and None if only that request did.
    """

    failure: Failure | None = None
    cool: float | None = None


class BaseLLMModel(ABC):
    """One set of weights, over its whole life. Subclass this to write a backend.

    The manager calls `prepare` on a helper thread, `generate` on any thread while the weights are on their device, and
    everything else on its one loader thread.
    """

    def __init__(self, spec: ModelSpec, cache_dir: Path) -> None:
        self.spec = spec
        self.cache_dir = cache_dir

    @classmethod
    def device_of(cls, spec: ModelSpec) -> str:
        """Return the device that an entry means on this machine, so that equivalent entries share weights."""
        return spec.device

    def is_here(self) -> bool:
        """Return whether `prepare` will find all files on this machine. Does not use the network."""
        return True

    @abstractmethod
    def prepare(self, progress: Progress) -> Footprint:
        """Check that `load` can work, and fetch the files that it needs. Raises Refused or a subclass if it cannot."""

    @abstractmethod
    def load(self, progress: Progress) -> int:
        """Bring the weights onto the device, and return the bytes that they take there. Leaves nothing if it raises."""

    def place(self, progress: Progress) -> None:
        """Load on the calling thread, for good, for processes that are forked later and write with these weights."""
        self.load(progress)

    @abstractmethod
    def unload(self) -> int:
        """Remove the weights and their copy in host memory, and return the bytes that were not freed."""

    @abstractmethod
    def generate(self, request: GenerationRequest, stream: TokenStream) -> None:
        """Start writing into `stream` and return. The stream must always end, even if it is cancelled."""

    def most_tokens(self, request: GenerationRequest) -> int:
        """Return how many tokens an answer may have, thinking included."""
        return request.config.max_new_tokens

    def close(self) -> None:  # noqa: B027 (optional)
        """Release resources other than weights, such as connections. Nothing is called after this."""

    @property
    def identity(self) -> Identity:
        """Exactly which weights these are, once they are loaded."""
        return Identity(model_name=self.spec.model_name or self.spec.model_id, device=self.device_of(self.spec))

    @property
    def health(self) -> Health | None:
        """The health of the remote server; None for local weights, and before the first request."""
        return None

    # -- parking, for backends whose footprint allows it -------------------------------------------------------

    def park(self) -> int:
        """Move the weights to host memory, and return the bytes they take there. If it raises, they are unloaded."""
        raise NotImplementedError

    def wake(self, progress: Progress) -> int:
        """Bring parked weights back, and return the bytes that they take.

        The copy stays, so that parking again is quick. If it raises, `host_bytes` is what can still be woken.
        """
        raise NotImplementedError

    def drop(self) -> None:  # noqa: B027 (optional)
        """Drop the copy in host memory."""

    @property
    def host_bytes(self) -> int:
        """Bytes of the copy in host memory."""
        return 0

    # -- memory ------------------------------------------------------------------------------------------------

    @property
    def leaked_bytes(self) -> int:
        """Bytes of unloaded weights that are still referenced. Measured repeatedly until it is 0."""
        return 0

    @property
    def cache_bytes(self) -> int:
        """Bytes on the device of cached conversations that are not being written."""
        return 0

    def trim_cache(self, to_bytes: int) -> None:  # noqa: B027 (optional)
        """Limit cached conversations to `to_bytes` from now on, dropping the least recently used.

        Called after each load with the bytes available (at most the footprint's allowance), and again when they change,
        even while the weights write.
        """


Factory = Callable[[ModelSpec, Path], BaseLLMModel]

_FACTORIES: dict[str, Factory | str] = {
    "huggingface": "manager.backends.huggingface:HuggingFaceModelWrapper",
    "openai": "manager.backends.openai:OpenAIModel",
    "fake": "manager.backends.fake:FakeModel",
}


def register_backend(type_name: str, factory: Factory) -> None:
    """Register a backend: entries with `type: type_name` create their model with `factory(spec, cache_dir)`."""
    _FACTORIES[type_name] = factory


def check_type(spec: ModelSpec) -> None:
    """Raise UnsupportedType unless a backend is registered for the entry's type."""
    if spec.type not in _FACTORIES:
        known = ", ".join(sorted(_FACTORIES))
        raise UnsupportedType(f"model '{spec.model_id}': key 'type': '{spec.type}' is not supported (known: {known})")


def create_model(spec: ModelSpec, cache_dir: Path) -> BaseLLMModel:
    """Make the backend object of an entry, importing its module. Raises MissingPackage if that cannot be imported."""
    try:
        return _factory(spec)(spec, cache_dir)
    except ImportError as error:
        raise MissingPackage(f"type '{spec.type}' cannot be used: {missing(error)}") from None


def device_of(spec: ModelSpec) -> str:
    """Return the device that an entry means on this machine, by its own name if the backend does not resolve it."""
    try:
        pick: Callable[[ModelSpec], str] | None = getattr(_factory(spec), "device_of", None)
    except ImportError:
        return spec.device
    return pick(spec) if pick is not None else spec.device


def missing(error: ImportError) -> str:
    """Describe which package a failed import needs, and how to install it.

    >>> missing(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"))
    "the package 'torch' is not installed; run: pip install torch"
    >>> missing(ImportError("libcudart.so.12: cannot open shared object file", name="torch._C"))
    'libcudart.so.12: cannot open shared object file; run: pip install --force-reinstall torch'
    >>> missing(ImportError("This tokenizer requires the SentencePiece library\\nbut it was not found."))
    'This tokenizer requires the SentencePiece library but it was not found.'
    """
    module = (error.name or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and module:
        return f"the package '{module}' is not installed; run: pip install {module}"
    text = " ".join(str(error).split())[:300]
    return f"{text}; run: pip install --force-reinstall {module}" if module else text


def _factory(spec: ModelSpec) -> Factory:
    check_type(spec)
    factory = _FACTORIES[spec.type]
    if isinstance(factory, str):
        module, name = factory.split(":")
        factory = _FACTORIES[spec.type] = getattr(importlib.import_module(module), name)
    return factory
