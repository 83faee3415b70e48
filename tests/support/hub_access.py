"""The way to the Hub, as a test wants it."""

from __future__ import annotations

from dataclasses import replace

from manager.machine.hub_access import HubAccess
from negotiation.app.availability import ModelAvailability
from negotiation.app.parley import Parley


class Access(HubAccess):
    """Asks nobody."""

    def __init__(self, trouble: str = "", *, has_token: bool = False) -> None:
        super().__init__()
        self._trouble, self._has_token = trouble, has_token

    @property
    def trouble(self) -> str:
        return self._trouble

    @property
    def has_token(self) -> bool:
        return self._has_token


def with_access(parley: Parley, trouble: str = "") -> Parley:
    """Return the same program with another way to the Hub."""
    return replace(parley, availability=ModelAvailability(parley.catalog, Access(trouble)))
