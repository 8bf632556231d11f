"""What the person sees before anything is written."""

import re
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .knobs import Knobs
from .plan import Column, Plan
from .profile import Profile
from .writing import Change

MAX_COLUMNS = 60


def print_plan(console: Console, plan: Plan, profile: Profile) -> None:
    """The columns, the task, the split and the doubts."""
    console.print(f"\n[bold]Columns[/]    {len(plan.columns)}, {profile.rows:,} rows")
    table = Table("name", "role", "type", "range or categories", "nulls", box=None, pad_edge=False, header_style="bold")
    # The target and whatever is no plain feature first, so that it is not lost among a thousand others.
    ordered = sorted(plan.columns, key=lambda column: (column.role == "feature", column.role == "unused"))
    for column in ordered[:MAX_COLUMNS]:
        cells = [
            column.name,
            column.role,
            column.dtype,
            _range(plan, column),
            f"{column.null_share:.1%}" if column.null_share else "",
        ]
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    if len(ordered) > MAX_COLUMNS:
        console.print(f"... and {len(ordered) - MAX_COLUMNS} more, which are {_count_roles(ordered[MAX_COLUMNS:])}")
    console.print()
    target = plan.readings.recipe.target
    classes = f", classes {', '.join(map(str, plan.classes))}" if plan.classes else ""
    _say(console, "Task", f"{plan.task} of {target!r}{classes}")
    _say(console, "Key", ", ".join(plan.key))
    _say(console, "Split", describe_split(plan))
    name = "R²" if plan.task == "regression" else "ROC-AUC"
    _say(console, "Trial", f"{name} {plan.reached:.3f}, by cross-validation on a sample")
    if plan.doubts:
        console.print("\n[bold]Doubts[/]")
    for doubt in plan.doubts:
        console.print("[yellow]![/] ", end="")
        console.print(doubt, markup=False, soft_wrap=True)


def _say(console: Console, title: str, text: str) -> None:
    console.print(f"[bold]{title:<10}[/] ", end="")
    console.print(text, markup=False, soft_wrap=True)


def _range(plan: Plan, column: Column) -> str:
    if column.role == "target" and plan.classes:
        return f"one of {len(plan.classes)} classes"
    if column.low is not None:
        return f"{column.low:g} to {column.high:g}"
    if column.dtype == "str":
        return "many categories" if column.categories < 0 else f"{column.categories:,} categories"
    low, high = plan.measures.lows.get(column.name), plan.measures.highs.get(column.name)
    return f"{low:%Y-%m-%d} to {high:%Y-%m-%d}" if column.dtype.startswith("datetime") and low is not None else ""


def _count_roles(columns: list[Column]) -> str:
    roles = [column.role for column in columns]
    return ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles))


def describe_split(plan: Plan) -> str:
    """How rows are held out, in a sentence."""
    split = plan.split
    if split.kind == "time":
        months = "the newest month" if split.holdout_months == 1 else f"the newest {split.holdout_months} months"
        learned = f"by time: models learn from {split.first_month} on, and are measured on {months} up to "
        return learned + f"{split.last_month} ({split.held_out:,} rows)"
    what = f"all rows of one {plan.group!r} together" if split.kind == "grouped" else "row by row"
    return (
        f"not by time: a fraction of the rows is held out at random, {what}, always the same ones; "
        f"this file is month {split.last_month}, in which it came"
    )


def print_change(console: Console, home: Path, change: Change, knobs: Knobs, readme_lines: list[int]) -> None:
    """What will be written over, what will be new, and what will go."""
    console.print("\n[bold]Files[/]")
    replaced = [path for path in change.write if (home / path).exists()]
    new = [path for path in change.write if path not in replaced]
    removed = [path for path in change.remove if path not in change.write]
    for mark, paths in (("written over", replaced), ("new", new), ("removed", removed)):
        if paths:
            _say(console, mark, f"  {', '.join(_by_pattern(paths))}")
    if ("storage", "uri") in knobs:
        _say(
            console,
            "moved",
            f"  the project has run with other data, so these go to {knobs['storage', 'uri'][0]} and are "
            f"{knobs['tracking', 'model_name'][0]!r} in MLflow; what was there stays",
        )
    if readme_lines:
        _say(
            console,
            "yours",
            f"  README.md still speaks of the flights, in lines {', '.join(map(str, readme_lines[:12]))}",
        )


def _by_pattern(paths: list[str]) -> list[str]:
    """Paths, those of many months as one."""
    patterns = Counter(re.sub(r"\d{4}-\d{2}(?=\.)", "{month}", path) for path in paths)
    return [f"{path} ({number} files)" if number > 1 else path for path, number in patterns.items()]
