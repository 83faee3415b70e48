"""Where a model's files are: in an installed Python package, on this machine, or still on the Hub.

Told quickly, without the network and without torch, for whoever describes models before one is wanted.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal

from huggingface_hub import try_to_load_from_cache

from manager.config.registry import ModelSpec

PACKAGE = "package:"
"""Prefix of a `gguf_file` that lies inside an installed Python package, as package:NAME/FILE."""


def packaged(gguf_file: str) -> Path | None:
    """The file that package:NAME/FILE names, or None where the package is not installed."""
    package, _, name = gguf_file.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package)  # does not import it
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / name
    return path if path.is_file() else None


def whereabouts(spec: ModelSpec) -> Literal["package", "here", "hub"]:
    """Where the files of a model that runs here are found; what its package lacks comes from its repository."""
    named = spec.gguf_file or ""
    if named.startswith(PACKAGE):
        if packaged(named) is not None:
            return "package"
        named = ""
    if spec.model_name.startswith((".", "/", "~")):
        return "here"
    for name in [named] if named else ["model.safetensors", "model.safetensors.index.json"]:
        if isinstance(try_to_load_from_cache(spec.model_name, name, revision=spec.revision), str):
            return "here"
    return "hub"
