"""The rollout's metrics of one replica for Prometheus."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelworks.serving.metrics import LATENCY_S

if TYPE_CHECKING:
    from modelworks.serving.canary import Canary


class RolloutMetrics(Collector):
    """Counts of both models while a rollout goes on, and the step in force."""

    def __init__(self, registry: CollectorRegistry, canary: "Canary") -> None:
        self._canary = canary
        self.errors = Counter(
            "api_challenger_errors", "Requests that the champion answered for the challenger", registry=registry
        )
        self.latency = Histogram(
            "api_rollout_request_seconds",
            "Time of the model that a caller got, while a rollout goes on",
            ["model"],
            buckets=LATENCY_S,
            registry=registry,
        )
        registry.register(self)

    def count(self, model: str, seconds: float, *, is_error: bool = False) -> None:
        """Count one request to a model."""
        self.latency.labels(model).observe(seconds)
        if is_error:
            self.errors.inc()

    def collect(self) -> Iterator[Metric]:
        """The step in force, and the counts of the shadow."""
        info = GaugeMetricFamily(
            "api_challenger_info", "1 for the challenger that is loaded", labels=["version", "champion", "step"]
        )
        share = GaugeMetricFamily("api_challenger_share", "Share of the requests that the challenger answers")
        if challenger := self._canary.challenger:
            step = challenger.step
            info.add_metric([step.version, step.champion, str(step.number)], 1)
            share.add_metric([], step.share)
        yield info
        yield share
        rows, dropped, errors = self._canary.shadow.counts()
        yield CounterMetricFamily("api_shadow_rows", "Rows that the shadow's process predicted", value=rows)
        yield CounterMetricFamily("api_shadow_dropped_rows", "Rows that found its queue full", value=dropped)
        yield CounterMetricFamily("api_shadow_errors", "Rows that the challenger could not predict", value=errors)
