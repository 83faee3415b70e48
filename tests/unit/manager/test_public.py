"""The public surface of the package: exactly these names, importable without any model library."""

from __future__ import annotations

import subprocess
import sys

import manager
from manager import errors

PUBLIC = {
    "Busy",
    "CancelToken",
    "Cancelled",
    "Completion",
    "ConfigError",
    "GenerationFailed",
    "GenerationRequest",
    "Heartbeat",
    "Identity",
    "LLMManager",
    "Lease",
    "LoadFailed",
    "LoadedModel",
    "ManagerClosed",
    "Message",
    "ModelSpec",
    "ModelUnavailable",
    "NoActiveModel",
    "OutOfMemory",
    "ParleyError",
    "Refused",
    "Registry",
    "Resync",
    "ServerReport",
    "Session",
    "Snapshot",
    "State",
    "StatusEvent",
    "Subscription",
    "UnknownModel",
    "register_backend",
}
HEAVY = ("torch", "transformers", "gradio", "httpx")


def test_exactly_these_names_are_public() -> None:
    assert set(manager.__all__) == PUBLIC
    assert len(manager.__all__) == len(PUBLIC)


def test_every_public_name_can_be_imported() -> None:
    assert all(getattr(manager, name) is not None for name in PUBLIC)


def test_every_direct_subclass_of_the_base_error_is_public() -> None:
    direct = {
        kind.__name__
        for kind in vars(errors).values()
        if isinstance(kind, type) and errors.ParleyError in kind.__bases__
    }
    assert direct < PUBLIC


def test_importing_the_package_imports_no_model_library() -> None:
    code = f"import sys, manager; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
