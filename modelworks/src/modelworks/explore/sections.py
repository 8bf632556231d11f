"""The sections of the page, in Markdown."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from modelworks.contract import Contract
from modelworks.data.splits import describe
from modelworks.explore.columns import name_category, role_of, unit_of
from modelworks.explore.counts import ColumnCounts
from modelworks.explore.plots import SHOWN_RELATIONS
from modelworks.explore.relations import MIN_ROWS, Relation
from modelworks.explore.rows import Explored, Table
from modelworks.explore.suspects import Suspicion
from modelworks.reporting.markdown import as_text, text_table
from modelworks.settings import Settings
from modelworks.wording import count

# Names of the figures.
TARGET, DISTRIBUTION, RELATIONS, MISSING = "target", "distribution", "relations", "missing"
SHOWN_VALUES = 3
SHOWN_CHARACTERS = 30
QUANTILES = (0.05, 0.5, 0.95)


def introduce(contract: Contract, settings: Settings, explored: Explored, table: Table) -> str:
    """What rows these are, and which ones are left out."""
    counts, derived = table.counts, [name for name in table.kinds if name not in contract.columns]
    periods = sorted(counts.periods)
    span = periods[0] if len(periods) == 1 else f"{len(periods)} periods, {periods[0]} to {periods[-1]}"
    features = count(len(contract.features) + len(derived), "feature")
    held_out = describe(contract, explored.held_out, settings.training)
    facts = [
        ("Rows", f"{counts.rows:,}, validated, of {span}"),
        ("Columns", f"{len(table.kinds)}; {features}{f', {len(derived)} of them derived' if derived else ''}"),
        ("Held out", f"{held_out}; not shown, as only evaluation reads it"),
    ]
    if explored.absent:
        shown = ", ".join(explored.absent[:12]) + (" ..." if len(explored.absent) > 12 else "")
        facts.append(("Not there", f"{shown}: not ingested and validated under this contract yet"))
    sampled = ""
    if len(table.sample) < counts.rows:
        sampled = (
            f" Quantiles, histograms and relations with the target are those of {len(table.sample):,} evenly spaced "
            "rows; all else is counted on all rows."
        )
    listed = "\n".join(f"- **{name}:** {as_text(text)}" for name, text in facts)
    lead = as_text(f"What a model would be trained on, before it is trained.{sampled}")
    return f"# {as_text(settings.name + settings.within)}: the data\n\n{lead}\n\n{listed}"


def suspicious(suspects: Sequence[Suspicion]) -> str:
    """What looks suspicious, and what to do."""
    listed = "\n".join(
        f"- **{as_text(each.column)}** {as_text(each.found)}. {as_text(each.advice)}" for each in suspects
    )
    return f"## Suspicious columns\n\n{listed or 'None.'}"


def target(contract: Contract, table: Table, drawn: Container[str]) -> str:
    """The target as a whole, and over time."""
    column, own = table.counts.columns[contract.target.column], contract.target
    parts = [f"## Target\n\n{as_text(own.column)}: {as_text(own.description)}"]
    if own.classes:
        values: Mapping[Any, int] = column.frequencies or {}
        rows = [
            [each, f"{values.get(each, 0):,}", f"{values.get(each, 0) / max(column.known, 1):.1%}"]
            for each in own.classes
        ]
        rows += [["no label", f"{column.n_missing:,}", ""]] if column.n_missing else []
        parts.append(text_table(["class", "rows", "share"], rows))
    else:
        parts.append(_numbers(contract, table, [own.column]))
    captions = {DISTRIBUTION: "distribution of the target", TARGET: "the target by period"}
    parts += [f"![{caption}]({figure})" for figure, caption in captions.items() if figure in drawn]
    return "\n\n".join(parts)


def relations(contract: Contract, found: Sequence[Relation], drawn: Container[str]) -> str:
    """How well each feature by itself predicts the target."""
    head = "## Relations with the target\n\n"
    if RELATIONS not in drawn:
        return f"{head}Too few rows have a label, or all have the same."
    metric, shown = "R²" if contract.target.is_regression else "ROC-AUC", found[:SHOWN_RELATIONS]
    header, rows = ["feature", f"{metric} alone"], [[each.column, f"{each.alone:.3f}"] for each in shown]
    if any(each.correlation is not None for each in shown):
        signed = ["" if each.correlation is None else f"{each.correlation:+.3f}" for each in shown]
        header, rows = [*header, "rank correlation"], [[*row, sign] for row, sign in zip(rows, signed, strict=True)]
    return (
        f"{head}How well each feature alone predicts the target: {metric} across folds, where rows with similar values "
        "get their mean target. And Spearman's rank correlation, for features that have an order.\n\n"
        f"![how well each feature predicts the target by itself]({RELATIONS})\n\n"
        f"{text_table(header, rows)}"
    )


def missing(contract: Contract, table: Table, drawn: Container[str]) -> str:
    """Missing values over time, and the target where a feature is missing."""
    head = "## Missing values\n\n"
    if MISSING not in drawn:
        return f"{head}No column has any."
    means = _compare_missing(contract, table)
    name = _mean_name(contract)
    compared = ""
    if means:
        header = ["feature", "missing", "target where missing", "target elsewhere"]
        compared = f"{as_text(f'The target below is the {name}.')}\n\n{text_table(header, means)}"
    return f"{head}![share of missing values by column and period]({MISSING})\n\n{compared}"


def _mean_name(contract: Contract) -> str:
    target = contract.target
    return f"mean {target.column}" if target.is_regression else f"share of {target.column} = {target.classes[-1]}"


def _compare_missing(contract: Contract, table: Table) -> list[list[str]]:
    """The target where a feature is missing and where it is not; not for many classes, which have no one mean."""
    if contract.target.is_multiclass:
        return []
    encoded = pd.Series(contract.target.encode(table.sample[contract.target.column]), table.sample.index)
    form = "{:,.4g}" if contract.target.is_regression else "{:.1%}"
    rows, gaps = [], table.sample.isna()
    for name in sorted(_features(contract, table), key=lambda each: -table.counts.columns[each].missing_share):
        parts = [encoded[gaps[name]].dropna(), encoded[~gaps[name]].dropna()]
        if min(map(len, parts)) >= MIN_ROWS:
            share = f"{table.counts.columns[name].missing_share:.1%}"
            rows.append([name, share, *(form.format(each.mean()) for each in parts)])
    return rows[:SHOWN_RELATIONS]


def _features(contract: Contract, table: Table) -> list[str]:
    return [name for name in table.kinds if name not in contract.columns or name in contract.features]


def columns(contract: Contract, table: Table, drawn: Mapping[str, str], n_features: int) -> str:
    """Summaries of all columns by what they hold, and plots of the features.

    Parameters
    ----------
    drawn : the feature that each figure shows
    """
    parts = ["## Columns"]
    for title, kinds, write in (
        ("Numbers", {"number"}, _numbers),
        ("Categories", {"category"}, _categories),
        ("Times", {"date"}, _times),
        ("Texts and images, by length or size", {"text", "image"}, _numbers),
    ):
        if names := [name for name, kind in table.kinds.items() if kind in kinds]:
            parts.append(f"### {title}\n\n{write(contract, table, names)}")
    more = f" The {len(drawn)} most related of {n_features}." if len(drawn) < n_features else ""
    parts.append(
        "### Features one by one\n\nShare of the rows, and the target among them, on one scale for all; dotted: the "
        f"target of all rows. The outermost bins hold all that lies beyond.{more}"
    )
    parts.append("\n".join(f"![{as_text(name)}]({figure})" for figure, name in drawn.items()))
    return "\n\n".join(parts)


def _head_cells(contract: Contract, table: Table, name: str) -> list[str]:
    column = table.counts.columns[name]
    return [name, role_of(contract, name), f"{column.missing_share:.1%}" if column.n_missing else "0"]


def _numbers(contract: Contract, table: Table, names: Iterable[str]) -> str:
    rows = []
    for name in names:
        column = table.counts.columns[name]
        quantiles = table.sample[name].quantile(list(QUANTILES)).tolist() if column.known else []
        ordered = [column.low, *quantiles, column.high, column.mean, column.deviation] if column.known else [None] * 7
        cells = _head_cells(contract, table, name)
        rows.append([*cells, _count_distinct(column), *map(_digits, ordered), unit_of(contract, name)])
    header = ["column", "role", "missing", "distinct", "min", "5%", "median", "95%", "max", "mean", "std", "unit"]
    return text_table(header, rows)


def _categories(contract: Contract, table: Table, names: Iterable[str]) -> str:
    rows = []
    for name in names:
        column = table.counts.columns[name]
        values = column.frequencies.most_common(SHOWN_VALUES) if column.frequencies else []
        shown = ", ".join(
            f"{name_category(value, SHOWN_CHARACTERS)} {count / column.known:.1%}" for value, count in values
        )
        rows.append([*_head_cells(contract, table, name), _count_distinct(column), shown])
    return text_table(["column", "role", "missing", "distinct", "most frequent"], rows)


def _times(contract: Contract, table: Table, names: Iterable[str]) -> str:
    rows = []
    for name in names:
        column = table.counts.columns[name]
        ends = ["" if each is None else f"{each:%Y-%m-%d %H:%M}" for each in (column.low, column.high)]
        rows.append([*_head_cells(contract, table, name), *ends])
    return text_table(["column", "role", "missing", "first", "last"], rows)


def _count_distinct(column: ColumnCounts) -> str:
    return f"{len(column.frequencies):,}" if column.frequencies is not None else f"over {column.max_distinct:,}"


def _digits(value: Any) -> str:
    """Four significant digits, and all before the point."""
    if value is None or pd.isna(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.4g}"
