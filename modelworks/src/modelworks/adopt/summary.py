"""The plan and the change of files, as a person sees them before anything is written."""

import re
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from modelworks.adopt.pipeline_toml import SettingChanges
from modelworks.adopt.plan import Plan, PlannedColumn
from modelworks.adopt.writing import Change
from modelworks.calendar import ANY_PATTERN
from modelworks.models.types import boosting
from modelworks.wording import count

MAX_COLUMNS = 60
MAX_LINES = 12


def print_plan(console: Console, plan: Plan, rows: int) -> None:
    """The columns, the task, the split and the warnings.

    Parameters
    ----------
    rows : of the file
    """
    console.print(f"\n[bold]Columns[/]    {len(plan.columns)}, {rows:,} rows")
    # The target and all columns that are no plain feature first: visible among a thousand others.
    ordered = sorted(plan.columns, key=lambda column: (column.role == "feature", column.role == "unused"))
    table = Table("name", "role", "type", "range or categories", "nulls", box=None, pad_edge=False, header_style="bold")
    for column in ordered[:MAX_COLUMNS]:
        nulls = f"{column.null_share:.1%}" if column.null_share else ""
        table.add_row(*map(Text, [column.name, column.role, column.dtype, _range(plan, column), nulls]))
    console.print(table)
    if len(ordered) > MAX_COLUMNS:
        console.print(f"... and {len(ordered) - MAX_COLUMNS} more, which are {_count_roles(ordered[MAX_COLUMNS:])}")
    console.print()
    classes = f", classes {', '.join(map(str, plan.classes))}" if plan.classes else ""
    _print(console, "Task", f"{plan.task} of {plan.recipe.target!r}{classes}")
    _print(console, "Key", ", ".join(plan.key))
    if plan.period_reason:
        _print(console, "Period", f"{plan.recipe.period}, {plan.period_reason}")
    _print(console, "Split", describe_split(plan))
    name = "R²" if plan.task == "regression" else "ROC-AUC"
    how = "rolling origin" if plan.split.kind == "time" else "cross-validation"
    folds = f"{how} on a sample, {count(plan.trial.folds, 'fold')}"
    _print(console, "Trial", f"{name} {plan.reached}, by {folds}{_describe_model(plan)}")
    if plan.warnings:
        console.print("\n[bold]Warnings[/]")
    for warning in plan.warnings:
        console.print("[yellow]![/] ", end="")
        console.print(warning, markup=False, soft_wrap=True)


def _describe_model(plan: Plan) -> str:
    trial = plan.trial
    trees = f"; {trial.trees} trees" if trial.trees != boosting.MODEL_TYPE.defaults["max_iter"] else ""
    if trial.trend:
        return f"; {trial.model_type} with [training] trend{trees}"
    return trees if trial.model_type == "boosting" else f"; [model] type = {trial.model_type!r}"


def _print(console: Console, title: str, text: str) -> None:
    console.print(f"[bold]{title:<10}[/] ", end="")
    console.print(text, markup=False, soft_wrap=True)


def _range(plan: Plan, column: PlannedColumn) -> str:
    if column.role == "target" and plan.classes:
        return f"one of {len(plan.classes)} classes"
    if column.low is not None:
        return f"{column.low:g} to {column.high:g}"
    if column.content == "text":
        return "texts"
    if column.dtype == "str":
        return "many categories" if column.categories < 0 else f"{column.categories:,} categories"
    low, high = plan.statistics.lows.get(column.name), plan.statistics.highs.get(column.name)
    return f"{low:%Y-%m-%d} to {high:%Y-%m-%d}" if column.dtype.startswith("datetime") and low is not None else ""


def _count_roles(columns: list[PlannedColumn]) -> str:
    roles = [column.role for column in columns]
    return ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles))


def describe_split(plan: Plan) -> str:
    """How rows are held out, in a sentence."""
    split = plan.split
    if split.kind == "time":
        periods = "the newest period" if split.holdout == 1 else f"the newest {split.holdout} periods"
        trained = f"by time: models are trained from {split.first} on, and evaluated on {periods} up to "
        return trained + f"{split.last} ({split.held_out:,} rows)"
    unit = f"all rows of one {plan.group!r} together" if split.kind == "grouped" else "row by row"
    return (
        f"not by time: a fraction of the rows is held out at random, {unit}, always the same ones; "
        f"this file is period {split.last}, in which it came"
    )


def print_change(console: Console, home: Path, change: Change, settings: SettingChanges, old_data: str) -> None:
    """The files that are written over, new, and removed.

    Parameters
    ----------
    old_data : name of the data so far, which README.md may still mention; "" where it is unknown
    """
    console.print("\n[bold]Files[/]")
    replaced = [path for path in change.write if (home / path).exists()]
    new = [path for path in change.write if path not in replaced]
    removed = [path for path in change.remove if path not in change.write]
    for mark, paths in (("written over", replaced), ("new", new), ("removed", removed)):
        if paths:
            _print(console, mark, f"  {', '.join(_by_pattern(paths))}")
    if ("storage", "uri") in settings:
        _print(
            console,
            "moved",
            f"  the project has run with other data, so these go to {settings['storage', 'uri'][0]} and are "
            f"{settings['tracking', 'model_name'][0]!r} in MLflow; what was there stays",
        )
    if lines := _lines_of_readme(home, old_data):
        numbers = ", ".join(map(str, lines[:MAX_LINES]))
        _print(console, "yours", f"  README.md still speaks of the {old_data}, in lines {numbers}")


def _lines_of_readme(home: Path, old_data: str) -> list[int]:
    """Lines of README.md that name the data so far."""
    file = home / "README.md"
    if not old_data or not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, 1) if old_data in line]


def _by_pattern(paths: list[str]) -> list[str]:
    """Paths; those of many periods as one."""
    patterns = Counter(re.sub(rf"(?<=-)({ANY_PATTERN})(?=\.)", "{period}", path) for path in paths)
    return [f"{path} ({number} files)" if number > 1 else path for path, number in patterns.items()]
