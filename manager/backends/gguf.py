"""GGUF files: where they are, how large they will be, and their converted copy, made once.

Reading GGUF takes many seconds, so the first load writes what it read as safetensors into the cache folder; later
loads take that. A copy is complete or absent: it is written beside its place and renamed when done.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manager.errors import MissingPackage

PACKAGE = "package:"
"""Prefix of a `gguf_file` that lies inside an installed Python package, as package:NAME/FILE."""

FIRST_LOAD_SECONDS, PARAMETERS_PER_SECOND = 6.0, 12e6
"""A guess at the first load: reading the vocabulary, then converting (measured on two cores)."""


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file on this machine."""

    path: Path

    def parameters(self) -> int:
        """How many numbers the model has, from the file's table of tensors.

        Raises MissingPackage without what transformers reads such files with.
        """
        for package in ("gguf", "accelerate"):
            if importlib.util.find_spec(package) is None:
                text = f"{self.path.name}: reading GGUF needs the package {package}; run: pip install {package}"
                raise MissingPackage(text)
        from gguf import GGUFReader

        return sum(int(tensor.n_elements) for tensor in GGUFReader(str(self.path)).tensors)

    def copy_in(self, cache_dir: Path) -> ConvertedCopy:
        """The place of this file's converted copy."""
        stat = self.path.stat()
        identity = f"{self.path.name} {stat.st_size} {stat.st_mtime_ns}"
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        return ConvertedCopy(cache_dir / "converted" / f"{self.path.stem}-{digest}")


@dataclass(frozen=True)
class ConvertedCopy:
    """A folder with a model as safetensors, and a list of its files that says that it is complete."""

    folder: Path

    @property
    def complete(self) -> bool:
        """Whether the copy is there and every file has the size that was written."""
        try:
            sizes = json.loads((self.folder / "complete.json").read_text())
            return all((self.folder / name).stat().st_size == size for name, size in sizes.items())
        except (OSError, ValueError, AttributeError):
            return False

    def write(self, model: Any, tokenizer: Any) -> None:
        """Save model and tokenizer; raises OSError if the cache folder cannot be written, leaving nothing behind."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=self.folder.parent, prefix=f".{self.folder.name}-"))
        try:
            model.save_pretrained(building)
            tokenizer.save_pretrained(building)
            sizes = {path.name: path.stat().st_size for path in building.iterdir()}
            (building / "complete.json").write_text(json.dumps(sizes, indent=1))
            self.discard()
            os.replace(building, self.folder)  # noqa: PTH105 (a folder, over nothing)
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def discard(self) -> None:
        """Remove the copy, complete or not."""
        shutil.rmtree(self.folder, ignore_errors=True)


def in_package(gguf_file: str) -> GgufFile | None:
    """The file that package:NAME/FILE names, or None where the package is not installed."""
    package, _, name = gguf_file.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package)  # does not import it
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / name
    return GgufFile(path) if path.is_file() else None
