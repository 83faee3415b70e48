"""Adapters (LoRA and the like) in the format of PEFT: found before a load, merged into the weights after it.

Merged weights cost no more memory or time than those without, and can be parked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manager.backends import hub
from manager.backends.base import Progress
from manager.backends.quantization import require
from manager.config.registry import ModelSpec
from manager.errors import Refused, WeightsNotFound

FILES = ("adapter_config.json", "adapter_model.safetensors")


def fetch(spec: ModelSpec, progress: Progress) -> list[Path]:
    """The folders of an entry's adapters, fetched; raises MissingPackage, Refused or what `hub.fetch` raises."""
    if not spec.adapters:
        return []
    require("key 'adapters':", "peft", "accelerate")
    if spec.quantization is not None:
        raise Refused("key 'adapters': cannot be merged into quantized weights; leave out one of the two")
    folders = [hub.fetch(name, None, None, progress) for name in spec.adapters]
    for folder, name in zip(folders, spec.adapters, strict=True):
        for file in FILES:
            if not (folder / file).is_file():
                raise WeightsNotFound(f"key 'adapters': '{name}' has no {file}, so it is not an adapter of PEFT")
    return folders


def merge(model: Any, folders: Sequence[Path]) -> Any:
    """The model with the adapters merged in, one after the other."""
    if not folders:
        return model
    from peft import PeftModel

    for folder in folders:
        model = PeftModel.from_pretrained(model, folder, use_safetensors=True).merge_and_unload()
    return model
