"""Load language models, share them among sessions, and watch their status.

>>> from manager import LLMManager
>>> models = LLMManager({"echo": {"type": "fake", "replies": ["Hello!"]}}, max_loaded_models=1)
>>> models.get_response("Say hello", "echo")
'Hello!'
>>> models.list_models()["echo"]["state"]
'resident'
>>> models.cleanup()

Importing this package imports neither torch nor transformers; a backend is imported when its first model is requested.
`manager.backends.base` describes how to write a backend, which `register_backend` adds.

All exceptions are subclasses of `ParleyError`; `manager.errors` shows the tree.
"""

from manager.backends.base import register_backend
from manager.cancel import CancelToken
from manager.config.model_spec import ModelSpec
from manager.config.registry import Registry
from manager.errors import (
    Busy,
    Cancelled,
    ConfigError,
    GenerationFailed,
    LoadFailed,
    ManagerClosed,
    ModelUnavailable,
    NoActiveModel,
    OutOfMemory,
    ParleyError,
    Refused,
    UnknownModel,
)
from manager.generation.request import Completion, GenerationRequest, Message
from manager.identity import Identity, ServerReport
from manager.lease import Lease
from manager.manager import LLMManager
from manager.session import LoadedModel, Session
from manager.state import State
from manager.status.snapshot import Heartbeat, Resync, Snapshot, StatusEvent, Subscription

__all__ = [
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
]
