"""From files to a model and a tokenizer in memory, with progress in bytes: one load at a time in the whole process.

Knows transformers, folders and GGUF files; not devices, nor what becomes of what it loaded.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, modeling_gguf_pytorch_utils
from transformers.utils import logging as transformers_logging

from manager.backends.base import Progress
from manager.backends.gguf import ConvertedCopy, GgufFile, first_load_seconds
from manager.backends.pace import paced
from manager.backends.sizing import weight_files
from manager.errors import LoadFailed, Refused

logger = logging.getLogger(__name__)
transformers.utils.logging.disable_progress_bar()

BUILD_LOCK = threading.Lock()
"""Held while transformers builds a model: `from_pretrained` changes process-wide state and is not thread-safe."""


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer in a folder; raises Refused if it cannot be read. Callers hold the build lock."""
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001 (a broken file, or a package that is missing, shows in many ways)
        reason = first_line(error)
        raise Refused(f"{folder}: its tokenizer cannot be read ({type(error).__name__}: {reason})") from None


def load_folder(
    folder: Path, dtype: torch.dtype, total: int, progress: Progress, *, pickles: bool = False, **how: Any
) -> Any:
    """The model in a folder, `total` bytes large; `how` goes to transformers. Callers hold the build lock.

    Pickles are read only where there is nothing else, and transformers takes only tensors from them.
    """
    safe = weight_files(folder, pickles=pickles)[0].suffix == ".safetensors"
    with _reported(progress, total):
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=safe,
            trust_remote_code=False,
            output_loading_info=True,
            **how,
        )
    if report["missing_keys"]:
        # transformers fills them with random numbers and goes on
        missing = sorted(report["missing_keys"])
        raise LoadFailed(f"{folder}: {len(missing)} tensors are missing ({missing[0]}, ...); fetch the model again")
    return model


def convert_gguf(
    file: GgufFile, copy: ConvertedCopy, dtype: torch.dtype, total: int, progress: Progress
) -> tuple[Any, Any]:
    """The model and tokenizer in a GGUF file, as numbers of `dtype`, and a copy of both kept for the next time.

    Without a writable cache it works all the same, slowly each time. Callers hold the build lock.
    """
    where, name = file.path.parent, file.path.name
    progress("loading", 0, total)
    with paced(progress, "loading", total, first_load_seconds(total // dtype.itemsize)) as report:
        tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name, trust_remote_code=False)
        report("loading", total // 5, total)
        with _reported(report, total, start=0.7):
            model = AutoModelForCausalLM.from_pretrained(
                where,
                gguf_file=name,
                dtype=dtype,
                quantization_config=GgufConfig(dequantize=True),
                trust_remote_code=False,
            )
    try:
        copy.write(model, tokenizer)
    except Exception as error:  # noqa: BLE001 (the model is loaded; the copy only makes the next load quicker)
        logger.warning("no converted copy of %s was kept (%s); its next load will be as slow", name, error)
    return model, tokenizer


def check_whole(model: Any) -> None:
    """Raise LoadFailed if any tensor was left without data."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    missing = [name for name, tensor in tensors if tensor.is_meta]
    if missing:
        raise LoadFailed(f"{len(missing)} tensors were not loaded ({missing[0]}, ...); the files are incomplete")


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).strip().splitlines()), "")


@contextmanager
def _reported(progress: Progress, total: int, start: float = 0.0) -> Iterator[None]:
    """Report transformers' own progress bars as bytes of `total`, from the fraction `start` on.

    What `progress` raises aborts the load.
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

        def __getattr__(self, _: str) -> Any:  # close, set_description and the like
            return lambda *args, **kwargs: None

    previous, gguf_bar = transformers_logging.set_tqdm_hook(Bar), modeling_gguf_pytorch_utils.tqdm
    modeling_gguf_pytorch_utils.tqdm = lambda *args, **kwargs: Bar(None, args, kwargs)  # has no hook of its own
    try:
        yield
    finally:
        transformers_logging.set_tqdm_hook(previous)
        modeling_gguf_pytorch_utils.tqdm = gguf_bar
