"""Models placed on a GPU at startup, for processes that are forked later, as ZeroGPU requires.

ZeroGPU gives a GPU to a forked process for one call, together with everything that was placed at startup. Hence nothing
is loaded or evicted while the program runs. In the forked process, `Placed` grants leases on the inherited weights
without using the program's threads or locks. The program's own manager has stand-ins, which hold no weights.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from manager.backends.base import BaseLLMModel, Footprint, Progress, create_model
from manager.config.model_spec import ModelSpec, WeightsKey
from manager.credentials import Handle
from manager.errors import LoadFailed, ParleyError
from manager.generation.request import GenerationRequest
from manager.generation.stream import TokenStream
from manager.lease import Lease, LeaseRequest
from manager.state import WaitStatus

logger = logging.getLogger(__name__)

DEVICE = "ZeroGPU"
"""The device shown for placed weights."""
NOT_PLACED = "was not placed when this Space started"


class Placed:
    """The placed models, and leases on them."""

    def __init__(self, cache_dir: Path, make: Callable[[ModelSpec, Path], BaseLLMModel] = create_model) -> None:
        self._cache_dir = cache_dir
        self._make = make
        self._models: dict[WeightsKey, tuple[BaseLLMModel, Footprint]] = {}
        self._refused: dict[WeightsKey, str] = {}
        self._numbers = itertools.count(1)

    def place(self, specs: Iterable[ModelSpec]) -> None:
        """Load these models onto their device. Call this on the main thread, before any fork.

        Models that cannot be placed are left out; `misfit` returns the reason.
        """
        for spec in specs:
            key = spec.weights
            if key in self._models or key in self._refused:
                continue
            model = self._make(spec, self._cache_dir)
            try:
                footprint = model.prepare(_silent)
                model.place(_silent)
            except ParleyError as error:
                logger.warning("%s cannot be placed: %s", spec.model_id, error)
                self._refused[key] = str(error)
            else:
                logger.info("%s was placed", key)
                self._models[key] = model, footprint

    def __contains__(self, spec: ModelSpec) -> bool:
        return spec.weights in self._models

    @property
    def bytes(self) -> int:
        """The bytes of all placed models."""
        return sum(footprint.bytes for _, footprint in self._models.values())

    def misfit(self, spec: ModelSpec) -> str:
        """Return why a model cannot be used; empty if it can."""
        if spec in self:
            return ""
        reason = self._refused.get(spec.weights)
        return f"{NOT_PLACED} ({reason})" if reason else NOT_PLACED

    # -- in a forked process -----------------------------------------------------------------------------------

    def request_lease(
        self,
        model: str | ModelSpec,
        *,
        owner: str | None = None,
        next_model: str | ModelSpec | None = None,
        timeout: float | None = None,
        credential: Handle | None = None,
    ) -> LeaseRequest:
        """Like the manager's method, but grant the request at once, as placed weights are always ready."""
        assert isinstance(model, ModelSpec)
        if model not in self:
            raise LoadFailed(f"'{model.model_id}' {self.misfit(model)}")
        request = LeaseRequest(next(self._numbers), model, owner, lambda number: None)
        request.grant(Lease(model, self._models[model.weights][0], lambda: None))
        return request

    def waiting(self, request: LeaseRequest) -> WaitStatus | None:
        """Like the manager's method; no request ever waits."""
        return None

    # -- in the program itself ---------------------------------------------------------------------------------

    def stand_in(self, spec: ModelSpec, cache_dir: Path) -> BaseLLMModel:
        """Return the stand-in for a placed model in the program's own manager; it takes no slot there."""
        found = self._models.get(spec.weights)
        return _StandIn(spec, cache_dir, found[1].bytes if found else None)


class _StandIn(BaseLLMModel):
    """Placed weights in the program's own manager: remote, and not usable there."""

    def __init__(self, spec: ModelSpec, cache_dir: Path, size: int | None) -> None:
        super().__init__(spec, cache_dir)
        self._size = size

    def prepare(self, progress: Progress) -> Footprint:
        if self._size is None:
            raise LoadFailed(f"'{self.spec.model_id}' {NOT_PLACED}")
        return Footprint(DEVICE, self._size, remote=True)

    def load(self, progress: Progress) -> int:
        return self._size or 0

    def unload(self) -> int:
        return 0

    def generate(self, request: GenerationRequest, stream: TokenStream) -> None:
        raise LoadFailed(f"'{self.spec.model_id}' can only generate in a process that has a GPU")


def _silent(stage: str, done: int, total: int) -> None:
    pass
