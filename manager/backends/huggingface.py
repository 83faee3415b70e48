"""The backend for local models: from the Hub, a folder, or a GGUF file, run with transformers.

It moves weights to and from a device and host memory. `local/files.py` finds the files, `local/loading.py` builds
models from them, and `generation/engine.py` writes text with these.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import UntypedStorage

from manager.backends.base import BaseLLMModel, Footprint, Progress, missing
from manager.backends.local import adapters, gguf, hub, identification, loading, quantization, sizing
from manager.backends.local.devices import PARKING_SHARE, DeviceMemory, HostCopy, memory_of, pick_device
from manager.backends.local.files import Found, find
from manager.backends.local.loading import BUILD_LOCK
from manager.backends.local.storages import Remains, held_by, storages_of, total_bytes
from manager.backends.local.text_part import text_config
from manager.config.model_spec import ModelSpec
from manager.errors import Failure, LoadFailed, MissingPackage, OutOfMemory, ParleyError
from manager.generation.engine import Engine
from manager.generation.forward import packed
from manager.generation.forward.cache_dtype import cache_dtype
from manager.generation.forward.processor import apart
from manager.generation.request import GenerationRequest
from manager.generation.stream import TokenStream
from manager.identity import Identity
from manager.machine.host import free_host_memory
from manager.machine.model_files import PACKAGE


class HuggingFaceModelWrapper(BaseLLMModel):
    """One transformers model on one device, or parked in host memory."""

    def __init__(self, spec: ModelSpec, cache_dir: Path, memory: Callable[[str], DeviceMemory] = memory_of) -> None:
        super().__init__(spec, cache_dir)
        self._memory_of = memory
        self._memory = memory("cpu")
        self._found = Found(torch.float32)
        self._footprint = Footprint("cpu", 0)
        self._identity: Identity | None = None
        self._engine: Engine | None = None
        self._make_engine: Callable[[], Engine] | None = None  # in a forked process
        self._storages: list[UntypedStorage] = []  # emptied, while parked
        self._copy: HostCopy | None = None
        self._remains = Remains()

    @classmethod
    def device_of(cls, spec: ModelSpec) -> str:
        return pick_device(spec.device)

    # -- before loading ----------------------------------------------------------------------------------------

    def is_here(self) -> bool:
        named = self.spec.gguf_file or ""
        if named.startswith(PACKAGE):
            if gguf.in_package(named) is not None:
                return True
            named = ""
        return hub.is_here(self.spec.model_name, self.spec.revision, named or None, pickles=self.spec.allow_pickle)

    def prepare(self, progress: Progress) -> Footprint:
        spec = self.spec
        device = pick_device(spec.device)
        kind = quantization.find(spec.quantization, device) if spec.quantization is not None else None
        found = find(spec, self.cache_dir, device, progress)
        found.quantization = kind
        found.adapters = tuple(adapters.fetch(spec, progress))
        guess: float | None = None
        if found.folder is not None:
            config = text_config(found.folder, sizing.read_config(found.folder))
            with BUILD_LOCK:
                size = sizing.skeleton_bytes(config, found.dtype, kind.bits if kind is not None else None)
                found.tokenizer = found.tokenizer or loading.read_tokenizer(found.folder)
            shape = sizing.ModelShape.of(config)
            tied = kind is None and bool(getattr(config, "tie_word_embeddings", False))
        else:
            assert found.file is not None
            outline = found.file.outline()
            shape, size = outline.shape, outline.parameters * found.dtype.itemsize
            tied, guess = outline.tied, gguf.first_load_seconds(outline.parameters)
        size += packed.extra_bytes(shape.vocabulary * shape.hidden, device, found.dtype, tied=tied)
        kept_in = cache_dtype(device, found.dtype)
        self._found, self._memory = found, self._memory_of(device)
        self._identity = self._identified(found, device)
        parks = self._memory.parks and kind is None  # quantized tensors keep some bytes outside their storages
        self._footprint = Footprint(
            device,
            size,
            load_seconds=guess,
            working=shape.working_bytes(found.dtype, kept_in),
            allowance=shape.allowance(kept_in),
            capacity=self._memory.capacity(),
            parking=int(PARKING_SHARE * free_host_memory()) if parks else None,
        )
        return self._footprint

    def _identified(self, found: Found, device: str) -> Identity:
        spec = self.spec
        weights = [found.file.path] if found.file is not None else self._weights(found)
        commit = identification.commit_of(weights[0])
        return Identity(
            model_name=identification.public_name(spec),
            revision=commit,
            file=spec.gguf_file if found.file is not None else None,
            package=identification.package_of(spec.gguf_file) if found.file is not None else None,
            sha256=None if commit else identification.digest_of(weights, self.cache_dir),
            dtype=str(found.dtype).removeprefix("torch."),
            quantization=spec.quantization,
            adapters=identification.adapter_names(spec.adapters, found.adapters, self.cache_dir),
            device=device,
            hardware=torch.cuda.get_device_name(device) if device.startswith("cuda") else None,
        )

    def _weights(self, found: Found) -> list[Path]:
        assert found.folder is not None
        return sizing.weight_files(found.folder, pickles=self.spec.allow_pickle)

    @property
    def identity(self) -> Identity:
        return self._identity or super().identity

    @property
    def folder(self) -> Path | None:
        """The folder with its weights: as fetched, or the converted copy of a GGUF file, which loading makes."""
        found = self._found
        return found.folder or (found.copy.folder if found.copy else None)

    # -- loading and unloading ---------------------------------------------------------------------------------

    def load(self, progress: Progress) -> int:
        return apart(partial(self._load, progress))

    def place(self, progress: Progress) -> None:
        self._load(progress, fork=True)

    def _load(self, progress: Progress, fork: bool = False) -> int:
        model: Any = None
        tokenizer: Any = None
        failure: Failure | None = None
        name, device, size = self.spec.model_name, self._footprint.device, self._footprint.bytes
        try:
            with BUILD_LOCK:
                model, tokenizer = self._read(progress)
                model = adapters.merge(model, self._found.adapters)
            loading.check_whole(model)
            if self._found.quantization is None:
                self._memory.bring(model)
            model.eval()
            if self._found.quantization is None:
                packed.pack(model, self._memory.tidy)
            progress("loading", size, size)
            kept_in = cache_dtype(device, self._found.dtype)
            writing = sizing.ModelShape.of(model.config).kv_bytes(sizing.WRITING_TOKENS, kept_in)
            engine = partial(Engine, model, tokenizer, self.spec.model_id, writing)
            if fork:  # a forked process makes its own engine, as it inherits no threads
                self._make_engine = engine
                return size
            self._engine = engine()
        except torch.OutOfMemoryError as error:
            failure = Failure(OutOfMemory, f"device '{device}' ran out of memory while loading '{name}'")
            self._remains.watch(held_by(error))
        except ParleyError as error:
            failure = Failure.of(error, LoadFailed)
            self._remains.watch(held_by(error))
        except ImportError as error:
            failure = Failure(MissingPackage, f"'{name}': {missing(error)}")
            self._remains.watch(held_by(error))
        except Exception as error:  # noqa: BLE001 (a model's files can break in any way)
            failure = Failure(LoadFailed, f"'{name}': {type(error).__name__}: {loading.first_line(error)}")
            self._remains.watch(held_by(error))
        if failure is not None and model is not None:
            self._remains.watch(storages_of(model))
        if failure is not None:
            # Raised here, the error does not refer to the frames that hold what was loaded so far.
            model = tokenizer = None
            self._collect()
            if self._found.copy is not None and failure.kind is LoadFailed:
                self._found.copy.discard()  # it may be damaged, and can be made again
            raise failure.error()
        return total_bytes(storages_of(model)) + packed.packed_bytes(model)

    def _read(self, progress: Progress) -> tuple[Any, Any]:
        found, total = self._found, self._footprint.bytes
        if found.folder is None:
            assert found.file is not None
            assert found.copy is not None
            return loading.convert_gguf(found.file, found.copy, found.dtype, total, progress)
        how: dict[str, Any] = {}
        if found.quantization is not None:
            how["quantization_config"] = found.quantization.config(found.dtype)
            how["device_map"] = {"": self._footprint.device}
        how["pickles"] = self.spec.allow_pickle and found.copy is None
        return loading.load_folder(found.folder, found.dtype, total, progress, **how), found.tokenizer

    def unload(self) -> int:
        engine, self._engine = self._engine, None
        self._copy = None
        if engine is None:
            return 0
        engine.close()
        before = self._remains.bytes
        self._remains.watch(storages_of(engine.model))
        self._storages = []
        del engine
        self._collect()
        return self._remains.bytes - before

    @property
    def leaked_bytes(self) -> int:
        return self._remains.bytes

    def _collect(self) -> None:
        gc.collect()
        self._memory.tidy()

    # -- parking -----------------------------------------------------------------------------------------------

    def park(self) -> int:
        engine = self._engine
        assert engine is not None
        engine.close()
        storages = [s for s in storages_of(engine.model) if s.device == engine.model.device]
        if self._copy is None:  # weights never change, so an earlier copy is still valid
            self._copy = self._memory.copy_out(storages)
        self._memory.drop(storages)
        self._storages = storages
        return self._copy.bytes

    def wake(self, progress: Progress) -> int:
        engine, copy = self._engine, self._copy
        assert engine is not None
        assert copy is not None
        total = sum(copy.sizes)
        name, device = self.spec.model_name, self._footprint.device
        failure: Failure | None = None
        try:
            self._memory.copy_in(copy, self._storages, lambda done: progress("waking", done, total))
        except torch.OutOfMemoryError:
            failure = Failure(OutOfMemory, f"device '{device}' ran out of memory while waking '{name}'")
        except ParleyError as error:
            failure = Failure.of(error, LoadFailed)
        except Exception as error:  # noqa: BLE001 (what a device's driver raises varies)
            failure = Failure(LoadFailed, f"waking '{name}': {type(error).__name__}: {loading.first_line(error)}")
            self.unload()
        if failure is not None:
            raise failure.error()
        self._storages = []
        engine.open()
        return total_bytes(storages_of(engine.model))

    def drop(self) -> None:
        self._copy = None
        if self._storages:
            self.unload()

    @property
    def host_bytes(self) -> int:
        return self._copy.bytes if self._copy is not None else 0

    # -- writing -----------------------------------------------------------------------------------------------

    def generate(self, request: GenerationRequest, stream: TokenStream) -> None:
        if self._engine is None and self._make_engine is not None:
            self._engine, self._make_engine = self._make_engine(), None
        engine = self._engine
        if engine is None or self._storages:
            raise LoadFailed(f"'{self.spec.model_name}' is not loaded")
        engine.submit(request, stream)

    @property
    def cache_bytes(self) -> int:
        engine = self._engine
        return engine.cache_bytes if engine is not None else 0

    def trim_cache(self, to_bytes: int) -> None:
        engine = self._engine
        if engine is not None:
            engine.trim_cache(to_bytes)
