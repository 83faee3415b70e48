"""GGUF files: where they are, how large they will be, and their converted copy, made once.

Reading GGUF takes many seconds, so the first load writes what it read as safetensors into the cache folder; later
loads take that. A copy is complete or absent: it is written beside its place and renamed when done.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manager.backends.sizing import Shape
from manager.errors import MissingPackage, Refused
from manager.machine.model_files import packaged

FIRST_LOAD_SECONDS, PARAMETERS_PER_SECOND = 6.0, 12e6
"""A guess at the first load: reading the vocabulary, then converting (measured on two cores)."""


STALE_SECONDS = 3600.0
"""An unfinished copy that nobody wrote to for so long was left by a process that was killed."""


def first_load_seconds(parameters: int) -> float:
    """About how long converting a model takes."""
    return FIRST_LOAD_SECONDS + parameters / PARAMETERS_PER_SECOND


@dataclass(frozen=True)
class Outline:
    """A model as a GGUF file describes it."""

    parameters: int
    shape: Shape


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file on this machine."""

    path: Path

    def outline(self) -> Outline:
        """What the file's header says about the model; quick.

        Raises MissingPackage without what transformers reads such files with, Refused for a file that is not whole.
        """
        for package in ("gguf", "accelerate"):
            if importlib.util.find_spec(package) is None:
                text = f"{self.path.name}: reading GGUF needs the package {package}; run: pip install {package}"
                raise MissingPackage(text)
        from gguf import GGUFReader

        try:
            reader = GGUFReader(str(self.path))
            kind = str(reader.fields["general.architecture"].contents())

            def number(name: str, otherwise: int = 0) -> int:
                field = reader.fields.get(f"{kind}.{name}")
                value = field.contents() if field is not None else otherwise
                return int(max(value) if isinstance(value, list) else value)

            hidden, heads = number("embedding_length"), number("attention.head_count", 1)
            vocabulary = next(int(max(t.shape)) for t in reader.tensors if t.name == "token_embd.weight")
            shape = Shape(
                layers=number("block_count"),
                kv_heads=number("attention.head_count_kv", heads),
                head_size=number("attention.key_length", hidden // heads),
                hidden=hidden,
                vocabulary=vocabulary,
            )
            return Outline(sum(int(tensor.n_elements) for tensor in reader.tensors), shape)
        except Exception as error:  # noqa: BLE001 (a broken file breaks its reader in many ways)
            reason = f"{type(error).__name__}: {error}"
            raise Refused(
                f"{self.path}: not a whole GGUF file of a language model ({reason}); fetch it again"
            ) from None

    def copy_in(self, cache_dir: Path, dtype: str) -> ConvertedCopy:
        """The place of this file's converted copy with numbers of `dtype`."""
        stat = self.path.stat()
        identity = f"{self.path.name} {stat.st_size} {stat.st_mtime_ns}"
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        return ConvertedCopy(cache_dir / "converted" / f"{self.path.stem}-{digest}-{dtype}")


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
        self._clear_stale()
        building = Path(tempfile.mkdtemp(dir=self.folder.parent, prefix=f".{self.folder.name}-"))
        try:
            model.save_pretrained(building)
            tokenizer.save_pretrained(building)
            sizes = {path.name: path.stat().st_size for path in building.iterdir()}
            (building / "complete.json").write_text(json.dumps(sizes, indent=1))
            for path in building.iterdir():
                _flush(path)
            self.discard()
            os.replace(building, self.folder)  # noqa: PTH105 (a folder, over nothing)
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def _clear_stale(self) -> None:
        """Remove what processes that were killed left behind."""
        for path in self.folder.parent.glob(".*-*"):
            with contextlib.suppress(OSError):  # somebody else removed it
                newest = max(entry.stat().st_mtime for entry in [path, *path.iterdir()])
                if time.time() - newest > STALE_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)

    def discard(self) -> None:
        """Remove the copy, complete or not."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _flush(path: Path) -> None:
    """See to it that a file survives a power cut before its folder gets its name."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def in_package(gguf_file: str) -> GgufFile | None:
    """The file that package:NAME/FILE names, or None where the package is not installed."""
    path = packaged(gguf_file)
    return None if path is None else GgufFile(path)
