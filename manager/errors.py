"""All errors that Parley raises on purpose, as one tree.

    ParleyError
    ├── ConfigError (ValueError)          a file or setting is wrong; names the file, the key and the remedy
    │   └── UnsupportedType               a `type` without a registered backend
    ├── UnknownModel (ValueError)         a model id that is not registered
    ├── NoActiveModel (RuntimeError)      no model was named and none is active
    ├── ModelUnavailable (RuntimeError)   the weights cannot be used
    │   ├── Refused                       detected before anything was evicted for them
    │   │   ├── MissingPackage            an optional package is not installed
    │   │   ├── WeightsNotFound           no such repository, revision or file
    │   │   ├── AccessDenied              gated or private, and no token grants access
    │   │   │   ├── CredentialMissing     the visitor's own key is needed, and there is none
    │   │   │   ├── CredentialExpired     the visitor's sign-in has expired
    │   │   │   ├── CredentialRejected    the server does not accept the visitor's own key
    │   │   │   └── OutOfCredit           the visitor's account at the server has no credit left
    │   │   ├── Unreachable               the network or the server does not respond
    │   │   ├── CannotFit                 larger than the device's whole budget
    │   │   └── CoolingDown               failed recently; says when to try again
    │   ├── LoadFailed                    loading started and failed
    │   └── OutOfMemory                   loading or generating ran out of device memory
    ├── Busy (RuntimeError)               waiting was refused or took too long
    │   ├── QueueFull                     too many requests are waiting
    │   ├── WaitTimeout                   the request waited longer than allowed
    │   ├── RateLimited                   a remote server accepts no more requests for now
    │   └── NestedLease                   a session that holds a lease would have to wait for another one
    ├── Cancelled                         the caller cancelled, or no request needed the work
    ├── GenerationFailed (RuntimeError)   the model failed while writing
    │   ├── ServerFailed                  a remote server failed, or its answer is unusable
    │   ├── TooSlow                       the model stayed silent for longer than allowed
    │   └── ContextTooLong                the prompt leaves no room for a reply
    ├── ManagerClosed (RuntimeError)      the manager was cleaned up
    └── (negotiation.errors continues the tree: ScenarioError, IllegalTurn, StoreError, ...)

Most carry only their message, which says what is wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ParleyError(Exception):
    """Base of all errors that Parley raises on purpose. The message can be shown to a user."""


class ConfigError(ParleyError, ValueError):
    """A file or a setting is wrong.

    Args:
        problems: What is wrong in detail, where that is known: a key or a place, and what is wrong there.
    """

    def __init__(self, message: str, problems: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class UnsupportedType(ConfigError):
    """No backend is registered for a model's `type`."""


class UnknownModel(ParleyError, ValueError):
    """No model with this id is registered."""


class NoActiveModel(ParleyError, RuntimeError):
    """No model was named and the session has no active one."""


class ModelUnavailable(ParleyError, RuntimeError):
    """The weights of a model cannot be used."""


class Refused(ModelUnavailable):
    """The weights cannot be loaded, which was detected before anything was evicted for them."""


class MissingPackage(Refused):
    """The weights need an optional package that is not installed."""


class WeightsNotFound(Refused):
    """No such repository, revision or file."""


class AccessDenied(Refused):
    """The repository is gated or private, and no token grants access."""


class CredentialMissing(AccessDenied):
    """A model needs the visitor's own key, and there is none."""


class CredentialExpired(AccessDenied):
    """The visitor's sign-in has expired."""


class CredentialRejected(AccessDenied):
    """The server does not accept the visitor's own key, or it cannot be a key."""


class OutOfCredit(AccessDenied):
    """The visitor's account at the server has no credit left."""


class Unreachable(Refused):
    """The network or the server does not respond."""


class CannotFit(Refused):
    """The weights exceed the whole budget of the device, or what pinned weights leave of it."""


class CoolingDown(Refused):
    """The weights failed recently. The message says why, and when to try again."""


class LoadFailed(ModelUnavailable):
    """Loading started and failed."""


class OutOfMemory(ModelUnavailable):
    """The device ran out of memory."""


class Busy(ParleyError, RuntimeError):
    """Waiting was refused or took too long."""


class QueueFull(Busy):
    """Too many requests are waiting."""


class WaitTimeout(Busy):
    """The request waited longer than allowed."""


class RateLimited(Busy):
    """A remote server accepts no more requests for now."""


class NestedLease(Busy):
    """A session that holds a lease would have to wait for another one, which can deadlock."""


class Cancelled(ParleyError):
    """The caller cancelled, or no request needed the work."""


class GenerationFailed(ParleyError, RuntimeError):
    """The model failed while writing."""


class ServerFailed(GenerationFailed):
    """A remote server failed, broke off its answer, or sent an unusable one."""


class TooSlow(GenerationFailed):
    """The model was silent for too long: longer than the entry of a remote one allows, or than a local one ever is."""


class ContextTooLong(GenerationFailed):
    """The prompt leaves no room for a reply in the model's context."""


class ManagerClosed(ParleyError, RuntimeError):
    """The manager was cleaned up."""


@dataclass(frozen=True)
class Failure:
    """An error as a value, without a traceback that would keep a model's tensors alive."""

    kind: type[ParleyError]
    message: str

    @classmethod
    def of(cls, error: BaseException, otherwise: type[ParleyError]) -> Failure:
        """Make a failure of `error`. Errors from outside Parley become `otherwise`, and name their class."""
        if isinstance(error, ParleyError):
            return cls(type(error), str(error))
        return cls(otherwise, f"{type(error).__name__}: {error}")

    def error(self) -> ParleyError:
        """Return a new exception, to be raised."""
        return self.kind(self.message)
