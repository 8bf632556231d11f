"""Figures of pipeline and model for Prometheus: what ledger, monitoring and runs hold, read by a thread."""

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from time import monotonic

from prometheus_client import CollectorRegistry
from prometheus_client import Counter as PrometheusCounter
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from modelworks.calendar import count_between, first_day, shift_period
from modelworks.data import partitions, periods
from modelworks.data.manifests import Layer
from modelworks.monitoring import records
from modelworks.project import Project
from modelworks.settings import Settings, Source
from modelworks.state.health import WORDS, assess, serves
from modelworks.state.rollout import RolloutState
from modelworks.state.status import State, read_outline

logger = logging.getLogger(__name__)

Samples = dict[str, dict[tuple[str, ...], float]]
"""By the name of a metric: its values by the values of its labels."""

METRICS: dict[str, tuple[str, list[str]]] = {
    "pipeline_state_timestamp_seconds": ("When the figures of pipeline and model were read", []),
    "pipeline_condition": ("1 for each condition of the project that holds, 0 for the others", ["condition"]),
    "pipeline_periods_late": ("Complete periods that a layer does not have yet", ["layer"]),
    "pipeline_newest_period_end_timestamp_seconds": ("End of the newest period that a layer has", ["layer"]),
    "pipeline_last_run_timestamp_seconds": ("Start of the last training run", []),
    "pipeline_retraining_waits": ("1 while a new model is requested and no run has claimed the request", []),
    "model_champion_info": ("1 for the champion, by the ledger", ["version"]),
    "model_champion_timestamp_seconds": ("When the champion was released", []),
    "model_champion_trained_through_timestamp_seconds": ("End of the newest period it was trained on", []),
    "model_holdout_metric": ("Metrics of the champion on the hold-out", ["metric"]),
    "model_releases": ("Entries of the ledger", ["action"]),
    "model_decisions": ("Decisions of monitoring", ["decision"]),
    "model_measured_period_end_timestamp_seconds": ("End of the newest served period with labels", []),
    "model_loss": ("Loss in that period, with the ends of its interval", ["bound"]),
    "model_skill": ("Loss of the best single prediction minus the model's, in that period", ["bound"]),
    "model_calibration_drift": ("Calibration drift in that period", ["bound"]),
    "rollout_info": ("1 for the rollout that goes on", ["version", "champion"]),
    "rollout_share": ("Share of the requests that its challenger answers", []),
    "rollout_steps": ("Steps of the last rollout", ["action"]),
    "rollout_changed_decisions": ("Share of the decisions that differ between both models", ["bound"]),
    "rollout_difference": ("Mean absolute difference of their predictions", ["bound"]),
    "rollout_gain": ("Champion's loss minus the challenger's on labelled rows", ["bound"]),
    "model_column_drift": ("Distance from the training data divided by the threshold, newest period", ["column"]),
}
"""Meaning and labels of each gauge."""


class StateMetrics(Collector):
    """The figures as they were last read; a scrape that finds them old starts a thread that reads them again."""

    def __init__(self, project: Project, settings: Settings, registry: CollectorRegistry) -> None:
        self._project = project
        self._settings = settings
        self._samples: Samples = {}
        self._due_at = 0.0
        self._thread: threading.Thread | None = None
        self._failures = PrometheusCounter(
            "pipeline_state_failures",
            "Attempts to read figures of pipeline and model that failed",
            registry=registry,
        )
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The gauges, for a scrape; it waits for nothing."""
        if monotonic() >= self._due_at and not (self._thread and self._thread.is_alive()):
            # A daemon: MLflow or the storage may hang, and must not keep the process from ending.
            self._thread = threading.Thread(target=self._read, name="state-metrics", daemon=True)
            self._thread.start()
        samples = self._samples
        for name, (meaning, labels) in METRICS.items():
            gauge = Metric(name, meaning, "gauge")
            for values, value in samples.get(name, {}).items():
                gauge.add_sample(name, dict(zip(labels, values, strict=True)), value)
            yield gauge

    def _read(self) -> None:
        try:
            state = read_outline(self._project, self._settings)
            self._samples = measure(self._settings.source, state, find_newest(self._settings, state), state.at.date())
        except Exception as error:  # MLflow or the storage may fail in any way, and the last figures stay
            self._failures.inc()
            logger.warning("the figures of pipeline and model are not current: %s", error)
        finally:
            self._due_at = monotonic() + self._settings.serving.state_metrics_s


def find_newest(settings: Settings, state: State) -> dict[str, str | None]:
    """The newest period that each layer has; scores are expected once there is a champion."""
    layers: tuple[Layer, ...] = ("clean", "scores") if state.status.champion else ("clean",)
    newest: dict[str, str | None] = {
        layer: max(partitions.list_periods(settings.storage_uri, layer), default=None) for layer in layers
    }
    return {**newest, "monitoring": max((each.period for each in state.records), default=None)}


def measure(source: Source, state: State, newest: dict[str, str | None], today: date) -> Samples:
    """The value of each gauge; what is not known is left out.

    Parameters
    ----------
    newest : of each layer, its newest period
    """
    pipeline, model = _measure_pipeline(source, state, newest, today), _measure_model(state)
    return {**pipeline, **model, **(_measure_rollout(state.rollout) if state.rollout else {})}


def _measure_pipeline(source: Source, state: State, newest: dict[str, str | None], today: date) -> Samples:
    health = assess(state)
    holding = {health.finding.condition, *(each.condition for each in health.also)}
    expected = source.last or periods.last_complete_period(today, source.period)
    before_first = shift_period(source.first, -1)
    last_run: dict[tuple[str, ...], float] = {(): _to_seconds(state.runs[0].started_at)} if state.runs else {}
    return {
        "pipeline_state_timestamp_seconds": {(): state.at.timestamp()},
        "pipeline_condition": {(each,): float(each in holding) for each in WORDS},
        "pipeline_periods_late": {
            (layer,): float(max(0, count_between(period or before_first, expected))) for layer, period in newest.items()
        },
        "pipeline_newest_period_end_timestamp_seconds": {
            (layer,): _end_of(period) for layer, period in newest.items() if period
        },
        "pipeline_last_run_timestamp_seconds": last_run,
        "pipeline_retraining_waits": {(): float(_is_retraining_waiting(state))},
    }


def _is_retraining_waiting(state: State) -> bool:
    """Whether the last request is to replace the present champion, and no run has claimed it."""
    request, champion = records.last_request(state.records), state.status.champion
    if request is None or request.champion != (champion.version if champion else None):
        return False
    return state.claims.get(request.sequence, "") is None


def _measure_model(state: State) -> Samples:
    champion = state.status.champion
    own = [each for each in records.latest_performance(state.records).values() if serves(state, each.model_version)]
    measured = [(each.period, each.figures) for each in own if each.figures]
    compared = [each for each in state.records if each.drift and serves(state, each.champion)]
    samples: Samples = {
        "model_releases": {(action,): 0.0 for action in ("deploy", "rollback")},
        "model_decisions": {(decision,): 0.0 for decision in ("retrain", "keep")},
        "model_column_drift": {(each.column,): each.ratio for last in compared[-1:] for each in last.drift},
    }
    for entry in state.ledger:
        samples["model_releases"][entry.action,] += 1
    for record in state.records:
        samples["model_decisions"]["retrain" if record.retrain else "keep",] += 1
    if champion:
        samples["model_champion_info"] = {(champion.version,): 1.0}
        samples["model_champion_timestamp_seconds"] = {(): _to_seconds(champion.since)}
        samples["model_holdout_metric"] = {
            (name,): value for name, value in champion.metrics.items() if not name.endswith(("_low", "_high"))
        }
        if champion.last_period:
            samples["model_champion_trained_through_timestamp_seconds"] = {(): _end_of(champion.last_period)}
    if measured:
        period, figures = measured[-1]
        samples["model_measured_period_end_timestamp_seconds"] = {(): _end_of(period)}
        for name in ("loss", "skill", "calibration_drift"):
            if estimate := getattr(figures, name):
                samples[f"model_{name}"] = {(each,): getattr(estimate, each) for each in ("value", "low", "high")}
    return samples


def _measure_rollout(found: RolloutState) -> Samples:
    steps, last = Counter(step.action for step in found.steps), found.last
    samples: Samples = {"rollout_steps": {(action,): float(number) for action, number in steps.items()}}
    if found.in_force:
        samples["rollout_info"] = {(last.version, last.champion): 1.0}
        samples["rollout_share"] = {(): last.share}
    for name in ("changed_decisions", "difference", "gain"):
        if estimate := (found.comparison or {"comparison": {}})["comparison"].get(name):
            samples[f"rollout_{name}"] = {(bound,): estimate[bound] for bound in ("value", "low", "high")}
    return samples


def _end_of(period: str) -> float:
    """When a period ends, in Unix time."""
    return datetime.combine(first_day(shift_period(period, 1)), datetime.min.time(), UTC).timestamp()


def _to_seconds(moment: str) -> float:
    """A moment as it is recorded, in Unix time."""
    return datetime.fromisoformat(moment).timestamp()
