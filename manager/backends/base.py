"""What every backend promises, and the table of backends by the `type` a registry entry names.

Knows no library that runs models; a backend's module is imported when its type is first wanted.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from manager.errors import MissingPackage, UnsupportedType
from manager.generation.request import GenerationRequest
from manager.generation.stream import TokenStream
from manager.registry import ModelSpec

Progress = Callable[[str, int, int], None]
"""Told how far work on weights is: stage ("fetching" or "loading"), bytes done, bytes in all. Raises Cancelled when
nobody wants the weights any more."""


@dataclass(frozen=True)
class Footprint:
    """Where weights go and how many bytes they take there."""

    device: str
    bytes: int
    elsewhere: bool = False  # another program holds them, and they take no slot here
    load_seconds: float | None = None  # a guess, where the backend knows better than bytes over bandwidth


class BaseLLMModel(ABC):
    """One set of weights, from being looked for to being gone.

    The manager calls `prepare` on a helper thread, `load` and `unload` on its one loader thread, and `generate`
    only between them, from any thread.
    """

    def __init__(self, spec: ModelSpec, cache_dir: Path) -> None:
        self.spec = spec
        self.cache_dir = cache_dir

    @abstractmethod
    def prepare(self, progress: Progress) -> Footprint:
        """Find out whether `load` can work, and fetch what it needs; raises Refused (or a subclass) if it cannot."""

    @abstractmethod
    def load(self, progress: Progress) -> int:
        """Bring the weights onto the device; returns the bytes they take there. Raises on failure, leaving nothing."""

    @abstractmethod
    def unload(self) -> int:
        """Remove the weights; returns the bytes that did not come back."""

    @abstractmethod
    def generate(self, request: GenerationRequest, stream: TokenStream) -> None:
        """Start writing into `stream` and return; the stream always ends, also when it is cancelled."""


Factory = Callable[[ModelSpec, Path], BaseLLMModel]

_FACTORIES: dict[str, Factory | str] = {
    "huggingface": "manager.backends.huggingface:HuggingFaceModelWrapper",
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
    check_type(spec)
    factory = _FACTORIES[spec.type]
    try:
        if isinstance(factory, str):
            module, name = factory.split(":")
            factory = _FACTORIES[spec.type] = getattr(importlib.import_module(module), name)
        return factory(spec, cache_dir)
    except ImportError as error:
        raise MissingPackage(f"type '{spec.type}' cannot be used: {missing(error)}") from None


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
