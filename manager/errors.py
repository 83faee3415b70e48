"""Every error Parley raises on purpose, as one tree.

    ParleyError
    ├── ConfigError (ValueError)          a file or setting is wrong: names file, key and remedy
    │   └── UnsupportedType               a `type` that no backend is registered for
    ├── UnknownModel (ValueError)         a model id that the registry does not hold
    ├── NoActiveModel (RuntimeError)      no model was named and none is active
    ├── ModelUnavailable (RuntimeError)   these weights cannot be had
    │   ├── Refused                       found out before anything was evicted for them
    │   │   ├── MissingPackage            an optional package is not installed
    │   │   ├── WeightsNotFound           no such repository, revision or file
    │   │   ├── AccessDenied              gated or private, and no token grants it
    │   │   ├── Unreachable               the network or the server does not answer
    │   │   ├── CannotFit                 larger than the device's whole budget
    │   │   └── CoolingDown               failed a moment ago; says when it may be tried again
    │   ├── LoadFailed                    loading began and failed
    │   └── OutOfMemory                   loading or generating ran out of device memory
    ├── Busy (RuntimeError)               waiting was refused or took too long
    │   ├── QueueFull
    │   ├── WaitTimeout
    │   ├── RateLimited                   a server takes no more requests for now
    │   └── NestedLease                   a session would wait for a second lease while it holds one
    ├── Cancelled                         the caller, or everybody who waited, gave up
    ├── GenerationFailed (RuntimeError)   the model broke while it wrote
    │   ├── ServerFailed                  a server elsewhere failed, or answered with what cannot be used
    │   ├── TooSlow                       a server elsewhere was silent for longer than its entry allows
    │   └── ContextTooLong                the prompt leaves no room for a reply
    ├── ManagerClosed (RuntimeError)      the manager was cleaned up
    └── (negotiation.errors continues the tree: ScenarioError, IllegalTurn, StoreError, ...)

Most carry nothing but their message, which says what was wrong, where, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass


class ParleyError(Exception):
    """Base of all errors that Parley raises on purpose; its text is fit to be shown to a user."""


class ConfigError(ParleyError, ValueError):
    """A file or a setting is wrong."""


class UnsupportedType(ConfigError):
    """A model names a `type` that no backend is registered for."""


class UnknownModel(ParleyError, ValueError):
    """A model id that is not in the registry."""


class NoActiveModel(ParleyError, RuntimeError):
    """No model was named and the session has no active one."""


class ModelUnavailable(ParleyError, RuntimeError):
    """The weights of a model cannot be had."""


class Refused(ModelUnavailable):
    """Found out before anything else was evicted for these weights."""


class MissingPackage(Refused):
    """An optional package that these weights need is not installed."""


class WeightsNotFound(Refused):
    """No such repository, revision or file."""


class AccessDenied(Refused):
    """A gated or private repository, and no token that opens it."""


class Unreachable(Refused):
    """The network or the server does not answer."""


class CannotFit(Refused):
    """Larger than the whole budget of the device, or the device is full of pinned weights."""


class CoolingDown(Refused):
    """These weights failed a moment ago; the message says why and when they may be tried again."""


class LoadFailed(ModelUnavailable):
    """Loading began and failed."""


class OutOfMemory(ModelUnavailable):
    """The device ran out of memory."""


class Busy(ParleyError, RuntimeError):
    """Waiting was refused or took too long."""


class QueueFull(Busy):
    """Too many requests are waiting already."""


class WaitTimeout(Busy):
    """A request waited longer than it may."""


class RateLimited(Busy):
    """A server elsewhere takes no more requests for now."""


class NestedLease(Busy):
    """A session would wait for a second lease while it holds one, which can deadlock."""


class Cancelled(ParleyError):
    """The caller gave up, or everybody who waited did."""


class GenerationFailed(ParleyError, RuntimeError):
    """The model broke while it wrote."""


class ServerFailed(GenerationFailed):
    """A server elsewhere failed, broke its answer off, or answered with what cannot be used."""


class TooSlow(GenerationFailed):
    """A model was silent for too long: a server elsewhere by its entry, one here by far more than any takes."""


class ContextTooLong(GenerationFailed):
    """The prompt leaves no room for a reply in the model's context."""


class ManagerClosed(ParleyError, RuntimeError):
    """The manager was cleaned up."""


@dataclass(frozen=True)
class Failure:
    """An error as a value: what to raise, without a traceback that would keep a model's tensors alive."""

    kind: type[ParleyError]
    message: str

    @classmethod
    def of(cls, error: BaseException, otherwise: type[ParleyError]) -> Failure:
        """The failure that `error` stands for; foreign errors become `otherwise` and name their class."""
        if isinstance(error, ParleyError):
            return cls(type(error), str(error))
        return cls(otherwise, f"{type(error).__name__}: {error}")

    def error(self) -> ParleyError:
        """A fresh exception, one for each waiter."""
        return self.kind(self.message)
