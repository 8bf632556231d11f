"""Columns that look suspicious, and what to do about each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from modelworks.contract import Contract
from modelworks.evaluation.single_column import LATER_SHARE, LEAK, SUSPECT, share_later
from modelworks.explore.columns import ShownKind
from modelworks.explore.counts import ColumnCounts, TableCounts
from modelworks.explore.relations import MIN_ROWS, Relation

DOMINANT_SHARE = 0.99
MOSTLY_MISSING = 0.5
RARE_CLASS = 0.01


@dataclass(frozen=True)
class Suspicion:
    """What looks wrong about a column, as the rest of a sentence that begins with its name; and what to do."""

    column: str
    found: str
    advice: str


def find_suspects(
    contract: Contract,
    counts: TableCounts,
    sample: pd.DataFrame,
    features: Mapping[str, ShownKind],
    relations: Sequence[Relation],
    max_missing_increase: float,
) -> list[Suspicion]:
    """What looks suspicious about the target and the features, those that may leak first.

    Parameters
    ----------
    max_missing_increase : by how much the share of missing values may exceed that of the period before
    """
    name = "R²" if contract.target.is_regression else "ROC-AUC"
    names = [each for each in features if each in counts.columns]
    found = [*_suspect_target(contract, counts), *_suspect_strong(relations, name)]
    found += [each for column in names for each in _suspect_leak(contract, sample, column)]
    for column in names:
        columns = counts.columns[column]
        found += _suspect_values(column, columns, sample[column])
        found += _suspect_jump(column, columns, counts.periods, max_missing_increase)
    return found


def _suspect_target(contract: Contract, counts: TableCounts) -> list[Suspicion]:
    target, column = contract.target, counts.columns[contract.target.column]
    if not column.known:
        return [
            Suspicion(target.column, "has no value in any row", "Wait for the labels, or choose an earlier --period.")
        ]
    found = []
    if column.missing_share >= MOSTLY_MISSING:
        share = f"is missing in {column.missing_share:.0%} of the rows"
        found.append(Suspicion(target.column, share, "Do labels come later? Then set [labels] delay_periods."))
    if column.is_constant:
        found.append(Suspicion(target.column, "has one value only", "There is nothing to predict."))
    elif target.classes and column.frequencies is not None:
        shares = {str(each): column.frequencies[each] / column.known for each in target.classes}
        rare = [f"{each} {share:.2%}" for each, share in shares.items() if share < RARE_CLASS]
        if rare:
            advice = "Gather more rows of them; accuracy says little here."
            found.append(Suspicion(target.column, f"has rare classes: {', '.join(rare)}", advice))
    return found


def _suspect_strong(relations: Sequence[Relation], metric: str) -> list[Suspicion]:
    """Features that predict the target too well to be true, by themselves."""
    advice = "Is it known only after the event? Then declare it as an outcome in contract.py."
    return [
        Suspicion(each.column, f"alone predicts the target {how}: {metric} {each.alone:.3f}", advice)
        for each in relations
        if (how := "nearly perfectly" if each.alone >= LEAK else "well" if each.alone >= SUSPECT else "")
    ]


def _suspect_leak(contract: Contract, sample: pd.DataFrame, column: str) -> list[Suspicion]:
    """Signs that a feature is written after the event."""
    advice = "Is it known at prediction time? If not, declare it as an outcome in contract.py."
    found = []
    missing, unlabelled = sample[column].isna(), sample[contract.target.column].isna()
    if unlabelled.any() and not unlabelled.all() and missing.equals(unlabelled):
        found.append(Suspicion(column, "is missing exactly where the target is", advice))
    if contract.time and sample[column].dtype.kind == "M":
        later = share_later(sample, column, contract.time)
        if later >= LATER_SHARE:
            found.append(Suspicion(column, f"lies after {contract.time} in {later:.0%} of the rows", advice))
    return found


def _suspect_values(name: str, column: ColumnCounts, sample: pd.Series) -> list[Suspicion]:
    """A feature that says little, or that is different in each row."""
    if not column.known:
        return [Suspicion(name, "has no value in any row", "Remove it, or repair its source.")]
    if column.is_constant:
        or_none = ", or none" if column.n_missing else ""
        return [Suspicion(name, f"has one value only{or_none}", "Remove it, unless later data differ.")]
    found, known = [], sample.dropna()
    if column.missing_share >= MOSTLY_MISSING:
        share = f"is missing in {column.missing_share:.0%} of the rows"
        found.append(Suspicion(name, share, "Does a missing value mean something? If not, remove it."))
    most = max(column.frequencies.values()) / column.known if column.frequencies else _share_of_most_frequent(known)
    if most >= DOMINANT_SHARE:
        share = f"has the same value in {most:.1%} of the rows that have one"
        found.append(Suspicion(name, share, "Few rows differ, so it says little."))
    is_whole = column.kind == "category" or (column.kind == "number" and bool((known == known.round()).all()))
    if is_whole and len(known) >= MIN_ROWS and known.is_unique:
        found.append(
            Suspicion(name, "is different in every row", "Is it an identifier? Then declare it as one in contract.py.")
        )
    return found


def _share_of_most_frequent(values: pd.Series) -> float:
    return float(values.value_counts(normalize=True).max()) if len(values) else 0.0


def _suspect_jump(name: str, column: ColumnCounts, periods: Mapping[str, int], max_increase: float) -> list[Suspicion]:
    """A share of missing values that jumps from one period to the next."""
    shares = {period: column.missing[period] / rows for period, rows in sorted(periods.items())}
    pairs = zip(shares.items(), list(shares.items())[1:], strict=False)
    jumps = [(abs(new - old), before, old, period, new) for (before, old), (period, new) in pairs]
    size, before, old, period, new = max(jumps, default=(0.0, "", 0.0, "", 0.0))
    if size <= max_increase:
        return []
    found = f"is missing in {old:.0%} of {before}, and in {new:.0%} of {period}"
    return [Suspicion(name, found, "Did its source change? Then train on the periods since, by [training] window.")]
