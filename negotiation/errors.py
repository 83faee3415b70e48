"""The negotiation branch of the one exception tree (its root and the other branches: manager/errors.py).

ParleyError
├── ScenarioError (ConfigError)   a scenario cannot be used: names file and key
├── LimitReached                  more than is allowed here (limits.py)
├── IllegalTurn                   an action that the protocol does not allow now
├── NoAnswer                      a person was asked and did not answer
├── NotAsked                      nobody is asked for a turn in this run now
├── UnknownAgent (ValueError)     neither a registered model nor a strategy
├── DoesNotFit                    a model that this machine has no room for
├── UnknownRun (LookupError)      no run with this id, or not for this visitor
├── UnknownTournament (LookupError)   no tournament with this id
└── StoreError                    runs cannot be written or read
    └── NotDriven                 a run that this process does not drive (any more)
"""

from __future__ import annotations

from manager.errors import ConfigError, ParleyError


class ScenarioError(ConfigError):
    """A scenario cannot be used."""


class IllegalTurn(ParleyError, ValueError):
    """An action that the protocol does not allow now."""


class NoAnswer(ParleyError):
    """A person was asked and did not answer."""


class NotAsked(ParleyError):
    """Nobody is asked for a turn in this run now."""


class UnknownAgent(ParleyError, ValueError):
    """Neither a registered model nor a strategy."""


class DoesNotFit(ParleyError):
    """A model that this machine has no room for."""


class UnknownRun(ParleyError, LookupError):
    """No run with this id, or not for this visitor."""


class StoreError(ParleyError):
    """Runs cannot be written or read."""


class UnknownTournament(ParleyError, LookupError):
    """No tournament with this id."""


class NotDriven(StoreError):
    """A run that this process does not drive (any more)."""
