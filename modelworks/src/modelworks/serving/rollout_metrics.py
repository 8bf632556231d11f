"""The rollout's metrics of one replica for Prometheus."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from modelworks.serving.metrics import LATENCY_S

if TYPE_CHECKING:
    from modelworks.serving.canary import Canary


SHADOW = {
    "api_shadow_rows": "Rows that the shadow's process predicted",
    "api_shadow_dropped_rows": "Rows that found its queue full",
    "api_shadow_errors": "Rows that the challenger could not predict",
}
"""In the order of `Shadow.counts`."""


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
        info = Metric("api_challenger_info", "1 for the challenger that is loaded", "gauge")
        share = Metric("api_challenger_share", "Share of the requests that the challenger answers", "gauge")
        if challenger := self._canary.challenger:
            step = challenger.step
            labels = {"version": step.version, "champion": step.champion, "step": str(step.number)}
            info.add_sample(info.name, labels, 1)
            share.add_sample(share.name, {}, step.share)
        yield info
        yield share
        for (name, meaning), value in zip(SHADOW.items(), self._canary.shadow.counts(), strict=True):
            counter = Metric(name, meaning, "counter")
            counter.add_sample(f"{name}_total", {}, value)
            yield counter
