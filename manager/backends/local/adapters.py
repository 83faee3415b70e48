"""Adapters (such as LoRA) in PEFT's format: fetched before a load, and merged into the weights after it.

Merged weights cost no extra memory or time, and can be parked.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manager.backends.base import Progress
from manager.backends.local import hub
from manager.config.model_spec import ModelSpec
from manager.errors import LoadFailed, Refused, WeightsNotFound
from manager.machine.model_files import SHIPPED, shipped_folder

FILES = ("adapter_config.json", "adapter_model.safetensors")


def fetch(spec: ModelSpec, progress: Progress) -> list[Path]:
    """Return the folders of an entry's adapters, fetched. Raises Refused, or like `hub.fetch`."""
    if not spec.adapters:
        return []
    if spec.quantization is not None:
        raise Refused("key 'adapters': cannot be merged into quantized weights; leave out one of the two")
    folders = [
        shipped_folder(name) if name.startswith(SHIPPED) else hub.fetch(name, None, None, progress)
        for name in spec.adapters
    ]
    for folder, name in zip(folders, spec.adapters, strict=True):
        for file in FILES:
            if not (folder / file).is_file():
                raise WeightsNotFound(f"key 'adapters': '{name}' has no {file}, so it is not a PEFT adapter")
    return folders


def merge(model: Any, folders: Sequence[Path]) -> Any:
    """Return the model with the adapters merged in, in order.

    Raises:
        LoadFailed: The tensors of an adapter do not match its settings and the model. PEFT itself would merge untrained
            ones in their place, or ignore them.
    """
    if not folders:
        return model
    from peft import PeftModel

    warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # an attribute that PEFT asks for
    for folder in folders:
        adapted = PeftModel.from_pretrained(model, folder, use_safetensors=True)
        report = adapted.load_adapter(folder, adapted.active_adapter, use_safetensors=True)
        for problem, names in {
            "are missing": report.missing_keys,
            "do not fit the model": report.unexpected_keys,
        }.items():
            if names:
                raise LoadFailed(
                    f"adapter {folder}: {len(names)} tensors {problem} ({min(names)}, ...); fetch it again"
                )
        model = adapted.merge_and_unload()
    return model
