"""GGUF files: their size once loaded, and their converted copies.

Reading GGUF takes many seconds, so the first load saves what it read as safetensors in the cache folder, and later
loads read that. A copy is complete or absent: it is written to a temporary folder and renamed when done.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from manager.backends.local.identification import file_digest
from manager.backends.local.sizing import ModelShape
from manager.errors import MissingPackage, Refused
from manager.machine.model_files import PACKAGE, packaged

VOCABULARY_SECONDS, PARAMETERS_PER_SECOND = 4.0, 40e6
"""Estimates for the first load, measured on two cores: reading the header with a vocabulary of 50,000 tokens, and then
converting the tensors."""
STALE_SECONDS = 3600.0
"""An unfinished copy without a write for this long was left behind by a killed process."""
MOST_RIVALS = 20
"""Programs that may finish the same copy at the same moment; each may find its place taken by another."""
COPY_FORMAT = 2
"""Part of the identity of converted copies. Copies of format 1 may hold random tensors, as nothing checked for them."""
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)
"""The names that llama.cpp gives to the files of a split model."""
_PIECE = re.compile(r".*\.gguf(\.part\d+of\d+|[.-](part|split)-?[a-z0-9]+)", re.IGNORECASE)
"""Names of pieces of a file, which are no GGUF files themselves."""


def first_load_seconds(parameters: int) -> float:
    """Return about how many seconds converting a model takes."""
    return VOCABULARY_SECONDS + parameters / PARAMETERS_PER_SECOND


def check_not_split(name: str, parts: int = 1) -> None:
    """Raise Refused for one file of a split model, since the other files would not be read.

    Args:
        name: The name or path of the file.
        parts: The number of files according to its header.
    """
    if _PIECE.fullmatch(name):
        raise Refused(
            f"key 'gguf_file': {name} is a piece of a file that was cut for its upload; join the pieces in their order "
            "(cat FIRST SECOND > WHOLE.gguf) and name the whole file"
        )
    found = _SHARD.fullmatch(name)
    if found is not None:
        parts = max(parts, int(found[3]))
    if parts > 1:
        raise Refused(
            f"key 'gguf_file': {name} is one of {parts} files of a split model, which cannot be read; merge them with "
            "llama.cpp (llama-gguf-split --merge FIRST_FILE MERGED_FILE) and name the merged file"
        )


@dataclass(frozen=True)
class Outline:
    """A model as its GGUF file describes it."""

    parameters: int
    shape: ModelShape
    tied: bool  # whether the output layer shares the weights of the embeddings


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file on this machine."""

    path: Path

    def check_sha256(self, expected: str) -> None:
        """Raise Refused unless the file has this SHA-256 digest, in hexadecimal digits."""
        found = file_digest(self.path)
        if found != expected.lower():
            raise Refused(
                f"key 'sha256': {self.path} has the digest {found}, not {expected.lower()}; fetch the file again, or "
                "correct the key"
            )

    def outline(self) -> Outline:
        """Read the description of the model in the file's header. Quick.

        Raises:
            MissingPackage: A package that transformers needs for GGUF is not installed.
            Refused: The file is incomplete, one of a split model, or of an unsupported architecture.
        """
        for package in ("gguf", "accelerate"):
            if importlib.util.find_spec(package) is None:
                text = f"{self.path.name}: reading GGUF needs the package {package}; run: pip install {package}"
                raise MissingPackage(text)
        check_not_split(self.path.name)
        try:
            reader = _reader(self.path)
            parts = reader.fields.get("split.count")
            check_not_split(self.path.name, int(parts.contents()) if parts is not None else 1)
            kind = str(reader.fields["general.architecture"].contents())
            _check_architecture(self.path, kind)

            def number(name: str, otherwise: int = 0) -> int:
                field = reader.fields.get(f"{kind}.{name}")
                value = field.contents() if field is not None else otherwise
                return int(max(value) if isinstance(value, list) else value)

            hidden, heads = number("embedding_length"), number("attention.head_count", 1)
            vocabulary = _vocabulary(self.path, reader)
            shape = ModelShape(
                layers=number("block_count"),
                kv_heads=number("attention.head_count_kv", heads),
                head_size=number("attention.key_length", hidden // heads),
                hidden=hidden,
                vocabulary=vocabulary,
            )
            tied = all(tensor.name != "output.weight" for tensor in reader.tensors)
            return Outline(sum(int(tensor.n_elements) for tensor in reader.tensors), shape, tied)
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 (a broken file breaks its reader in many ways)
            reason = f"{type(error).__name__}: {error}"
            raise Refused(
                f"{self.path}: not a complete GGUF file of a language model ({reason}); fetch it again"
            ) from None

    def copy_in(self, cache_dir: Path, dtype: str) -> ConvertedCopy:
        """Return the place of this file's converted copy in `dtype`, whether or not it exists."""
        stat = self.path.stat()
        identity = f"{self.path.name} {stat.st_size} {stat.st_mtime_ns} {COPY_FORMAT}"
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        return ConvertedCopy(cache_dir / "converted" / f"{self.path.stem}-{digest}-{dtype}")


@dataclass(frozen=True)
class ConvertedCopy:
    """A folder with a model as safetensors. It is complete once it has a list of its files."""

    folder: Path

    @property
    def complete(self) -> bool:
        """Whether the copy exists and every file still has the size that was written."""
        try:
            sizes = json.loads((self.folder / "complete.json").read_text())
            return all((self.folder / name).stat().st_size == size for name, size in sizes.items())
        except (OSError, ValueError, AttributeError):
            return False

    def write(self, model: Any, tokenizer: Any) -> None:
        """Save a model and its tokenizer, unless another process completed the same copy first.

        Leaves nothing behind if it raises, for example OSError.
        """
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
            self._put(building)
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def _put(self, building: Path) -> None:
        """Move a finished folder to the place of the copy, unless a complete one is there. Raises OSError."""
        for left in reversed(range(MOST_RIVALS)):
            if self.complete:
                return
            self.discard()
            try:
                os.replace(building, self.folder)  # noqa: PTH105 (a folder, over nothing)
            except OSError:
                if not left:
                    raise
            else:
                return

    def _clear_stale(self) -> None:
        """Remove unfinished copies of killed processes."""
        for path in self.folder.parent.glob(".*-*"):
            with contextlib.suppress(OSError):  # another process removed it
                newest = max(entry.stat().st_mtime for entry in [path, *path.iterdir()])
                if time.time() - newest > STALE_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)

    def discard(self) -> None:
        """Remove the copy, complete or not. It disappears at once, so that nobody reads half of it."""
        place, prefix = self.folder.parent, f".{self.folder.name}-"
        with (
            contextlib.suppress(OSError),
            tempfile.TemporaryDirectory(dir=place, prefix=prefix, ignore_cleanup_errors=True) as emptied,
        ):
            os.replace(self.folder, emptied)  # noqa: PTH105 (a folder, over an empty one)


@contextlib.contextmanager
def read_once() -> Iterator[None]:
    """Make transformers read the header of each GGUF file once, and list the names of tensors once.

    It does so for the tokenizer, the configuration and the weights, and for every module.
    """
    import gguf

    reader, names = gguf.GGUFReader, gguf.get_tensor_name_map
    gguf.GGUFReader, gguf.get_tensor_name_map = functools.cache(_reader), functools.cache(names)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = reader, names


def _reader(path: Path | str) -> Any:
    """Open a GGUF file. Reads a long vocabulary three times as fast as gguf's own reader."""
    from gguf.gguf_reader import GGUFReader

    class Reader(GGUFReader):  # type: ignore[misc]
        """Takes slices of a plain array, as those of a memory map are slow to make."""

        @property
        def data(self) -> Any:
            return self._data

        @data.setter
        def data(self, mapped: Any) -> None:
            self._data = numpy.asarray(mapped)

    return Reader(path)


def _flush(path: Path) -> None:
    """Write a file to the disk, so that it survives a power cut once its folder has its name."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _vocabulary(path: Path, reader: Any) -> int:
    """Return the number of tokens that a model knows. Raises Refused if the file has no embeddings for them."""
    for tensor in reader.tensors:
        if tensor.name == "token_embd.weight":
            return int(max(tensor.shape))
    raise Refused(
        f"{path}: has no token embeddings, so it is not a whole language model but a part of one, such as an adapter; "
        "name the file of the model itself"
    )


def _check_architecture(path: Path, kind: str) -> None:
    """Raise Refused if transformers does not read GGUF files of this architecture, before anything is converted."""
    from transformers import __version__
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    known = set(GGUF_SUPPORTED_ARCHITECTURES) - {"general", "tokenizer"}  # groups of keys, not architectures
    renamed = kind.replace("moe", "_moe").replace("-", "_")  # transformers' spelling of qwen3moe, gpt-oss, ...
    if {kind, renamed} & known:
        return
    raise Refused(
        f"{path}: transformers {__version__} does not read GGUF files of the architecture '{kind[:40]}' (it reads: "
        f"{', '.join(sorted(known))}); use the model's safetensors, or serve the file with llama-server and register "
        "it with type: openai"
    )


def absent(gguf_file: str) -> str:
    """Describe what is missing of package:NAME/FILE."""
    package, _, name = gguf_file.removeprefix(PACKAGE).partition("/")
    if importlib.util.find_spec(package) is None:
        return f"key 'gguf_file': the package '{package}', which holds {name}, is not installed (pip install {package})"
    return f"key 'gguf_file': the installed package '{package}' has no file {name}"


def in_package(gguf_file: str) -> GgufFile | None:
    """Return the file that package:NAME/FILE names, or None if the package is not installed."""
    path = packaged(gguf_file)
    return None if path is None else GgufFile(path)
