"""What a table asks of pipeline.toml, and the file's text with that in it; all else stays as it is."""

import math
import re
import tomllib
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import psutil

from ..errors import ConfigError
from .plan import MANY_CATEGORIES, Plan, min_samples_leaf

Knobs = dict[tuple[str, str], tuple[Any, str]]
"""Values and comments by section and key; an empty comment leaves the one that is there."""

PERFECT = 0.995
RECENT_MONTHS = 3
COMMENT_AT = 37


def choose_knobs(plan: Plan, name: str, table_bytes: int) -> Knobs:
    """Every setting that depends on the data.

    Parameters
    ----------
    name : of the data, in names of files
    table_bytes : what the whole table takes in memory, roughly
    """
    rows = plan.measures.rows
    split = plan.split
    held_out = split.held_out or int(rows * _fraction(rows))
    knobs: Knobs = {
        ("source", "uri"): (f"data/{name}-{{month}}.parquet", ""),
        ("source", "query"): ("", ""),
        ("source", "sql_connection"): ("", ""),
        ("source", "first_month"): (split.first_month, ""),
        ("source", "last_month"): (split.last_month, ""),
        ("labels", "uri"): ("", ""),
        ("labels", "delay_months"): (0, ""),
        ("training", "holdout_months"): (split.holdout_months, ""),
        ("training", "holdout_fraction"): (_fraction(rows), ""),
        ("training", "max_rows"): (0, ""),
        ("training", "features"): ([], ""),
        ("model", "min_samples_leaf"): (min_samples_leaf(rows - held_out), ""),
        ("evaluation", "min_slice_rows"): (max(20, min(300, held_out // 20)), ""),
        ("retraining", "first_after_months"): (_first_after(plan), ""),
    }
    knobs |= _gates(plan, held_out)
    knobs |= _limits(plan)
    if any(
        column.role == "feature" and (column.categories > MANY_CATEGORIES or column.categories < 0)
        for column in plan.columns
    ):
        knobs["serving", "unseen_categories"] = ("as_missing", "")
    half = psutil.virtual_memory().total / 2
    # Training holds the rows as a frame and as a matrix.
    if 3 * table_bytes > half:
        knobs["training", "max_rows"] = (round_down(int(rows * half / (3 * table_bytes))), "")
        plan.doubts.append(
            f"the table does not fit into half of this computer's memory: [training] max_rows is "
            f"{knobs['training', 'max_rows'][0]:,}"
        )
    return knobs


def round_down(number: int) -> int:
    """To one significant digit."""
    step = 10 ** max(len(str(number)) - 1, 0)
    return max(number // step * step, 1)


def _fraction(rows: int) -> float:
    return 0.4 if rows < 1000 else 0.3 if rows < 5000 else 0.2


def _first_after(plan: Plan) -> int:
    if plan.split.kind != "time":
        return 1
    months = len(pd.period_range(plan.split.first_month, plan.split.last_month, freq="M"))
    return max(plan.split.holdout_months + 1, min(3, months))


def _gates(plan: Plan, held_out: int) -> Knobs:
    """Limits around what the trial has reached: half way to chance below, and half way to perfection above."""
    reached, chance = plan.reached, 0.0 if plan.task == "regression" else 0.5
    # Of so few rows a figure is uncertain by this much.
    noise = 1.5 / math.sqrt(max(held_out, 1))
    floor = max(chance, min((reached + chance) / 2, reached - noise))
    ceiling = max((1 + reached) / 2, reached + noise)
    if reached >= PERFECT or ceiling >= PERFECT:
        ceiling = 1.0
    if reached >= PERFECT:
        plan.doubts.append(
            f"a trial reaches {reached:.3f} of 1, so the gate against leaks is open: is all of it known beforehand?"
        )
    if reached <= chance + 0.02:
        plan.doubts.append(
            f"a trial reaches {reached:.3f}, where chance is {chance:.1f}: the columns say little of the target, and "
            "the gates may refuse every model"
        )
    margin = round(0.01 * max(1.0, math.sqrt(5000 / max(held_out, 1))), 3)
    knobs: Knobs = {
        ("gates", "max_loss_over_champion"): (margin, ""),
        ("gates", "max_slice_loss_over_champion"): (round(5 * margin, 3), ""),
    }
    low, high = ("min_r2", "max_r2") if plan.task == "regression" else ("min_roc_auc", "max_roc_auc")
    low_why = f"half way from {chance:.1f}, which is chance, to {reached:.2f}, which a trial reached when the data came"
    high_why = "half way from there to 1; better than that, some feature knows the outcome"
    knobs["gates", low] = (math.floor(100 * floor) / 100, low_why)
    knobs["gates", high] = (math.ceil(100 * ceiling) / 100, high_why)
    if plan.task == "regression":
        knobs["gates", "max_bias"] = (round(max(0.15, 3 / math.sqrt(max(held_out, 1))), 2), "")
    else:
        knobs["gates", "max_calibration_error"] = (round(max(0.15, 0.1 + noise), 2), "")
    return knobs


def _limits(plan: Plan) -> Knobs:
    """Limits of a month that let those pass which are there, with half as much again."""
    knobs: Knobs = {
        ("validation", "max_quarantined_fraction"): (0.01, ""),
        ("validation", "max_row_count_change"): (0.5, ""),
        ("validation", "max_null_fraction_increase"): (0.25, ""),
    }
    repeated = plan.measures.repeated_keys.get(tuple(plan.key), 0) / max(plan.measures.rows, 1)
    if repeated:
        knobs["validation", "max_quarantined_fraction"] = (round(max(0.01, 3 * repeated), 3), "")
    months = [each for each in plan.measures.months if plan.split.first_month <= each]
    if plan.split.kind != "time" or len(months) < 2:
        return knobs
    needed, rise = [0.0], 0.0
    for at in range(1, len(months)):
        before = months[max(0, at - RECENT_MONTHS) : at]
        usual = median(plan.measures.months[each] for each in before)
        change = plan.measures.months[months[at]] / usual - 1
        # A month cannot lose more than all of its rows, and one that loses nearly all should be seen.
        needed.append(1.5 * change if change > 0 else max(1.5 * change, (change - 1) / 2))
        shares = _null_shares(plan, months[at])
        earlier = [_null_shares(plan, each) for each in before]
        outcomes = plan.names("outcome", "target")
        rises = [
            share - median(each[name] for each in earlier) for name, share in shares.items() if name not in outcomes
        ]
        rise = max([rise, *rises])
    if (change := max(map(abs, needed))) > 0.5:
        knobs["validation", "max_row_count_change"] = (round(change, 2), "")
    if 1.5 * rise > 0.25:
        knobs["validation", "max_null_fraction_increase"] = (round(min(1.5 * rise, 1.0), 2), "")
    return knobs


def _null_shares(plan: Plan, month: str) -> dict[str, float]:
    counts: Counter[str] = plan.measures.nulls[month]
    return {name: counts[name] / plan.measures.months[month] for name in plan.dtypes}


def new_places(home: Path, text: str, name: str) -> Knobs:
    """A storage, and names in MLflow, that no other data have: a champion of those could not be compared.

    A project that has never run keeps what is there.
    """
    settings = tomllib.loads(text)
    storage, tracking = settings["storage"]["uri"], settings["tracking"]
    if not (home / "var" / "data").exists() and not (home / "var" / "mlflow").exists() and storage == "var/data":
        return {}
    free = next(
        each
        for each in (name, *(f"{name}-{number}" for number in range(2, 1000)))
        if not (home / "var" / each).exists() and not tracking["model_name"].endswith(f"-{each}")
    )
    project = tracking["model_name"].removesuffix(f"-{storage.rpartition('/')[2]}")
    return {
        ("storage", "uri"): (f"{storage.rpartition('/')[0]}/{free}", ""),
        ("tracking", "experiment"): (f"{project}-{free}", ""),
        ("tracking", "model_name"): (f"{project}-{free}", ""),
    }


def set_values(text: str, knobs: Knobs) -> str:
    """The text of pipeline.toml with other values; comments and order stay.

    Raises
    ------
    ConfigError
        If a section or key is not there, or is written in a way that only a person can change.
    """
    lines, section, left = text.splitlines(), "", dict(knobs)
    written: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if header := re.match(r"\[(\w+)\]", line):
            section = header[1]
        key = (re.match(r"(\w+)\s*=", line) or [""])[0].rstrip("= ")
        if (section, key) not in left:
            written.append(line)
            continue
        value, comment = left.pop((section, key))
        end = at
        while not _is_whole(chunk := "\n".join(lines[at - 1 : end])):
            if end == len(lines):
                raise ConfigError(f"pipeline.toml: [{section}] {key}: its value does not end; mend it first")
            end += 1
        at = end
        old, column = _find_comment(chunk)
        if not comment and tomllib.loads(chunk)[key] == value:
            written.append(chunk)
            continue
        new, comment = f"{key} = {_to_toml(value)}", comment or old
        written.append(f"{new.ljust(column - 1)} # {comment}" if comment else new)
    if left:
        (section, key) = next(iter(left))
        raise ConfigError(f"pipeline.toml: no [{section}] {key}; take it from the template's")
    made = "\n".join(written) + "\n"
    expected = tomllib.loads(text)
    for (section, key), (value, _) in knobs.items():
        expected[section][key] = value
    if tomllib.loads(made) != expected:
        raise ConfigError("pipeline.toml: it is written in a way that only a person can change; write one key a line")
    return made


def _find_comment(chunk: str) -> tuple[str, int]:
    """The comment that a value ends with, and the column where it begins; where there is none, the file's usual one."""
    for mark in re.finditer("#", chunk):
        if _is_whole(chunk[: mark.start()]):
            return chunk[mark.end() :].strip(), mark.start() - chunk.rfind("\n", 0, mark.start()) - 1
    return "", COMMENT_AT


def _is_whole(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _to_toml(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
