"""Metrics for monitoring, in Prometheus format.

Gauges are read on each scrape from the manager's snapshot and the lanes. Counters follow the manager's events, folded
by the same `Timeline` that the page draws, and the events of negotiations. Metrics contain no texts, scenarios or
visitors; labels are names of models, devices, states and errors.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from manager.manager import LLMManager
from manager.state import MAKING_ROOM
from manager.status.snapshot import Entry, Resync, StatusEvent, Subscription
from manager.status.timeline import Timeline
from negotiation.admission.lanes import Lanes
from negotiation.admission.tickets import Stage
from negotiation.game.events import Ended, Event, Halted, TurnStarted, TurnTaken, Writing
from negotiation.live.live_runs import LiveRuns

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Upper bounds of the histogram buckets, in seconds."""
CAPACITY = 10_000
"""How many of the manager's events may wait to be counted."""


DEVICE_GAUGES = {
    "bytes": ("parley_device_used_bytes", "Bytes charged on a device"),
    "budget": ("parley_device_budget_bytes", "Budget in bytes"),
    "leaked": ("parley_device_leaked_bytes", "Bytes that were not freed"),
    "loaded": ("parley_device_loaded", "Weights loaded"),
    "max_loaded": ("parley_device_max_loaded", "Maximum number of loaded weights"),
}
"""The gauges of a device, by their attribute in a snapshot."""


class Metrics:
    """All metrics of a process; those of the manager from `watch` on."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._manager: LLMManager | None = None
        self._events: Subscription | None = None
        self._thread: threading.Thread | None = None
        self._timeline = Timeline(ended=self._span)
        self._began: dict[str, float] = {}  # run -> start of the turn without a first word yet
        self.loads = Counter("parley_loads", "Finished loads of weights", ["weights", "kind"], registry=registry)
        self.failures = Counter("parley_load_failures", "Weights that failed to load", ["weights"], registry=registry)
        self.evictions = Counter("parley_evictions", "Weights evicted to make room", ["weights"], registry=registry)
        self.unloads = Counter("parley_unloads", "Weights unloaded", ["weights"], registry=registry)
        self.load_seconds = Histogram(
            "parley_load_seconds", "Duration of loads", ["kind"], buckets=SECONDS, registry=registry
        )
        self.wait_seconds = Histogram(
            "parley_wait_seconds",
            "Waiting time of requests for models",
            ["outcome"],
            buckets=SECONDS,
            registry=registry,
        )
        self.lane_wait_seconds = Histogram(
            "parley_lane_wait_seconds",
            "Waiting time of watched negotiations for a lane",
            buckets=SECONDS,
            registry=registry,
        )
        self.lost = Counter("parley_events_lost", "Times that manager events were missed", registry=registry)
        self.turns = Counter("parley_turns", "Turns taken", ["agent"], registry=registry)
        self.tokens = Counter("parley_tokens", "Tokens written", ["agent"], registry=registry)
        self.prompt_tokens = Counter("parley_prompt_tokens", "Tokens read", ["agent"], registry=registry)
        self.invalid = Counter("parley_invalid_replies", "Invalid replies", ["kind"], registry=registry)
        self.first_token = Histogram(
            "parley_first_token_seconds",
            "Time from the start of a model's turn to its first words, including waiting",
            buckets=SECONDS,
            registry=registry,
        )
        self.ended = Counter("parley_negotiations_ended", "Negotiations that ended", ["status"], registry=registry)
        self.errors = Counter("parley_errors", "Negotiations that failed, by error", ["type"], registry=registry)

    def watch(self, manager: LLMManager, lanes: Lanes, live: LiveRuns) -> None:
        """Count what a manager does from now on, and export its state and that of the lanes."""
        self._manager, self._events = manager, manager.subscribe(CAPACITY)
        self._registry.register(_Gauges(manager, lanes, live))
        ProcessCollector(registry=self._registry)
        self._thread = threading.Thread(target=self._follow, args=(self._events,), name="metrics", daemon=True)
        self._thread.start()

    def text(self) -> bytes:
        """Return all metrics in Prometheus text format."""
        return generate_latest(self._registry)

    def close(self) -> None:
        """Stop counting."""
        if self._events is not None and self._thread is not None:
            self._events.close()
            self._thread.join()

    def count(self, run_id: str, event: Event) -> None:
        """Count an event of a negotiation."""
        match event:
            case Writing():
                if (began := self._began.pop(run_id, None)) is not None:
                    self.first_token.observe(time.monotonic() - began)
            case TurnStarted():
                self._began[run_id] = time.monotonic()
            case TurnTaken(turn=turn):
                self._began.pop(run_id, None)
                self.turns.labels(turn.agent).inc()
                self.tokens.labels(turn.agent).inc(turn.tokens)
                self.prompt_tokens.labels(turn.agent).inc(turn.prompt_tokens)
                for entry in turn.invalid:
                    self.invalid.labels(entry.kind).inc()
            case Ended():
                self.ended.labels("done").inc()
            case Halted(status=status, kind=kind):
                self._began.pop(run_id, None)
                self.ended.labels(status).inc()
                if status == "failed":
                    self.errors.labels(kind or "unknown").inc()

    def _follow(self, events: Subscription) -> None:
        for event in events:
            if isinstance(event, StatusEvent):
                self._timeline.record(event)
            elif isinstance(event, Resync):
                self.lost.inc()
                self._timeline = Timeline(ended=self._span)

    def _span(self, entry: Entry) -> None:
        """Count a finished entry of the timeline."""
        seconds = max(0.0, (entry.ended or entry.begun) - entry.begun)
        match entry.kind:
            case "load" | "wake":
                self.loads.labels(entry.weights, entry.kind).inc()
                self.load_seconds.labels(entry.kind).observe(seconds)
            case "failure":
                self.failures.labels(entry.weights).inc()
            case "unload":
                self.unloads.labels(entry.weights).inc()
                if entry.reason.startswith(MAKING_ROOM):
                    self.evictions.labels(entry.weights).inc()
            case "wait":
                outcome = "granted" if entry.outcome == "granted" else "refused"
                self.wait_seconds.labels(outcome).observe(seconds)


class _Gauges:
    """The current state, read on each scrape."""

    def __init__(self, manager: LLMManager, lanes: Lanes, live: LiveRuns) -> None:
        self._manager, self._lanes, self._live = manager, lanes, live

    def collect(self) -> Iterable[Metric]:
        """Return the gauges, for prometheus_client."""
        shot, lanes = self._manager.snapshot(), self._lanes
        for attribute, (name, about) in DEVICE_GAUGES.items():
            gauge = GaugeMetricFamily(name, about, labels=["device"])
            for row in shot.devices:
                if (value := getattr(row, attribute)) is not None:
                    gauge.add_metric([row.device], value)
            yield gauge
        yield GaugeMetricFamily("parley_parked_bytes", "Host memory that holds copies of weights", shot.parked)
        states = GaugeMetricFamily("parley_weights", "Weights by state", labels=["state"])
        for state in sorted({str(row.state) for row in shot.weights}):
            states.add_metric([state], sum(str(row.state) == state for row in shot.weights))
        yield states
        yield GaugeMetricFamily("parley_leases", "Leases held", sum(row.leases for row in shot.weights))
        yield GaugeMetricFamily("parley_requests_waiting", "Waiting requests for models", len(shot.queue))
        stages = GaugeMetricFamily("parley_negotiations", "Negotiations now", labels=["stage", "background"])
        for stage, name in ((Stage.RUNNING, "running"), (Stage.WAITING, "queued"), (Stage.ASIDE, "person")):
            for background in (False, True):
                count = lanes.count(stage, background=background)
                stages.add_metric([name, str(background).lower()], count)
        yield stages
        yield CounterMetricFamily("parley_negotiations_refused", "Negotiations refused at a limit", lanes.refused)
        yield GaugeMetricFamily("parley_visitors", "Visitors with a negotiation", lanes.visitors())
        yield GaugeMetricFamily("parley_watchers", "Watchers of running negotiations", self._live.watchers)
