"""Where a model's files are: in an installed Python package, on this machine, or on the Hub.

Quick, and without the network or torch, so that models can be described before one is requested.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal

from huggingface_hub import try_to_load_from_cache

from manager.config.model_spec import ModelSpec

PACKAGE = "package:"
"""Prefix of a `gguf_file` that lies inside an installed Python package, as package:NAME/FILE."""
SHIPPED = "shipped:"
"""Prefix of an adapter that comes with Parley, as shipped:NAME."""


def packaged(gguf_file: str) -> Path | None:
    """Return the file that package:NAME/FILE names, or None if the package is not installed or has no such file."""
    package, _, name = gguf_file.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package)  # does not import it
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / name
    return path if path.is_file() else None


def shipped_folder(name: str) -> Path:
    """Return the folder that shipped:NAME names: in the installed package `manager`, else in the checkout."""
    package = Path(__file__).resolve().parents[1]
    folders = package / "models", package.parent / "models"
    return next((folder for folder in folders if folder.is_dir()), folders[0]) / name.removeprefix(SHIPPED)


def whereabouts(spec: ModelSpec) -> Literal["package", "here", "hub"]:
    """Return where the files of a local model are. The repository replaces a missing package."""
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
