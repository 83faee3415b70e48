"""The machine that Parley runs on, and the defaults that follow: number of models, memory, and which models fit.

`profile` is a pure function of the environment variables and the machine's properties. It provides defaults; the
operator's settings override them. Does not import torch, because it runs before anything is loaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from manager.config.model_spec import ModelSpec
from manager.machine import host

Kind = Literal["machine", "GPU machine", "CPU Space", "GPU Space", "ZeroGPU Space"]

GB = 10**9
OWN_BYTES = 1 * GB
"""Memory of the program itself, with torch but without models."""
SHARE = 0.8
"""Share of the remaining memory for models; the manager uses the same share of free memory."""
GPU_SHARE = 0.92
LITTLE, PLENTY = 3 * GB, 40 * GB
"""Below the first, load one model at a time; above the second, four, so that each lane can have two of its own."""
GENERATION_FACTOR = 1.2
"""Generation takes about a fifth more memory than the weights alone."""
ZERO_GPU_BYTES = 45 * GB
"""Memory for models on ZeroGPU: what half of its GPU (48 GB) holds, for more of which it takes twice the quota."""

VOLUME = Path("/data")

ACCELERATORS = {"t4": 16, "l4": 24, "a10g": 24, "a100": 80, "l40s": 48, "h100": 80, "h200": 141}
"""Memory in GB of the GPUs that a Space can have, by prefix of its variable ACCELERATOR."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
_UNITS["ti"] = 1 << 40


@dataclass(frozen=True)
class Machine:
    """The properties of a machine; sizes in bytes."""

    memory: int  # available to this process, within its container's limit
    processors: int = 1
    gpus: tuple[int, ...] = ()
    bfloat16: bool = True  # whether the processor computes in it; otherwise models take twice the memory
    volume: Path | None = None  # where a Space's persistent storage or bucket is mounted

    @classmethod
    def look(cls) -> Machine:
        """Inspect this machine; takes a moment."""
        volume = VOLUME if VOLUME.is_dir() and os.access(VOLUME, os.W_OK) else None
        return cls(host.host_memory(), host.processors(), host.gpu_memory(), host.bfloat16_is_fast(), volume)


@dataclass(frozen=True)
class Profile:
    """What follows from the machine. `defaults` are values for keys that app.yaml leaves out."""

    kind: Kind
    memory: int  # of the host, in bytes
    processors: int
    rooms: Mapping[str, int]  # "cpu" or "gpu" -> bytes for models on one such device
    cpu_bytes: int = 2  # bytes per parameter on the CPU
    defaults: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def about(self) -> str:
        """The machine in one line."""
        rooms = ", ".join(
            f"{room / GB:.1f} GB for models on the {device.upper()}" for device, room in self.rooms.items()
        )
        return f"{self.kind} of {self.processors} processors and {self.memory / GB:.1f} GB: {rooms}"

    @property
    def is_space(self) -> bool:
        """Whether this is a Hugging Face Space."""
        return self.kind.endswith("Space")

    @property
    def zero_gpu(self) -> bool:
        """Whether each negotiation gets GPU time on demand (ZeroGPU)."""
        return self.kind == "ZeroGPU Space"

    def need(self, spec: ModelSpec) -> int:
        """Estimate a model's bytes on its device from its `size`; 0 if that is unknown."""
        if spec.type != "huggingface":
            return 0
        of = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0}
        number = of.get(spec.dtype, 2.0 if self._device(spec) == "gpu" else float(self.cpu_bytes))
        if bits := re.search("[48]", spec.quantization or ""):
            number = int(bits[0]) / 8
        return int(spec.parameters * number * GENERATION_FACTOR)

    def misfit(self, spec: ModelSpec, budgets: Mapping[str, float] = MappingProxyType({})) -> str:
        """Return why a model cannot be offered here; empty if it can, or if its size is unknown.

        Args:
            budgets: The operator's memory budgets in GB by device, which override the profile.
        """
        need, device = self.need(spec), self._device(spec)
        room = self.room(device, budgets)
        if need <= room:
            return ""
        where = "the GPU" if device == "gpu" else "this machine"
        return f"needs about {need / GB:.1f} GB, and {where} has {room / GB:.1f} GB for models"

    def room(self, device: str, budgets: Mapping[str, float] = MappingProxyType({})) -> float:
        """Return the bytes for models on the "cpu" or "gpu"; with several GPUs, on the largest."""
        own = [gigabytes * GB for name, gigabytes in budgets.items() if ("cpu" if name == "cpu" else "gpu") == device]
        return max(own, default=self.rooms[device])

    def _device(self, spec: ModelSpec) -> str:
        return "gpu" if "gpu" in self.rooms and spec.device != "cpu" else "cpu"


def profile(environment: Mapping[str, str], machine: Machine) -> Profile:
    """Return the profile of a machine with these environment variables.

    >>> profile({}, Machine(16 * GB)).kind
    'machine'
    >>> profile({"SPACE_ID": "me/parley", "MEMORY": "16Gi"}, Machine(500 * GB)).defaults["memory_budget"]
    {'cpu': 12.9}
    """
    space, zero = bool(environment.get("SPACE_ID")), is_zero_gpu(environment)
    limit = size_of(environment.get("MEMORY", "")) if space else None
    memory = min(machine.memory, limit or machine.memory)
    processors = machine.processors
    if space and environment.get("CPU_CORES", "").isdecimal():
        processors = max(1, min(processors, int(environment["CPU_CORES"])))
    gpu = max(machine.gpus, default=_accelerator(environment) if space else 0)
    rooms = {"cpu": max(0, int(SHARE * (memory - OWN_BYTES)))}
    if zero:
        rooms["gpu"] = ZERO_GPU_BYTES
    elif gpu:
        rooms["gpu"] = int(GPU_SHARE * gpu)
    room = rooms.get("gpu", rooms["cpu"])
    defaults: dict[str, Any] = {"max_loaded_models": 1 if room < LITTLE else 4 if room >= PLENTY else 2}
    if space:  # the container is ours alone, and exceeding its limit kills the program
        defaults["memory_budget"] = {"cpu": round(rooms["cpu"] / GB, 1)} if rooms["cpu"] >= GB / 10 else {"cpu": 0.1}
        defaults["parking_memory"] = round(rooms["cpu"] / 2 / GB, 1) if gpu and not zero else 0.0
    kind: Kind = "GPU machine" if gpu else "machine"
    if space:
        kind = "ZeroGPU Space" if zero else "GPU Space" if gpu else "CPU Space"
    return Profile(kind, memory, processors, rooms, 2 if machine.bfloat16 else 4, MappingProxyType(defaults))


def is_zero_gpu(environment: Mapping[str, str]) -> bool:
    """Return whether this is a ZeroGPU Space, by the same rule as the package `spaces`."""
    return environment.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def size_of(text: str) -> int | None:
    """Return the bytes of a size in Kubernetes notation; None for anything else.

    >>> size_of("16Gi"), size_of("512M"), size_of("much")
    (17179869184, 512000000, None)
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([kmgt]?i?)b?", text.strip().lower())
    return int(float(found[1]) * _UNITS[found[2]]) if found and found[2] in _UNITS else None


def _accelerator(environment: Mapping[str, str]) -> int:
    """Return the memory in bytes of the Space's GPU; 0 if it names no known one."""
    name = environment.get("ACCELERATOR", "").lower()
    return max((size * GB for start, size in ACCELERATORS.items() if name.startswith(start)), default=0)
