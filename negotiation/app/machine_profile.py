"""What this installation runs on, and what follows from that: how many models, how much memory, which of them fit.

`profile` is a pure function of the environment variables and of what was found out about the machine. Settings take
their defaults from it; whatever an operator set wins. Knows no torch: it must answer before anything is loaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from manager.config.registry import ModelSpec
from manager.machine import host

Kind = Literal["machine", "GPU machine", "CPU Space", "GPU Space", "ZeroGPU Space"]

GB = 10**9
OWN_BYTES = 1 * GB
"""What the program takes itself, with torch and without any model."""
SHARE = 0.8
"""How much of the rest models may take; the manager's share of what is free is the same."""
GPU_SHARE = 0.92
LITTLE, PLENTY = 3 * GB, 40 * GB
"""With less room than that one model at a time is enough; with more, both lanes may have two of their own."""
WRITING = 1.2
"""Beside the weights, writing takes about a fifth more."""
ZERO_GPU_BYTES = 16 * GB
"""Of a ZeroGPU's memory: each time that a GPU is lent, all placed models are copied to it first."""

VOLUME = Path("/data")

ACCELERATORS = {"t4": 16, "l4": 24, "a10g": 24, "a100": 80, "l40s": 48, "h100": 80, "h200": 141}
"""GB of memory of the GPUs that a Space may have, by what its variable ACCELERATOR begins with."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
_UNITS["ti"] = 1 << 40


@dataclass(frozen=True)
class Machine:
    """What was found out about a machine; sizes in bytes."""

    memory: int  # that this process may take, its container considered
    processors: int = 1
    gpus: tuple[int, ...] = ()
    bfloat16: bool = True  # whether the processor calculates with it; else models take twice the room there
    volume: Path | None = None  # where a Space's persistent storage or bucket is mounted

    @classmethod
    def look(cls) -> Machine:
        """The machine that this runs on; takes a moment."""
        volume = VOLUME if VOLUME.is_dir() and os.access(VOLUME, os.W_OK) else None
        return cls(host.host_memory(), host.processors(), host.gpu_memory(), host.bfloat16_is_fast(), volume)


@dataclass(frozen=True)
class Profile:
    """What follows from where we run. `defaults` are values for keys of app.yaml that it leaves open."""

    kind: Kind
    memory: int  # of the host, in bytes
    processors: int
    rooms: Mapping[str, int]  # device ("cpu" or "gpu") -> bytes that the models of one device may take
    cpu_bytes: int = 2  # that a number of a model takes on the CPU
    defaults: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def about(self) -> str:
        """The machine in a line."""
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
        """Whether GPUs are lent for each negotiation."""
        return self.kind == "ZeroGPU Space"

    def need(self, spec: ModelSpec) -> int:
        """About how many bytes a model takes on its device, by its `size`; 0 where that is not known."""
        if spec.type != "huggingface":
            return 0
        of = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0}
        number = of.get(spec.dtype, 2.0 if self._device(spec) == "gpu" else float(self.cpu_bytes))
        if bits := re.search("[48]", spec.quantization or ""):
            number = int(bits[0]) / 8
        return int(spec.parameters * number * WRITING)

    def misfit(self, spec: ModelSpec, budgets: Mapping[str, float] = MappingProxyType({})) -> str:
        """Why a model cannot be offered here; empty if it can, or if nobody knows how large it is.

        `budgets` are the operator's, in gigabytes for each device, and count instead of what was found out.
        """
        need, device = self.need(spec), self._device(spec)
        room = self.room(device, budgets)
        if need <= room:
            return ""
        where = "the GPU" if device == "gpu" else "this machine"
        return f"needs about {need / GB:.1f} GB, and {where} has {room / GB:.1f} GB for models"

    def room(self, device: str, budgets: Mapping[str, float] = MappingProxyType({})) -> float:
        """Bytes for models on a device, "cpu" or "gpu"; of several GPUs, on the largest."""
        own = [gigabytes * GB for name, gigabytes in budgets.items() if ("cpu" if name == "cpu" else "gpu") == device]
        return max(own, default=self.rooms[device])

    def _device(self, spec: ModelSpec) -> str:
        return "gpu" if "gpu" in self.rooms and spec.device != "cpu" else "cpu"


def profile(environment: Mapping[str, str], machine: Machine) -> Profile:
    """The profile of a machine under these environment variables.

    >>> profile({}, Machine(16 * GB)).kind
    'machine'
    >>> profile({"SPACE_ID": "me/parley", "MEMORY": "16Gi"}, Machine(500 * GB)).defaults["memory_budget"]
    {'cpu': 12.9}
    """
    space, zero = bool(environment.get("SPACE_ID")), is_zero_gpu(environment)
    told = size_of(environment.get("MEMORY", "")) if space else None
    memory = min(machine.memory, told or machine.memory)
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
    if space:  # nobody shares the container with us, and what lies beyond its limit ends the program
        defaults["memory_budget"] = {"cpu": round(rooms["cpu"] / GB, 1)} if rooms["cpu"] >= GB / 10 else {"cpu": 0.1}
        defaults["parking_memory"] = round(rooms["cpu"] / 2 / GB, 1) if gpu and not zero else 0.0
    kind: Kind = "GPU machine" if gpu else "machine"
    if space:
        kind = "ZeroGPU Space" if zero else "GPU Space" if gpu else "CPU Space"
    return Profile(kind, memory, processors, rooms, 2 if machine.bfloat16 else 4, MappingProxyType(defaults))


def is_zero_gpu(environment: Mapping[str, str]) -> bool:
    """Whether the environment is that of a Space whose GPUs are lent, as the package `spaces` tells it."""
    return environment.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def size_of(text: str) -> int | None:
    """A size as Kubernetes writes it, in bytes; None for anything else.

    >>> size_of("16Gi"), size_of("512M"), size_of("much")
    (17179869184, 512000000, None)
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([kmgt]?i?)b?", text.strip().lower())
    return int(float(found[1]) * _UNITS[found[2]]) if found and found[2] in _UNITS else None


def _accelerator(environment: Mapping[str, str]) -> int:
    """Bytes of the GPU that a Space says it has; 0 if it says nothing that is known."""
    name = environment.get("ACCELERATOR", "").lower()
    return max((size * GB for start, size in ACCELERATORS.items() if name.startswith(start)), default=0)
