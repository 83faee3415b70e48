"""Builds the program from its settings: manager, scenarios, store and services, for the page and the command line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from huggingface_hub import constants

from manager.backends.base import register_backend
from manager.config.provider_catalog import ROUTER, ProviderCatalog
from manager.config.provider_models import read_shipped
from manager.config.registry import Changes, Registry
from manager.machine.hub_access import HubAccess
from manager.manager import LLMManager
from manager.placed import Placed
from negotiation.admission.lanes import Lanes
from negotiation.agents.catalog import Catalog
from negotiation.app.availability import ModelAvailability
from negotiation.app.logs import log_event
from negotiation.app.metrics import Metrics
from negotiation.app.settings import Settings
from negotiation.app.zero_gpu import ZeroGpuCatalog, place_fitting
from negotiation.comparison.service import Comparisons
from negotiation.game.events import Event
from negotiation.live.driver import SHUT_DOWN
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.archive import ArchivedStore, FolderStorage
from negotiation.runs.store import Store
from negotiation.scenario.model import Scenario, load_scenarios
from negotiation.tournament.service import Tournaments


@dataclass(frozen=True)
class Parley:
    """Everything that runs in one process."""

    settings: Settings
    manager: LLMManager
    catalog: Catalog
    availability: ModelAvailability
    scenarios: dict[str, Scenario]
    store: Store
    lanes: Lanes
    live: LiveRuns
    comparisons: Comparisons
    tournaments: Tournaments
    metrics: Metrics

    @classmethod
    def open(cls, settings: Settings, gpu: Callable[..., Any] | None = None) -> Parley:
        """Read the configuration and open the store. Loads no models, except on ZeroGPU.

        Args:
            gpu: ZeroGPU's decorator. With it, models are placed for GPU calls, which must happen on the main thread
                before the page is launched.

        Raises:
            ConfigError: A configuration file is wrong; the message names the file and key.
            StoreError: The database cannot be opened.
        """
        app = settings.app
        registry = Registry.from_yaml(settings.config_file("models.yaml"))
        scenarios = load_scenarios(settings.config_file("scenarios"))
        with ExitStack() as undo:
            store = _store(settings)
            undo.callback(store.close)
            manager = LLMManager(
                registry,
                app.max_loaded_models,
                budgets={device: int(gigabytes * 1e9) for device, gigabytes in app.memory_budget.items()},
                parking=int(app.parking_memory * 1e9) if app.parking_memory is not None else None,
                max_loaded_on=app.max_loaded_on,
                max_queue=app.max_queue,
                max_wait=app.max_wait_seconds,
                cache_dir=settings.cache,
            )
            undo.callback(manager.cleanup)
            providers = _providers(settings)
            if gpu is None:
                catalog = Catalog(manager, settings.misfit, providers)
            else:
                catalog = _place(settings, manager, registry, gpu, providers)
            metrics = Metrics()
            lanes = Lanes(app.limits, waited=metrics.lane_wait_seconds.observe)

            def on_event(run_id: str, event: Event) -> None:
                metrics.count(run_id, event)
                log_event(run_id, event)

            live = LiveRuns(catalog, store, app.orphan_grace_seconds, lanes=lanes, on_event=on_event)
            undo.pop_all()
        comparisons = Comparisons(catalog, store, lanes, on_event)
        tournaments = Tournaments(catalog, store, app.max_loaded_models, lanes, on_event)
        metrics.watch(manager, lanes, live)
        return cls(
            settings=settings,
            manager=manager,
            catalog=catalog,
            availability=ModelAvailability(catalog, HubAccess()),
            scenarios=scenarios,
            store=store,
            lanes=lanes,
            live=live,
            comparisons=comparisons,
            tournaments=tournaments,
            metrics=metrics,
        )

    def reload_models(self) -> Changes:
        """Apply an edited models.yaml; raises ConfigError, without any change, if it is wrong."""
        path = self.settings.config_file("models.yaml")
        self.catalog.check(spec.model_id for spec in Registry.from_yaml(path))
        return self.manager.reload(path)

    def drain(self, seconds: float) -> None:
        """Start nothing more, give running negotiations `seconds` to end, then interrupt them; all is recorded.

        The next program can continue interrupted negotiations and tournaments.
        """
        self.live.drain()
        self.lanes.wait_until_idle(seconds)
        self.tournaments.stop(SHUT_DOWN)  # stop all before waiting for any
        self.comparisons.stop_all()
        self.live.interrupt()
        self.comparisons.close()
        self.tournaments.stop(SHUT_DOWN, wait=True)

    def close(self) -> None:
        """Interrupt everything, unload all models and close the store."""
        self.lanes.close()
        self.tournaments.stop(SHUT_DOWN, wait=True)
        self.comparisons.close()
        self.live.close()
        self.metrics.close()
        self.manager.cleanup()
        self.store.close()


def _providers(settings: Settings) -> ProviderCatalog:
    """Return the catalogue of models on visitors' own accounts; it is empty where the Hub must not be asked."""
    shipped = read_shipped(settings.config_file("providers.yaml"))
    offline = constants.HF_HUB_OFFLINE and settings.providers == ROUTER
    return ProviderCatalog(None if offline else settings.providers, shipped)


def _place(
    settings: Settings, manager: LLMManager, registry: Registry, gpu: Callable[..., Any], providers: ProviderCatalog
) -> Catalog:
    """Place the models that fit, and pin them in the manager, so that its status shows them."""
    placed = Placed(settings.cache)
    place_fitting(placed, registry, settings.profile, settings.app.memory_budget)
    register_backend("huggingface", placed.stand_in)
    for spec in registry:
        if spec in placed:
            manager.load_model(spec.model_id)
            manager.pin(spec.model_id)
    return ZeroGpuCatalog(manager, placed, gpu, settings.misfit, providers)


def _store(settings: Settings) -> Store:
    archive = settings.archive
    if archive is None:
        return Store(settings.database_url)
    if archive.dataset is None:
        return ArchivedStore(settings.database_url, FolderStorage(archive.folder))
    from negotiation.runs.hub.journal_dataset import (
        DatasetStorage,  # imported here, because only some need the Hub's client
    )

    return ArchivedStore(settings.database_url, DatasetStorage(archive.dataset, archive.token, archive.folder))
