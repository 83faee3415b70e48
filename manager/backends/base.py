"""What every backend promises, and the table of backends by the `type` a registry entry names.

Knows no library that runs models; a backend's module is imported when its type is first wanted.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from manager.config.registry import ModelSpec
from manager.errors import Failure, MissingPackage, UnsupportedType
from manager.generation.request import GenerationRequest
from manager.generation.stream import TokenStream

Progress = Callable[[str, int, int], None]
"""Told how far work on weights is: stage ("fetching" or "loading"), bytes done, bytes in all. Raises Cancelled when
nobody wants the weights any more."""


@dataclass(frozen=True)
class Footprint:
    """Where weights go and how many bytes they take there.

    While loaded they are charged `bytes` (then what was measured) and `working`: what writing needs besides.
    """

    device: str
    bytes: int
    elsewhere: bool = False  # another program holds them, and they take no slot here
    load_seconds: float | None = None  # a guess, where the backend knows better than bytes over bandwidth
    working: int = 0  # bytes for writing: activations, and the conversations being written
    allowance: int = 0  # bytes of conversations that the weights would like to keep between turns
    capacity: int | None = None  # bytes on the device that may be used, where the settings give no budget
    parking: int | None = None  # the same of host memory for parked weights; None if these cannot be parked


@dataclass(frozen=True)
class Health:
    """How a server elsewhere is, by the last request to it. `failure` is what was wrong, None if it answered.

    `cool` is for how many seconds it should at least be left alone; None if only that one request went wrong.
    """

    failure: Failure | None = None
    cool: float | None = None


class BaseLLMModel(ABC):
    """One set of weights, from being looked for to being gone.

    The manager calls `prepare` on a helper thread, `generate` from any thread while the weights are on their device,
    and everything else on its one loader thread.
    """

    def __init__(self, spec: ModelSpec, cache_dir: Path) -> None:
        self.spec = spec
        self.cache_dir = cache_dir

    @classmethod
    def device_of(cls, spec: ModelSpec) -> str:
        """The device that the entry's `device` means on this machine, so that entries which mean the same share it."""
        return spec.device

    def is_here(self) -> bool:
        """Whether `prepare` will find all files on this machine; looks without asking the network."""
        return True

    @abstractmethod
    def prepare(self, progress: Progress) -> Footprint:
        """Find out whether `load` can work, and fetch what it needs; raises Refused (or a subclass) if it cannot."""

    @abstractmethod
    def load(self, progress: Progress) -> int:
        """Bring the weights onto the device; returns the bytes they take there. Raises on failure, leaving nothing."""

    def place(self, progress: Progress) -> None:
        """`load` on the calling thread and for good, for processes that are forked afterwards and write there."""
        self.load(progress)

    @abstractmethod
    def unload(self) -> int:
        """Remove the weights, and their copy in host memory; returns the bytes that did not come back."""

    @abstractmethod
    def generate(self, request: GenerationRequest, stream: TokenStream) -> None:
        """Start writing into `stream` and return; the stream always ends, also when it is cancelled."""

    def close(self) -> None:  # noqa: B027 (most have nothing)
        """Let go of what is held besides weights, like connections; nothing will be asked of it any more."""

    @property
    def health(self) -> Health | None:
        """How the server is that holds these weights; None for weights that are here, or were never asked."""
        return None

    # -- parking: for those whose footprint says that they can -------------------------------------------------

    def park(self) -> int:
        """Move the weights to host memory; returns the bytes they take there. If it raises, they are unloaded."""
        raise NotImplementedError

    def wake(self, progress: Progress) -> int:
        """Bring parked weights back; returns the bytes they take. The copy stays, so that parking again is quick.

        Raises on failure; `host_bytes` then says whether it may be tried again.
        """
        raise NotImplementedError

    def drop(self) -> None:  # noqa: B027 (most keep none)
        """Forget the copy in host memory."""

    @property
    def host_bytes(self) -> int:
        """Bytes of the copy in host memory."""
        return 0

    # -- honesty about memory ----------------------------------------------------------------------------------

    @property
    def leaked_bytes(self) -> int:
        """Bytes that were given up but that somebody still holds, now; asked for again until they are gone."""
        return 0

    @property
    def cache_bytes(self) -> int:
        """Bytes kept on the device of conversations that are not being written."""
        return 0

    def trim_cache(self, to_bytes: int) -> None:  # noqa: B027 (some keep nothing)
        """Keep at most `to_bytes` of conversations from now on, until told otherwise; least recently used go first.

        Called after each load with what there is room for (at most the footprint's allowance), and again when that
        changes, also while the weights write.
        """


Factory = Callable[[ModelSpec, Path], BaseLLMModel]

_FACTORIES: dict[str, Factory | str] = {
    "huggingface": "manager.backends.huggingface:HuggingFaceModelWrapper",
    "openai": "manager.backends.openai:OpenAIModel",
    "fake": "manager.backends.fake:FakeModel",
}


def register_backend(type_name: str, factory: Factory) -> None:
    """Make `type: type_name` in a registry entry create its model with `factory(spec, cache_dir)`."""
    _FACTORIES[type_name] = factory


def check_type(spec: ModelSpec) -> None:
    """Raise UnsupportedType unless a backend is registered for the entry's type."""
    if spec.type not in _FACTORIES:
        known = ", ".join(sorted(_FACTORIES))
        raise UnsupportedType(f"model '{spec.model_id}': key 'type': '{spec.type}' is not supported (known: {known})")


def create_model(spec: ModelSpec, cache_dir: Path) -> BaseLLMModel:
    """The backend object for an entry; imports its module. Raises MissingPackage if that cannot be imported."""
    try:
        return _factory(spec)(spec, cache_dir)
    except ImportError as error:
        raise MissingPackage(f"type '{spec.type}' cannot be used: {missing(error)}") from None


def device_of(spec: ModelSpec) -> str:
    """The device that an entry means on this machine; its own word for it where the backend does not say."""
    try:
        pick: Callable[[ModelSpec], str] | None = getattr(_factory(spec), "device_of", None)
    except ImportError:
        return spec.device
    return pick(spec) if pick is not None else spec.device


def missing(error: ImportError) -> str:
    """What an import that failed lacks, and how to get it.

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
