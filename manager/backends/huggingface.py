"""Models that run here with transformers: from the Hub, a folder, or a GGUF file.

Knows how weights get onto a device and off it again; how text is written with them is `generation/engine.py`.
"""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, modeling_gguf_pytorch_utils
from transformers.utils import logging as transformers_logging

from manager.backends import gguf, hub, sizing
from manager.backends.base import BaseLLMModel, Footprint, Progress
from manager.errors import LoadFailed, OutOfMemory, ParleyError, WeightsNotFound
from manager.generation.engine import Engine
from manager.generation.request import GenerationRequest
from manager.generation.stream import TokenStream

logger = logging.getLogger(__name__)
transformers.utils.logging.disable_progress_bar()

BUILD_LOCK = threading.Lock()
"""Held while transformers builds a model: `from_pretrained` changes process-wide state and is not thread-safe."""


class HuggingFaceModelWrapper(BaseLLMModel):
    """One transformers model on one device."""

    def __init__(self, spec: Any, cache_dir: Path) -> None:
        super().__init__(spec, cache_dir)
        self._folder: Path | None = None
        self._gguf: gguf.GgufFile | None = None
        self._footprint = Footprint("cpu", 0)
        self._dtype = torch.float32
        self._engine: Engine | None = None

    def prepare(self, progress: Progress) -> Footprint:
        spec = self.spec
        device = sizing.pick_device(spec.device)
        named = spec.gguf_file or ""
        guess: float | None = None
        self._gguf = gguf.in_package(named) if named.startswith(gguf.PACKAGE) else None
        if self._gguf is None:
            in_repository = None if named.startswith(gguf.PACKAGE) else spec.gguf_file
            self._folder = hub.fetch(spec.model_name, spec.revision, in_repository, progress)
            if in_repository is not None:
                self._gguf = gguf.GgufFile(self._folder / in_repository)
                if not self._gguf.path.is_file():
                    raise WeightsNotFound(f"{self._gguf.path}: no such file; check the key 'gguf_file'")
        if self._gguf is not None:
            copy = self._gguf.copy_in(self.cache_dir)
            self._folder = copy.folder if copy.complete else None
        if self._folder is not None:
            config = sizing.read_config(self._folder)
            self._dtype = sizing.pick_dtype(spec.dtype, device, sizing.checkpoint_dtype(config))
            with BUILD_LOCK:
                size = sizing.skeleton_bytes(config, self._dtype)
        else:
            assert self._gguf is not None
            self._dtype = sizing.pick_dtype(spec.dtype, device, torch.bfloat16)
            parameters = self._gguf.parameters()
            size = parameters * torch.empty(0, dtype=self._dtype).element_size()
            guess = gguf.FIRST_LOAD_SECONDS + parameters / gguf.PARAMETERS_PER_SECOND
        self._footprint = Footprint(device, size, load_seconds=guess)
        return self._footprint

    def load(self, progress: Progress) -> int:
        model: Any = None
        load = self._load_copy if self._folder is not None else self._load_gguf
        try:
            with BUILD_LOCK:
                model, tokenizer = load(progress)
            _check_whole(model)
            model.to(self._footprint.device)
            model.eval()
        except torch.OutOfMemoryError:
            del model
            _collect()
            raise OutOfMemory(
                f"device '{self._footprint.device}' ran out of memory while loading '{self.spec.model_name}'"
            ) from None
        except ParleyError:
            raise
        except Exception as error:  # noqa: BLE001 (a model's files can break in any way)
            reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
            raise LoadFailed(f"'{self.spec.model_name}': {type(error).__name__}: {reason}") from None
        progress("loading", self._footprint.bytes, self._footprint.bytes)
        self._engine = Engine(model, tokenizer, self.spec.model_id)
        return sizing.module_bytes(model)

    def unload(self) -> int:
        engine, self._engine = self._engine, None
        if engine is None:
            return 0
        engine.close()
        size = sizing.module_bytes(engine.model)
        alive = weakref.ref(engine.model)
        del engine
        _collect()
        return size if alive() is not None else 0

    def generate(self, request: GenerationRequest, stream: TokenStream) -> None:
        engine = self._engine
        if engine is None:
            raise LoadFailed(f"'{self.spec.model_name}' is not loaded")
        engine.submit(request, stream)

    def _load_copy(self, progress: Progress) -> tuple[Any, Any]:
        folder = self._folder
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        with _reported(progress, self._footprint.bytes):
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=self._dtype, use_safetensors=True, trust_remote_code=False
            )
        return model, tokenizer

    def _load_gguf(self, progress: Progress) -> tuple[Any, Any]:
        """Load from GGUF and keep a copy for the next time; without a writable cache it works, slowly."""
        assert self._gguf is not None
        where, name = self._gguf.path.parent, self._gguf.path.name
        total = self._footprint.bytes
        progress("loading", 0, total)
        tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name)
        progress("loading", total // 3, total)
        with _reported(progress, total, start=0.7):
            model = AutoModelForCausalLM.from_pretrained(
                where, gguf_file=name, dtype=self._dtype, quantization_config=GgufConfig(dequantize=True)
            )
        try:
            self._gguf.copy_in(self.cache_dir).write(model, tokenizer)
        except OSError as error:
            logger.warning("no converted copy of %s was kept (%s); its next load will be as slow", name, error)
        return model, tokenizer


def _check_whole(model: Any) -> None:
    """Raise LoadFailed if any tensor was left without data."""
    missing = [name for name, tensor in model.named_parameters() if tensor.is_meta]
    if missing:
        raise LoadFailed(f"{len(missing)} tensors were not loaded ({missing[0]}, ...); the files are incomplete")


def _collect() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


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
