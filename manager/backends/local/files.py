"""Find the files of a local model: in a folder, in the Hub's cache, or a GGUF file with its converted copy."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from manager.backends.base import Progress
from manager.backends.local import gguf, hub, loading, quantization, sizing
from manager.backends.local.loading import BUILD_LOCK
from manager.backends.local.text_part import text_config
from manager.config.model_spec import ModelSpec
from manager.errors import Refused, WeightsNotFound
from manager.machine.model_files import PACKAGE

logger = logging.getLogger(__name__)


@dataclass
class Found:
    """The files and settings that `prepare` found."""

    dtype: torch.dtype
    folder: Path | None = None  # None for a GGUF file without a converted copy
    file: gguf.GgufFile | None = None
    copy: gguf.ConvertedCopy | None = None
    tokenizer: Any = None
    adapters: tuple[Path, ...] = ()
    quantization: quantization.Quantization | None = None


def find(spec: ModelSpec, cache_dir: Path, device: str, progress: Progress) -> Found:
    """Find the files, fetched and complete. Damaged ones are fetched or made again where that is possible."""
    named = spec.gguf_file or ""
    in_package = named.startswith(PACKAGE)
    gguf.check_not_split(named)
    file = gguf.in_package(named) if in_package else None
    if file is None and in_package:
        try:
            return _in_folder(spec, _fetched(spec, None, progress), device)
        except Refused as error:
            raise type(error)(f"{gguf.absent(named)}; instead, the repository was tried: {error}") from None
    if file is None:
        folder = _fetched(spec, spec.gguf_file, progress)
        if not named:
            return _in_folder(spec, folder, device)
        file = gguf.GgufFile(folder / named)
        if not file.path.is_file():
            raise WeightsNotFound(f"{file.path}: no such file; check the key 'gguf_file'{_others(folder)}")
    if spec.sha256 is not None:
        file.check_sha256(spec.sha256)
    if spec.quantization is not None:
        raise Refused("key 'quantization': cannot be combined with 'gguf_file', which is unpacked; leave out one")
    dtype = sizing.pick_dtype(spec.dtype, device, torch.bfloat16)
    copy = file.copy_in(cache_dir, str(dtype).removeprefix("torch."))
    tokenizer = _usable(copy)
    return Found(dtype, copy.folder if tokenizer is not None else None, file, copy, tokenizer)


def _in_folder(spec: ModelSpec, folder: Path, device: str) -> Found:
    config = sizing.read_config(folder)
    sizing.check_weights(folder, pickles=spec.allow_pickle)
    config = text_config(folder, config)
    return Found(sizing.pick_dtype(spec.dtype, device, sizing.checkpoint_dtype(config)), folder)


def _others(folder: Path) -> str:
    """Name the GGUF files that a folder has, for a message about one that it has not."""
    names = sorted(path.name for path in folder.glob("*.gguf"))
    return f" (the folder has {', '.join(names[:5])})" if names else ""


def _fetched(spec: ModelSpec, gguf_file: str | None, progress: Progress) -> Path:
    """Return the folder with a model's files, fetched. Damaged files in the Hub's cache are fetched again."""
    pickles = spec.allow_pickle
    folder = hub.fetch(spec.model_name, spec.revision, gguf_file, progress, pickles=pickles)
    with suppress(Refused):
        damaged = [path for path in sizing.damaged_files(folder, pickles=pickles) if hub.forget(path)]
        if damaged:
            logger.warning("fetching damaged files again: %s", ", ".join(str(path) for path in damaged))
            folder = hub.fetch(spec.model_name, spec.revision, gguf_file, progress, pickles=pickles)
    return folder


def _usable(copy: gguf.ConvertedCopy) -> Any:
    """Return the tokenizer of a converted copy if that is usable. A damaged copy is removed, to be made again."""
    if not copy.complete:
        return None
    try:
        sizing.read_config(copy.folder)
        sizing.check_weights(copy.folder)
        with BUILD_LOCK:
            return loading.read_tokenizer(copy.folder)
    except Refused as error:
        logger.warning("the converted copy is damaged, and will be made again: %s", error)
        copy.discard()
        return None
