"""Which way a metric is better: the only place that says so, for tables, plots and pages."""

from typing import Literal

Direction = Literal["higher", "lower", "near 0"]

DIRECTIONS: dict[str, Direction] = {
    "roc_auc": "higher",
    "average_precision": "higher",
    "accuracy": "higher",
    "precision": "higher",
    "recall": "higher",
    "r2": "higher",
    "gain_over_baseline": "higher",
    "gain_over_champion": "higher",
    "skill": "higher",
    "log_loss": "lower",
    "brier_loss": "lower",
    "calibration_error": "lower",
    "squared_error": "lower",
    "rmse": "lower",
    "mae": "lower",
    "calibration_drift": "lower",
    "bias": "near 0",
    "selection_rate_difference": "lower",
    "true_positive_rate_difference": "lower",
    "false_positive_rate_difference": "lower",
    "accuracy_difference": "lower",
    "mean_error_difference": "lower",
    "selection_rate_ratio": "higher",
    "true_positive_rate_ratio": "higher",
    "false_positive_rate_ratio": "higher",
    "accuracy_ratio": "higher",
}
"""By the metric's name in MLflow."""

ARROWS: dict[Direction, str] = {"higher": "↑", "lower": "↓", "near 0": ""}


def better(metric: str) -> str:
    """Which way is better, in a word with its arrow, such as "higher ↑"; empty for a metric of unknown direction."""
    direction = _find(metric)
    return f"{direction} {ARROWS[direction]}".strip() if direction else ""


def arrow(metric: str) -> str:
    """The arrow alone, for the title of a plot or a column; empty for a metric of unknown direction."""
    direction = _find(metric)
    return ARROWS[direction] if direction else ""


def _find(metric: str) -> Direction | None:
    """By the name without the column that a disparity is measured by, as in `accuracy_ratio_by_region`."""
    return DIRECTIONS.get(metric.partition("_by_")[0])
