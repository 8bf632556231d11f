"""The limits that a model has to keep: of its metrics, those of the kind of target, and of disparities of groups."""

from collections.abc import Sequence
from difflib import get_close_matches

from modelworks.contract import Contract
from modelworks.errors import ConfigError
from modelworks.settings import Gates, Limits
from modelworks.targets import Kind, Target

METRICS: dict[Kind, tuple[str, ...]] = {
    "binary": (
        *("roc_auc", "average_precision", "log_loss", "brier_loss", "calibration_error"),
        *("precision", "recall"),
    ),
    "multiclass": ("roc_auc", "accuracy", "log_loss", "brier_loss", "calibration_error"),
    "regression": ("r2", "squared_error", "rmse", "mae", "bias"),
}
"""Names of the metrics on the held-out rows, by the kind of target."""
ALL_METRICS = {name for names in METRICS.values() for name in names}

DISPARITIES: dict[Kind, tuple[str, ...]] = {
    "binary": (
        *("selection_rate_difference", "selection_rate_ratio"),
        *("true_positive_rate_difference", "true_positive_rate_ratio"),
        *("false_positive_rate_difference", "false_positive_rate_ratio"),
    ),
    "multiclass": ("accuracy_difference", "accuracy_ratio"),
    "regression": ("mean_error_difference",),
}
"""Names of the disparities between groups, by the kind of target."""

OF_CLASSES = {"roc_auc": Limits(min=0.60, max=0.85), "calibration_error": Limits(max=0.15)}
DEFAULT_LIMITS: dict[Kind, dict[str, Limits]] = {
    "binary": OF_CLASSES,
    "multiclass": OF_CLASSES,
    "regression": {"r2": Limits(min=0.0, max=0.99), "bias": Limits(min=-0.15, max=0.15)},
}


def find_limits(target: Target, gates: Gates) -> dict[str, Limits]:
    """The limits by metric, in the order of the target's metrics; a metric without limits is left out.

    Raises
    ------
    ConfigError
        If [gates.metrics] names a metric that the target does not have.
    """
    metrics = METRICS[target.kind]
    for name, limits in gates.metrics.items():
        # Limits that are taken away may be of any kind of target: a policy of the backtest takes all away.
        if name not in metrics and (name not in ALL_METRICS or limits != Limits()):
            wrong = f"[gates.metrics] {name}: a {target.kind} target has no such metric"
            raise ConfigError(f"{wrong}; {_suggest(name, metrics)}")
    found = {**DEFAULT_LIMITS[target.kind], **gates.metrics}
    return {name: found[name] for name in metrics if found.get(name, Limits()) != Limits()}


def find_fairness_limits(contract: Contract, gates: Gates) -> dict[str, Limits]:
    """The limits by disparity, in the order of the target's disparities; one without limits is left out.

    Raises
    ------
    ConfigError
        If [gates.fairness] names a column that makes no groups, or a disparity that the target does not have.
    """
    grouping = [
        name
        for name in contract.dtypes
        if name != contract.target.column and name not in contract.documents and not contract.is_time(name)
    ]
    for name in gates.fairness.columns:
        if name not in grouping:
            why = "makes no groups: it is the target, a time or a document" if name in contract.dtypes else "is unknown"
            raise ConfigError(f"[gates.fairness] columns: {name!r} {why}; {_suggest(name, grouping)}")
    disparities = DISPARITIES[contract.target.kind]
    for name in gates.fairness.limits:
        if name not in disparities:
            wrong = f"[gates.fairness] limits: a {contract.target.kind} target has no disparity {name!r}"
            raise ConfigError(f"{wrong}; {_suggest(name, disparities)}")
    limits = gates.fairness.limits
    return {name: limits[name] for name in disparities if limits.get(name, Limits()) != Limits()}


def _suggest(name: str, allowed: Sequence[str]) -> str:
    nearest = get_close_matches(name, allowed, n=1)
    return f"{f'did you mean {nearest[0]}? ' if nearest else ''}allowed: {', '.join(allowed)}"
