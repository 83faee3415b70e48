"""Provider models as tests want them: a catalogue that asks nobody, and the listing of a stand-in router."""

from __future__ import annotations

import json
from collections.abc import Mapping

from manager.config.model_spec import Price
from manager.config.provider_catalog import ProviderCatalog
from manager.config.provider_models import ProviderModel
from tests.support.remote_server import Behaviour

ROUTER = "https://router.example/v1"


class ListedModels(ProviderCatalog):
    """Lists `listing`, which a test may change at any time."""

    def __init__(self, *names: str) -> None:
        super().__init__(ROUTER, {})
        self.listed = True
        self.list(*(model(name) for name in names))

    def list(self, *models: ProviderModel) -> None:
        """List these models from now on."""
        self._models = {model.model_id: model for model in models}
        self._specs = self._specs_of(self._models)

    def models(self) -> Mapping[str, ProviderModel]:
        return self._models


def model(name: str, price: float = 1.0, context: int | None = 8192) -> ProviderModel:
    """Return a model that costs `price` dollars for a million tokens of a prompt, and three times that for a reply."""
    return ProviderModel(
        name, name.partition("/")[2], "swift", Price(input=price, output=3 * price), context, structured=True
    )


def lists(prices: Mapping[str, float]) -> Behaviour:
    """Answer with a listing of these models, by their names on the Hub, with prices as in `model`."""
    data = [
        {
            "id": name,
            "providers": [
                {
                    "provider": "swift",
                    "status": "live",
                    "context_length": 131072,
                    "pricing": {"input": price, "output": 3 * price},
                    "supports_structured_output": True,
                }
            ],
        }
        for name, price in prices.items()
    ]
    listing = json.dumps({"object": "list", "data": data}).encode()
    return lambda call: call.start(200, "application/json").raw(listing)
