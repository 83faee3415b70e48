"""Registers models of providers when an agent is made of one, and forgets the ones that were used longest ago.

Thousands of models are listed, and none of them is registered before somebody chooses it. Only what the catalogue lists
can be chosen, so that nobody makes this server call another one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress

from manager.config.model_spec import ModelSpec
from manager.config.provider_catalog import ProviderCatalog
from manager.errors import UnknownModel
from manager.manager import LLMManager

MOST = 64
"""The most models of providers that are registered at a time. One that is in use finishes when it is forgotten."""


class LentEntries:
    """The registered models of a manager, and those of providers as they are needed. Thread-safe."""

    def __init__(self, manager: LLMManager, providers: ProviderCatalog, most: int = MOST) -> None:
        self._manager = manager
        self._providers = providers
        self._most = most
        self._lock = threading.Lock()
        self._used: OrderedDict[str, ModelSpec] = OrderedDict()  # those that were used longest ago first

    def registered(self, model_id: str) -> ModelSpec | None:
        """Return the entry of a model, which is registered from now on; None if there is no such model."""
        with self._lock:
            ours = self._used.get(model_id)
            try:
                known = self._manager.spec(model_id)
            except UnknownModel:
                known = None
            if known is not None and known != ours:
                return known  # the operator's own
            listed = self._providers.find(model_id) or ours
            if listed is None:
                return None
            if known is not None and known != listed:  # its price or its provider has changed
                self._manager.unregister(model_id)
            self._manager.register(listed)
            self._used[model_id] = listed
            self._used.move_to_end(model_id)
            while len(self._used) > self._most:
                oldest, _ = self._used.popitem(last=False)
                with suppress(UnknownModel):
                    self._manager.unregister(oldest)
            return listed
