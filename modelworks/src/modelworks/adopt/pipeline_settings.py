"""The settings that depend on a table."""

import math
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from modelworks.adopt import rolling_trial
from modelworks.adopt.pipeline_toml import SettingChanges
from modelworks.adopt.plan import MANY_CATEGORIES, Plan
from modelworks.adopt.planning import min_samples_leaf
from modelworks.calendar import CRONS
from modelworks.evaluation.limits import ALL_METRICS
from modelworks.models.encoders import ENCODERS
from modelworks.models.types import boosting

PERFECT = 0.995
EVERY_PERIODS = {"day": 7, "week": 4}
"""From one training to the next; of longer periods each."""
RECENT_PERIODS = 3


def choose_settings(plan: Plan, name: str, table_bytes: int) -> tuple[SettingChanges, list[str]]:
    """Every setting that depends on the data, and warnings.

    Parameters
    ----------
    name : of the data, in names of files
    table_bytes : what the whole table takes in memory, roughly
    """
    rows, split, period = plan.statistics.rows, plan.split, plan.recipe.period
    held_out = split.held_out or int(rows * _fraction(rows))
    gates, warnings = _choose_gates(plan, held_out)
    max_rows = _choose_max_rows(rows, table_bytes)
    if max_rows:
        warnings.append(
            f"the table does not fit into half of this computer's memory: [training] max_rows is {max_rows:,}"
        )
    settings: SettingChanges = {
        ("source", "uri"): (f"data/{name}-{{period}}.parquet", f"{{period}} is a {period}, such as {split.last}"),
        ("source", "query"): ("", ""),
        ("source", "sql_connection"): ("", ""),
        ("source", "period"): (period, "day, week, month, quarter or year"),
        ("source", "gaps"): (split.gaps, "periods may have no rows"),
        ("source", "first"): (split.first, ""),
        ("source", "last"): (split.last, ""),
        ("schedule", "cron"): (CRONS[period], ""),
        ("labels", "uri"): ("", ""),
        ("labels", "delay_periods"): (0, ""),
        ("training", "holdout"): _choose_holdout(plan),
        ("training", "max_rows"): (max_rows, ""),
        ("training", "features"): ([], ""),
        ("model", "encoder"): (None, ""),
        **{("model.parameters", name): (None, "") for each in ENCODERS.values() for name in each.defaults},
        ("evaluation", "min_slice_rows"): (max(20, min(300, held_out // 20)), ""),
        ("retraining", "first_after_periods"): (_first_after(plan), ""),
        ("retraining", "every_periods"): (EVERY_PERIODS.get(period, 1), ""),
    }
    if _has_new_categories(plan):
        settings["serving", "unseen_categories"] = ("as_missing", "")
    return settings | gates | _choose_limits(plan) | _choose_model(plan), [*warnings, *_warn_of_level(plan)]


def round_down(number: int) -> int:
    """To one significant digit."""
    step = 10 ** max(len(str(number)) - 1, 0)
    return max(number // step * step, 1)


def choose_leaves(plan: Plan, parameters: Mapping[str, Any]) -> SettingChanges:
    """Rows of a leaf that suit the number of rows, where [model.parameters] has them."""
    if "min_samples_leaf" not in parameters or plan.trial.model_type != "boosting":
        return {}
    rows = plan.statistics.rows
    held_out = plan.split.held_out or int(rows * _fraction(rows))
    return {("model.parameters", "min_samples_leaf"): (min_samples_leaf(rows - held_out), "")}


def _choose_holdout(plan: Plan) -> tuple[float, str]:
    if plan.split.kind == "time":
        return plan.split.holdout, "newest periods, which only evaluation reads"
    return _fraction(plan.statistics.rows), "share of the rows, which only evaluation reads"


def _fraction(rows: int) -> float:
    return 0.4 if rows < 1000 else 0.3 if rows < 5000 else 0.2


def _choose_max_rows(rows: int, table_bytes: int) -> int:
    """Rows that fit into half of the memory; 0 for all. Training holds them as a frame and as a matrix."""
    half = psutil.virtual_memory().total / 2
    return round_down(int(rows * half / (3 * table_bytes))) if 3 * table_bytes > half else 0


def _has_new_categories(plan: Plan) -> bool:
    return any(
        column.role == "feature"
        and (column.categories > MANY_CATEGORIES or column.categories < 0 or column.has_new_categories)
        for column in plan.columns
    )


def _first_after(plan: Plan) -> int:
    if plan.split.kind != "time":
        return 1
    return max(plan.split.holdout + 1, min(3, len(_used_periods(plan))))


def _used_periods(plan: Plan) -> list[str]:
    """The periods with rows that models are trained and evaluated on."""
    return [each for each in plan.statistics.periods if plan.split.first <= each <= plan.split.last]


def _choose_gates(plan: Plan, held_out: int) -> tuple[SettingChanges, list[str]]:
    """Limits around what the trial reached, each of whose folds passes them; and warnings.

    Below, half way to chance; above, half way to perfection.
    """
    reached, half_way = plan.reached, (plan.reached.value + max(plan.chance, 0.0)) / 2
    # The uncertainty of a metric of so few rows.
    noise = 1.5 / math.sqrt(max(held_out, 1))
    floor = max(plan.chance, min(half_way, reached.value - noise, reached.low))
    ceiling = max((1 + reached.value) / 2, reached.value + noise, reached.high)
    if reached.value >= PERFECT or ceiling >= PERFECT:
        ceiling = 1.0
    why = (
        f"half way from chance, {max(plan.chance, 0.0):.1f}, to a trial's {reached.value:.2f}, or the least of its "
        "intervals; and half way from there to 1: above it, some feature probably holds the outcome"
    )
    margin = round(0.01 * max(1.0, math.sqrt(5000 / max(held_out, 1))), 3)
    headline: dict[str, float] = {"min": math.floor(100 * floor) / 100, "max": math.ceil(100 * ceiling) / 100}
    limits: dict[str, tuple[dict[str, float], str]]
    if plan.task == "regression":
        bias = _round_up(max(0.15, 3 / math.sqrt(max(held_out, 1)), _farthest(plan, "bias")))
        limits = {"r2": (headline, why), "bias": ({"min": -bias, "max": bias}, "mean error, in standard deviations")}
    else:
        error = _round_up(max(0.15, 0.1 + noise, _farthest(plan, "calibration_error")))
        limits = {"roc_auc": (headline, why), "calibration_error": ({"max": error}, "")}
    settings: SettingChanges = {
        ("gates", "max_loss_over_champion"): (margin, ""),
        ("gates", "max_slice_loss_over_champion"): (round(5 * margin, 3), ""),
        **{("gates.metrics", name): (None, "") for name in sorted(ALL_METRICS)},
        **{("gates.metrics", name): each for name, each in limits.items()},
    }
    return settings, _warn_of_trial(reached.value, max(plan.chance, 0.0))


def _farthest(plan: Plan, metric: str) -> float:
    """How far from 0 the trial's intervals reach."""
    found = plan.trial.metrics.get(metric)
    return max(abs(found.low), abs(found.high)) if found else 0.0


def _round_up(number: float) -> float:
    return math.ceil(round(100 * number, 6)) / 100


def _warn_of_trial(reached: float, chance: float) -> list[str]:
    if reached >= PERFECT:
        return [
            f"a trial reaches {reached:.3f} of 1, so the gate against leaks is open: is all of it known at "
            "prediction time?"
        ]
    if reached <= chance + 0.02:
        return [
            f"a trial reaches {reached:.3f}, where chance is {chance:.1f}: the columns say little of the target, and "
            "the gates may refuse every model"
        ]
    return []


def _choose_model(plan: Plan) -> SettingChanges:
    """The time as a feature, and the model type, where the trial was better by them."""
    settings: SettingChanges = {("training", "trend"): (plan.trial.trend, "the time itself is a feature")}
    if plan.trial.model_type != "boosting":
        settings["model", "type"] = (plan.trial.model_type, "")
        own = rolling_trial.MODEL_TYPES[plan.trial.model_type].defaults
        settings |= {
            ("model.parameters", name): (None, "") for name in sorted(boosting.MODEL_TYPE.defaults.keys() - own)
        }
    return settings


def _warn_of_level(plan: Plan) -> list[str]:
    if not plan.trial.is_level_moving:
        return []
    follows = {
        (False, "boosting"): "no model that was tried follows it better by [training] trend = true, the time itself as "
        "a feature; a column such as its last known value may",
        (True, "boosting"): "the trial was better by [training] trend = true, the time itself as a feature",
        (True, "linear"): '[training] trend = true makes the time itself a feature, and [model] type = "linear" '
        "extrapolates it, which trees cannot",
    }
    return [
        f"the level of {plan.recipe.target!r} moves with time: its newest periods are a better baseline than all rows; "
        + follows[plan.trial.trend, plan.trial.model_type]
    ]


def _choose_limits(plan: Plan) -> SettingChanges:
    """Limits of a period that the present ones pass, with half as much again."""
    repeated = plan.statistics.repeated_keys.get(tuple(plan.key), 0) / max(plan.statistics.rows, 1)
    quarantined = round(max(0.01, 3 * repeated), 3) if repeated else 0.01
    change, rise = 0.5, 0.25
    periods = _used_periods(plan)
    if plan.split.kind == "time" and len(periods) >= 2:
        change = max(change, *(round(each, 2) for each in _changes_of_row_count(plan, periods)))
        rise = max(rise, *(round(min(1.5 * each, 1.0), 2) for each in _rises_of_nulls(plan, periods)))
    return {
        ("validation", "max_quarantined_fraction"): (quarantined, ""),
        ("validation", "max_row_count_change"): (change, ""),
        ("validation", "max_null_fraction_increase"): (rise, ""),
    }


def _changes_of_row_count(plan: Plan, periods: list[str]) -> list[float]:
    """The change to allow for each period after the first, against the median of the ones before it."""
    found = []
    for at in range(1, len(periods)):
        usual = median(plan.statistics.periods[each] for each in periods[max(0, at - RECENT_PERIODS) : at])
        change = plan.statistics.periods[periods[at]] / usual - 1
        # A period cannot lose more than all of its rows, and one that loses nearly all should be seen.
        found.append(abs(1.5 * change if change > 0 else max(1.5 * change, (change - 1) / 2)))
    return found


def _rises_of_nulls(plan: Plan, periods: list[str]) -> list[float]:
    """The largest rise of a column's null share in each period after the first."""
    names = [name for name in plan.dtypes if name not in plan.names_of("outcome", "target")]
    found = []
    for at in range(1, len(periods)):
        before = [_null_shares(plan, each) for each in periods[max(0, at - RECENT_PERIODS) : at]]
        shares = _null_shares(plan, periods[at])
        found.append(max(shares[name] - median(each[name] for each in before) for name in names))
    return found


def _null_shares(plan: Plan, period: str) -> dict[str, float]:
    counts = plan.statistics.nulls[period]
    return {name: counts[name] / plan.statistics.periods[period] for name in plan.dtypes}


def choose_new_places(home: Path, settings: Mapping[str, Any], project: str, name: str) -> SettingChanges:
    """A storage, and names in MLflow, that no other data have: models of other data cannot be compared.

    A project that has never run keeps its own.

    Parameters
    ----------
    settings : of pipeline.toml
    project : its name
    name : of the data
    """
    storage = settings.get("storage", {}).get("uri", "var/data")
    model_name = settings.get("tracking", {}).get("model_name") or project
    if not (home / "var" / "data").exists() and not (home / "var" / "mlflow").exists() and storage == "var/data":
        return {}
    free = next(
        each
        for each in (name, *(f"{name}-{number}" for number in range(2, 1000)))
        if not (home / "var" / each).exists() and not model_name.endswith(f"-{each}")
    )
    stem = model_name.removesuffix(f"-{storage.rpartition('/')[2]}")
    return {
        ("storage", "uri"): (f"{storage.rpartition('/')[0]}/{free}", ""),
        ("tracking", "experiment"): (f"{stem}-{free}", ""),
        ("tracking", "model_name"): (f"{stem}-{free}", ""),
    }
