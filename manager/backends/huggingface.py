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
from manager.errors import Failure, LoadFailed, OutOfMemory, ParleyError, Refused, WeightsNotFound
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

    def is_here(self) -> bool:
        named = self.spec.gguf_file or ""
        if named.startswith(gguf.PACKAGE):
            if gguf.in_package(named) is not None:
                return True
            named = ""
        return hub.is_here(self.spec.model_name, self.spec.revision, named or None)

    def prepare(self, progress: Progress) -> Footprint:
        spec = self.spec
        for key in ("quantization", "adapters"):
            if getattr(spec, key):
                raise Refused(f"model '{spec.model_id}': key '{key}': type 'huggingface' cannot do this; leave it out")
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
            self._folder = _usable(self._gguf.copy_in(self.cache_dir))
        if self._folder is not None:
            config = sizing.read_config(self._folder)
            sizing.check_weights(self._folder)
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
        tokenizer: Any = None
        failure: Failure | None = None
        load = self._load_copy if self._folder is not None else self._load_gguf
        name, device, size = self.spec.model_name, self._footprint.device, self._footprint.bytes
        try:
            with BUILD_LOCK:
                model, tokenizer = load(progress)
            _check_whole(model)
            model.to(device)
            model.eval()
            progress("loading", size, size)
        except torch.OutOfMemoryError:
            failure = Failure(OutOfMemory, f"device '{device}' ran out of memory while loading '{name}'")
        except ParleyError as error:
            failure = Failure.of(error, LoadFailed)
        except Exception as error:  # noqa: BLE001 (a model's files can break in any way)
            reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
            failure = Failure(LoadFailed, f"'{name}': {type(error).__name__}: {reason}")
        if failure is not None:
            # Raised out here, the error refers to none of the frames that hold what was loaded so far.
            model = tokenizer = None
            _collect()
            if self._gguf is not None and failure.kind is LoadFailed:
                self._gguf.copy_in(self.cache_dir).discard()  # it may be damaged, and can be made again
            raise failure.error()
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
            model, report = AutoModelForCausalLM.from_pretrained(
                folder, dtype=self._dtype, use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
        if report["missing_keys"]:
            # transformers fills them with random numbers and goes on
            missing = sorted(report["missing_keys"])
            raise LoadFailed(f"{folder}: {len(missing)} tensors are missing ({missing[0]}, ...); fetch the model again")
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
        except Exception as error:  # noqa: BLE001 (the model is loaded; the copy only makes the next load quicker)
            logger.warning("no converted copy of %s was kept (%s); its next load will be as slow", name, error)
        return model, tokenizer


def _usable(copy: gguf.ConvertedCopy) -> Path | None:
    """The folder of a converted copy that is there and can be read; a damaged one is removed, to be made again."""
    if not copy.complete:
        return None
    try:
        sizing.read_config(copy.folder)
        sizing.check_weights(copy.folder)
    except Refused as error:
        logger.warning("the converted copy is damaged and will be made again: %s", error)
        copy.discard()
        return None
    return copy.folder


def _check_whole(model: Any) -> None:
    """Raise LoadFailed if any tensor was left without data."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    missing = [name for name, tensor in tensors if tensor.is_meta]
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
