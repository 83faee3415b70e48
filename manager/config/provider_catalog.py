"""The models that Inference Providers serve on the visitor's own account, listed live by their router.

The listing is public, so no key is sent for it. It is asked for in the background, so that callers never wait; until it
has answered, and while it does not, the last listing is used, or else the shipped list.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from manager.config.certificates import trusted
from manager.config.model_spec import ModelSpec
from manager.config.provider_models import ProviderModel, ShippedModel, read_listing, shipped_models

logger = logging.getLogger(__name__)

ROUTER = "https://router.huggingface.co/v1"
FRESH_SECONDS = 900.0
"""How long a listing is used before it is asked for again."""
AGAIN_SECONDS = 60.0
"""How soon after a failure."""
ANSWER_SECONDS = 10.0
MOST_BYTES = 8_000_000
"""Of a listing. The router's has less than a tenth."""


class ProviderCatalog:
    """What the router lists. Thread-safe.

    Args:
        base_url: The router's address; None offers nothing.
        shipped: The shipped list, by the models' names on the Hub.
        clock: The time in seconds, from any beginning.
    """

    def __init__(
        self,
        base_url: str | None,
        shipped: Mapping[str, ShippedModel],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.base_url = base_url
        self._shipped = shipped
        self._clock = clock
        self._models = shipped_models(shipped) if base_url else {}
        self._specs = self._specs_of(self._models)
        self._lock = threading.Lock()
        self._looked = threading.Condition(self._lock)  # a look has ended
        self._looking = False
        self._next = float("-inf")  # when to look again
        self.listed = False
        """Whether the router has answered at least once."""

    def models(self) -> Mapping[str, ProviderModel]:
        """Return the models by id; asks the router in the background if its listing is old."""
        with self._lock:
            if self.base_url is not None and not self._looking and self._clock() >= self._next:
                self._looking = True
                threading.Thread(target=self._look, name="provider-catalog", daemon=True).start()
            return self._models

    @property
    def labels(self) -> dict[str, str]:
        """The models' names for people, by id. Asks nobody."""
        return {model_id: model.label for model_id, model in self._models.items()}

    def wait(self, seconds: float) -> bool:
        """Wait for the look that is due or going on, and return whether there is a listing."""
        self.models()
        with self._looked:
            self._looked.wait_for(lambda: not self._looking, seconds)
            return self.listed

    def specs(self) -> Mapping[str, ModelSpec]:
        """Return the models' registry entries, by id. All name the router as their server, whatever a listing says."""
        self.models()
        return self._specs

    def find(self, model_id: str) -> ModelSpec | None:
        """Return the registry entry of a listed model; None for any other."""
        return self.specs().get(model_id)

    def _specs_of(self, models: Mapping[str, ProviderModel]) -> dict[str, ModelSpec]:
        return {model_id: model.spec(str(self.base_url)) for model_id, model in models.items()}

    def _look(self) -> None:
        found: dict[str, ProviderModel] = {}
        specs: dict[str, ModelSpec] = {}
        try:
            found = read_listing(self._fetched(), self._shipped)
            specs = self._specs_of(found)
            reason = "" if found else "it lists no chat models"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            reason = f"{type(error).__name__}"
        finally:
            with self._looked:
                self._looking = False
                self._next = self._clock() + (FRESH_SECONDS if found else AGAIN_SECONDS)
                if found:
                    self._models, self._specs, self.listed = found, specs, True
                self._looked.notify_all()
        if reason:
            using = "the last listing" if self.listed else "the shipped list"
            logger.warning("the models at %s could not be listed (%s); using %s", self.base_url, reason, using)

    def _fetched(self) -> Any:
        """Return the router's answer as plain data."""
        with (
            httpx.Client(verify=trusted(), timeout=ANSWER_SECONDS, follow_redirects=False) as client,
            client.stream("GET", f"{str(self.base_url).rstrip('/')}/models") as answer,
        ):
            answer.raise_for_status()
            read, until = bytearray(), time.monotonic() + 2 * ANSWER_SECONDS
            for chunk in answer.iter_bytes():
                read += chunk
                if len(read) > MOST_BYTES or time.monotonic() > until:
                    raise ValueError("too large or too slow")
        return json.loads(read)
