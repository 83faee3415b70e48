"""The negotiation branch of the exception tree; `manager.errors` has its root and the other branches.

ParleyError
├── ScenarioError (ConfigError)   a scenario is invalid; names the file and the key
├── LimitReached                  more than is allowed here (admission/limits.py)
├── SpendingLimit                 the visitor's limit on what a run may cost
├── IllegalTurn                   an action that the protocol does not allow now
├── NoAnswer                      a person did not answer in time
├── NotAsked                      no person is to move in this run now
├── UnknownAgent (ValueError)     neither a registered model nor a strategy
├── DoesNotFit                    a model too large for this machine
├── UnknownRun (LookupError)      no run with this id that this visitor may see
├── UnknownTournament (LookupError)   no tournament with this id
├── NotContributed                the Hub did not take, or give back, a contributed run
│   └── NotAllowed                what the visitor has to allow (again) before it does
└── StoreError                    runs cannot be stored or read
    └── NotDriven                 a run that this process is not driving
"""

from __future__ import annotations

from manager.errors import ConfigError, ParleyError


class ScenarioError(ConfigError):
    """A scenario is invalid."""


class SpendingLimit(ParleyError):
    """The next request could cost more than is left of the visitor's limit."""


class IllegalTurn(ParleyError, ValueError):
    """An action that the protocol does not allow now."""


class NoAnswer(ParleyError):
    """A person did not answer in time."""


class NotAsked(ParleyError):
    """No person is to move in this run now."""


class UnknownAgent(ParleyError, ValueError):
    """Neither a registered model nor a strategy."""


class DoesNotFit(ParleyError):
    """A model is too large for this machine."""


class UnknownRun(ParleyError, LookupError):
    """No run with this id that this visitor may see."""


class StoreError(ParleyError):
    """Runs cannot be stored or read."""


class UnknownTournament(ParleyError, LookupError):
    """No tournament with this id."""


class NotContributed(ParleyError):
    """The Hub did not take, or give back, a contributed run."""


class NotAllowed(NotContributed):
    """The visitor has to allow the change of their account, perhaps once more."""


class NotDriven(StoreError):
    """A run that this process is not driving."""
