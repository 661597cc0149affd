"""Prometheus figures of what runs beside the lanes: who reads events, who watches, evidence, the broker.

What cannot be known at the moment, as the store is away, is left out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.viewers import Viewers
from checkout.evidence.keeper import EvidenceKeeper
from core.errors import StoreError
from store.outbox import Outbox

_LOG = logging.getLogger(__name__)


class ApiFigures(Collector):
    """Figures of the store's outbox and of the streams.

    Args:
        outbox: where events wait.
        consumers: who reads them, as the outbox calls them.
        viewers: counts the streams.
    """

    def __init__(self, outbox: Outbox, consumers: Sequence[str], viewers: Viewers) -> None:
        self._outbox, self._consumers, self._viewers = outbox, consumers, viewers

    def collect(self) -> Iterable[Metric]:
        """Yield the figures of this moment."""
        yield GaugeMetricFamily("traylane_viewers", "Streams that are open", value=self._viewers.open)
        depth = GaugeMetricFamily(
            "traylane_outbox_depth", "Events that a consumer has not settled", labels=["consumer"]
        )
        dead = GaugeMetricFamily("traylane_dead_letters", "Events that a webhook would not take", labels=["consumer"])
        try:
            for consumer in self._consumers:
                depth.add_metric([consumer], self._outbox.depth(consumer))
                dead.add_metric([consumer], self._outbox.count_letters(consumer))
        except StoreError as err:
            _LOG.debug("figures of the outbox are not known: %s", err)
            return
        yield from (depth, dead)


class RunningFigures(Collector):
    """Figures of the evidence and of the broker.

    Args:
        keepers: of all lanes that keep evidence.
        connected: whether the broker is there; None without one.
    """

    def __init__(self, keepers: Sequence[EvidenceKeeper], connected: Callable[[], bool] | None) -> None:
        self._keepers, self._connected = keepers, connected

    def collect(self) -> Iterable[Metric]:
        """Yield the figures of this moment."""
        evidence = CounterMetricFamily(
            "traylane_evidence", "Closed bills, by their evidence", labels=["lane", "result"]
        )
        for keeper in self._keepers:
            evidence.add_metric([keeper.lane_id, "kept"], keeper.kept)
            evidence.add_metric([keeper.lane_id, "failed"], keeper.failed)
        yield evidence
        if self._connected is not None:
            yield GaugeMetricFamily("traylane_mqtt_connected", "1 while the broker is there", value=self._connected())
