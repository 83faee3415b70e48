"""Build a model and a tokenizer in memory from a folder or a GGUF file, with progress in bytes.

Only one model is built at a time in the whole process. A model that its files do not fill completely is never returned
or cached.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, modeling_gguf_pytorch_utils
from transformers.utils import logging as transformers_logging

from manager.backends.base import Progress
from manager.backends.local.gguf import VOCABULARY_SECONDS, ConvertedCopy, GgufFile, first_load_seconds, read_once
from manager.backends.local.pace import paced
from manager.backends.local.sizing import read_config, weight_files
from manager.backends.local.text_part import RENAMED, other_parts, text_config
from manager.errors import LoadFailed, MissingPackage, Refused

logger = logging.getLogger(__name__)
transformers.utils.logging.disable_progress_bar()

CHAT_TEMPLATE = "chat_template.json"
"""The chat template of a model that also reads images. Transformers reads it only with the image processor."""
BUILD_LOCK = threading.Lock()
"""Held while transformers builds a model, as `from_pretrained` changes process-wide state."""


def read_tokenizer(folder: Path) -> Any:
    """Return the tokenizer in a folder. Callers hold the build lock.

    Raises:
        MissingPackage: Its format needs a package that is not installed.
        Refused: It is not there, or cannot be read.
    """
    _check_tokenizer_files(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        if not tokenizer.chat_template and (folder / CHAT_TEMPLATE).is_file():
            tokenizer.chat_template = json.loads((folder / CHAT_TEMPLATE).read_text(encoding="utf-8"))["chat_template"]
    except Exception as error:  # noqa: BLE001 (broken files and missing packages raise all kinds of errors)
        reason = first_line(error)
        raise Refused(f"{folder}: its tokenizer cannot be read ({type(error).__name__}: {reason})") from None
    return tokenizer


def _check_tokenizer_files(folder: Path) -> None:
    """Raise Refused or MissingPackage unless a folder has the files of a tokenizer, and what it takes to read them.

    Without them, transformers names no file in its error, or makes a tokenizer without a vocabulary.
    """
    if any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json", "vocab.txt")):
        return
    config = folder / "tokenizer_config.json"
    if config.is_file() and '"auto_map"' in config.read_text(encoding="utf-8", errors="replace"):
        return  # has code of its own, and files of any name; transformers refuses it
    for name, package in (("tokenizer.model", "sentencepiece"), ("tekken.json", "mistral_common")):
        if (folder / name).is_file():
            if importlib.util.find_spec(package) is not None:
                return
            install = package.replace("_", "-")
            raise MissingPackage(
                f"{folder}: its only tokenizer file, {name}, needs the package {install}; run: pip install {install}, "
                "or add the model's tokenizer.json"
            )
    raise Refused(
        f"{folder}: no tokenizer; copy tokenizer.json and tokenizer_config.json (or tokenizer.model, or vocab.json and "
        "merges.txt) of the same model into the folder"
    )


def load_folder(
    folder: Path, dtype: torch.dtype, total: int, progress: Progress, *, pickles: bool = False, **how: Any
) -> Any:
    """Return the model in a folder. Callers hold the build lock.

    Pickles are read only if there are no safetensors, and transformers takes only tensors from them.

    Args:
        dtype: The type of the weights in memory.
        total: The bytes of the whole model, for the progress.
        progress: Called with the bytes read so far.
        pickles: Whether pickles may be read.
        how: Further arguments for transformers.

    Raises:
        LoadFailed: The files do not fill the model exactly.
    """
    safe = weight_files(folder, pickles=pickles)[0].suffix == ".safetensors"
    whole = read_config(folder)
    config = text_config(folder, whole)
    others: set[str] = set()
    if config is not whole:
        how |= {"config": config, "key_mapping": RENAMED}
        others = other_parts(folder)
    with _reported(progress, total):
        return _built(folder, folder, others=others, dtype=dtype, use_safetensors=safe, **how)


def convert_gguf(
    file: GgufFile, copy: ConvertedCopy, dtype: torch.dtype, total: int, progress: Progress
) -> tuple[Any, Any]:
    """Return the model and tokenizer in a GGUF file, unpacked to `dtype`, and save a copy of both for the next load.

    If the copy cannot be saved, every load converts again. Callers hold the build lock. Raises like `load_folder`.
    """
    where, name = file.path.parent, file.path.name
    progress("loading", 0, total)
    share = VOCABULARY_SECONDS / first_load_seconds(total // dtype.itemsize)  # without progress of its own
    with (
        paced(progress, "loading", total, VOCABULARY_SECONDS, until=share) as report,
        _reported(report, total, start=share),
        read_once(),
    ):
        tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name, trust_remote_code=False)
        unpacked = GgufConfig(dequantize=True)
        model = _built(file.path, where, gguf_file=name, dtype=dtype, quantization_config=unpacked)
    check_whole(model)
    try:
        copy.write(model, tokenizer)
    except Exception as error:  # noqa: BLE001 (the model is loaded; the copy only makes the next load quicker)
        logger.warning("the converted copy of %s could not be saved (%s); its next load will be as slow", name, error)
    return model, tokenizer


def check_whole(model: Any) -> None:
    """Raise LoadFailed if any tensor was left without data."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    missing = [name for name, tensor in tensors if tensor.is_meta]
    if missing:
        raise LoadFailed(f"{len(missing)} tensors were not loaded ({missing[0]}, ...); the files are incomplete")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return next(iter(str(error).strip().splitlines()), "")


def _built(source: Path, *where: Any, others: Collection[str] = (), **how: Any) -> Any:
    """Return the model that transformers builds. Raises LoadFailed unless its files hold exactly its tensors.

    The files may also hold those of `others`, the other parts of a whole. Transformers fills missing tensors with
    random numbers and ignores unknown ones, with no more than a warning. Its report leaves out tied weights, and the
    names that a model's class declares to be harmless.
    """
    model, report = AutoModelForCausalLM.from_pretrained(
        *where, trust_remote_code=False, output_loading_info=True, **how
    )
    problems = {
        "are missing": report["missing_keys"],
        "have another shape than config.json says": {name for name, *_ in report["mismatched_keys"]},
        "are unknown to the model's architecture": set(report["unexpected_keys"]) - set(others),
    }
    for problem, names in problems.items():
        if names:
            raise LoadFailed(f"{source}: {len(names)} tensors {problem} ({min(names)}, ...); fetch the model again")
    if report["error_msgs"]:
        raise LoadFailed(f"{source}: {report['error_msgs'][0]}")
    return model


@contextmanager
def _reported(progress: Progress, total: int, start: float = 0.0) -> Iterator[None]:
    """Report transformers' own progress bars as bytes of `total`, from the fraction `start` on.

    An error raised by `progress` aborts the load.
    """

    highest = 0.0

    class Bar:
        def __init__(self, factory: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._items = args[0] if args else kwargs.get("iterable", ())
            self._count = kwargs.get("total") or (len(self._items) if hasattr(self._items, "__len__") else 0)
            self.n = 0

        def __iter__(self) -> Iterator[Any]:
            for item in self._items:
                self.update(0)
                yield item
                self.n += 1

        def update(self, n: int = 1) -> None:
            self.n += n
            nonlocal highest
            highest = max(highest, self.n / self._count if self._count else 0.0)
            progress("loading", int(total * (start + (1 - start) * highest)), total)

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __getattr__(self, _: str) -> Any:  # close, set_description, ...
            return lambda *args, **kwargs: None

    previous, gguf_bar = transformers_logging.set_tqdm_hook(Bar), modeling_gguf_pytorch_utils.tqdm
    modeling_gguf_pytorch_utils.tqdm = lambda *args, **kwargs: Bar(None, args, kwargs)  # has no hook of its own
    try:
        yield
    finally:
        transformers_logging.set_tqdm_hook(previous)
        modeling_gguf_pytorch_utils.tqdm = gguf_bar
