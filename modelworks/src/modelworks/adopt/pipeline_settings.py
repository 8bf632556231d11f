"""The settings that depend on a table."""

import math
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from modelworks.adopt.pipeline_toml import SettingChanges
from modelworks.adopt.plan import MANY_CATEGORIES, Plan
from modelworks.calendar import CRONS
from modelworks.evaluation.limits import ALL_METRICS
from modelworks.models.encoders import ENCODERS
from modelworks.settings import Labels

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
    held_out = count_held_out(plan)
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
    labels, more = _choose_labels(plan)
    return settings | gates | labels | _choose_limits(plan), [*warnings, *more]


def count_held_out(plan: Plan) -> int:
    """Rows that are held out, about."""
    return plan.split.held_out or int(plan.statistics.rows * _fraction(plan.statistics.rows))


def round_down(number: int) -> int:
    """To one significant digit."""
    step = 10 ** max(len(str(number)) - 1, 0)
    return max(number // step * step, 1)


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


def _choose_labels(plan: Plan) -> tuple[SettingChanges, list[str]]:
    """The share of rows with a target that each used period reaches, with half as many gaps again; and a warning."""
    name, used = plan.recipe.target, _used_periods(plan) or list(plan.statistics.nulls)
    rows = plan.statistics.periods or {"": plan.statistics.rows}
    shares = [plan.statistics.nulls[each][name] / rows[each] for each in used]
    gaps = max((share for share in shares if share < 1), default=0.0)  # nothing is ever measured on a period of gaps
    usual = Labels().min_labelled_fraction
    wanted = max(min(usual, 1 - 1.5 * gaps), (1 - gaps) / 2)
    fraction = usual if wanted >= usual else max(math.floor(round(100 * wanted, 6)) / 100, 0.01)
    settings: SettingChanges = {("labels", "min_labelled_fraction"): (fraction, "")}
    if fraction == usual:
        return settings, []
    where = f"a {plan.recipe.period} where {1 - gaps:.0%}" if plan.split.kind == "time" else f"{1 - gaps:.0%}"
    return settings, [
        f"{where} of the rows have a {name!r} is measured on those: [labels] min_labelled_fraction is {fraction:g}"
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
