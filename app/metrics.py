"""Prometheus figures of the lanes, under the names that PRODUCT promises.

What is counted per frame is observed in the lane's own thread (some microseconds); what the lane itself counts is read
when somebody scrapes. A figure that is not known is left out, never shown as 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from checkout.health import LaneHealth
from checkout.pipeline import LaneUpdate
from core.records import DecisionKind

STAGE_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
LATENCY_BUCKETS = (0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)


class Instruments:
    """All metrics of one appliance.

    Args:
        health: returns the health of every lane by id.
        storage_free_bytes: free space where the store writes, or None when it is not a local disk.
    """

    def __init__(
        self, health: Callable[[], Mapping[str, LaneHealth]], storage_free_bytes: Callable[[], int | None]
    ) -> None:
        self._registry = CollectorRegistry()
        self._stage = Histogram(
            "traylane_stage_seconds",
            "Time spent in a stage per frame",
            ["lane", "stage"],
            buckets=STAGE_BUCKETS,
            registry=self._registry,
        )
        self._decision = Histogram(
            "traylane_capture_to_decision_seconds",
            "Capture of a frame to its decision",
            ["lane"],
            buckets=LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._pixel = Histogram(
            "traylane_capture_to_pixel_seconds",
            "Capture of a frame to its marked-up picture",
            ["lane"],
            buckets=LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._bills = Counter("traylane_bills", "Closed bills", ["lane", "result"], registry=self._registry)
        self._asks = Counter("traylane_asks", "Questions to a person", ["lane"], registry=self._registry)
        self._registry.register(_HealthCollector(health, storage_free_bytes))

    def observe(self, lane_id: str, update: LaneUpdate, latency_s: float) -> None:
        """Count one update; `latency_s` is capture → decision."""
        for stage, seconds in update.stage_s.items():
            self._stage.labels(lane_id, stage).observe(seconds)
        if update.frame is not None:
            self._decision.labels(lane_id).observe(latency_s)
        for bill in update.closed:
            self._bills.labels(lane_id, "with_lines" if bill.lines else "empty").inc()
        for event in update.events:
            if event.decision.kind is DecisionKind.ASK:
                self._asks.labels(lane_id).inc()

    def observe_picture(self, lane_id: str, latency_s: float) -> None:
        """Count one encoded picture; `latency_s` is capture → marked-up pixel."""
        self._pixel.labels(lane_id).observe(latency_s)

    def begin(self, lane_id: str) -> None:
        """Count a lane from 0: nothing has happened there, which is known."""
        for result in ("with_lines", "empty"):
            self._bills.labels(lane_id, result)
        self._asks.labels(lane_id)

    def add(self, figures: Collector) -> None:
        """Show further figures, too."""
        self._registry.register(figures)

    def text(self) -> bytes:
        """Return the exposition format."""
        return generate_latest(self._registry)


class _HealthCollector(Collector):
    def __init__(
        self, health: Callable[[], Mapping[str, LaneHealth]], storage_free_bytes: Callable[[], int | None]
    ) -> None:
        self._health, self._storage_free_bytes = health, storage_free_bytes

    def collect(self) -> Iterable[Metric]:
        fps = GaugeMetricFamily("traylane_lane_fps", "Frames decided per second", labels=["lane"])
        dropped = CounterMetricFamily("traylane_frames_dropped", "Frames left out", labels=["lane", "reason"])
        reconnects = CounterMetricFamily("traylane_reconnects", "Times the stream came back", labels=["lane"])
        spool = GaugeMetricFamily("traylane_spool_depth", "Events that wait for the store", labels=["lane"])
        up = GaugeMetricFamily("traylane_lane_state", "1 for the state the lane is in", labels=["lane", "state"])
        for lane_id, health in self._health().items():
            if health.fps is not None:
                fps.add_metric([lane_id], health.fps)
            for reason, count in health.dropped.items():
                dropped.add_metric([lane_id, reason], count)
            reconnects.add_metric([lane_id], health.reconnects)
            spool.add_metric([lane_id], health.spooled)
            up.add_metric([lane_id, str(health.state)], 1)
        yield from (fps, dropped, reconnects, spool, up)
        free = self._storage_free_bytes()
        if free is not None:
            yield GaugeMetricFamily("traylane_storage_free_bytes", "Free space for the store", value=free)
