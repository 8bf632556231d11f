"""Rows that break the contract, and checks of a period as a whole."""

from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from modelworks.calendar import first_day, shift_period
from modelworks.checks import Check
from modelworks.contract import Contract
from modelworks.data import frames
from modelworks.data.frames import to_table
from modelworks.settings import Validation
from modelworks.wording import count

RECENT_PERIODS = 3
MAX_SHOWN = 80  # characters of a value in a reason
MAX_CATEGORIES = 1000  # of a column; with more, a new one is nothing unusual


@dataclass(frozen=True)
class PeriodFacts:
    """Counts and shares of a period, kept with its clean partition.

    Attributes
    ----------
    rows : clean and quarantined ones
    unlabelled : clean rows whose target is unknown
    """

    rows: int
    quarantined: int
    reasons: dict[str, int]
    null_fraction: dict[str, float]
    categories: dict[str, list[str]]
    unlabelled: int = 0

    @property
    def quarantined_fraction(self) -> float:
        """Share of the rows that break the contract; 0 without rows."""
        return self.quarantined / self.rows if self.rows else 0.0


@dataclass
class PeriodAccumulator:
    """Counts a period's rows batch by batch."""

    contract: Contract
    rows: int = 0
    quarantined: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    nulls: Counter[str] = field(default_factory=Counter)
    categories: dict[str, set[str]] = field(default_factory=dict)

    def add(self, clean: pa.Table | pd.DataFrame, quarantined: pd.DataFrame) -> None:
        """Count a batch: rows that keep the contract, and quarantined ones with their reason."""
        clean = to_table(clean)
        self.rows += len(clean) + len(quarantined)
        self.quarantined += len(quarantined)
        for reasons in quarantined["reason"]:
            self.reasons.update({_without_value(reason) for reason in reasons.split("; ")})
        for name, values in zip(clean.column_names, clean.columns, strict=True):
            self.nulls[name] += values.null_count
            if self.contract.is_category(name) and len(self.categories.setdefault(name, set())) <= MAX_CATEGORIES:
                self.categories[name].update(values.drop_null().unique().to_pylist())

    def merge(self, other: "PeriodAccumulator") -> None:
        """Count what another one has counted."""
        self.rows += other.rows
        self.quarantined += other.quarantined
        self.reasons.update(other.reasons)
        for name, n_nulls in other.nulls.items():
            self.nulls[name] += n_nulls
        for name, values in other.categories.items():
            self.categories.setdefault(name, set()).update(values)

    def facts(self) -> PeriodFacts:
        """The facts of all batches so far."""
        kept = max(self.rows - self.quarantined, 1)
        return PeriodFacts(
            rows=self.rows,
            quarantined=self.quarantined,
            reasons=dict(sorted(self.reasons.items(), key=lambda each: (-each[1], each[0]))),
            null_fraction={name: round(count / kept, 4) for name, count in self.nulls.items()},
            categories={
                name: sorted(values) for name, values in self.categories.items() if len(values) <= MAX_CATEGORIES
            },
            unlabelled=self.nulls[self.contract.target.column],
        )


def find_duplicates(contract: Contract, keys: pd.DataFrame) -> np.ndarray:
    """Rows whose key an earlier row of the period has already; shape (n_rows,), bool."""
    return keys.duplicated(contract.key, keep="first").to_numpy()


def split_rows(
    contract: Contract, frame: pd.DataFrame, duplicated: np.ndarray, period: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Separate the rows that keep the contract from those that break it.

    Parameters
    ----------
    frame : the contract's columns, typed or as text
    duplicated : shape (n_rows,), bool; rows that repeat a key of the period
    period : in which the rows have to be, if they have a time

    Returns
    -------
    clean : with the contract's dtypes
    quarantined : the rows unchanged, as text, with one more column `reason`
    """
    frame = frame.reset_index(drop=True)
    typed, reasons = find_reasons(contract, frame, duplicated, period)
    bad = frame.index.isin(list(reasons))
    clean = _cast(contract, typed.loc[~bad] if bad.any() else typed)
    return clean.reset_index(drop=True), describe_rows(frame, reasons)


def find_reasons(
    contract: Contract, frame: pd.DataFrame, duplicated: np.ndarray, period: str
) -> tuple[pd.DataFrame, dict[int, list[str]]]:
    """The rows as far as they can be parsed, and by position why a row breaks the contract.

    Parameters
    ----------
    frame, duplicated, period : as `split_rows` takes them, with an index from 0
    """
    typed, reasons = _parse(contract, frame)
    for position in np.flatnonzero(duplicated).tolist():
        reasons.setdefault(position, []).append(f"key: {', '.join(contract.key)}: repeated")
    if time := contract.time:
        start, end = pd.Timestamp(first_day(period)), pd.Timestamp(first_day(shift_period(period, 1)))
        outside = (typed[time] < start) | (typed[time] >= end)
        for position in np.flatnonzero(outside).tolist():
            reasons.setdefault(position, []).append(f"{time}: outside the period: {frame.at[position, time]}")
    parsed = typed.drop(index=list(reasons)) if reasons else typed
    for position, reason in _check_values(contract, parsed):
        reasons.setdefault(position, []).append(reason)
    return typed, reasons


def describe_rows(frame: pd.DataFrame, reasons: dict[int, list[str]]) -> pd.DataFrame:
    """The rows that have reasons, as text, with one more column `reason`; those without one are left out."""
    rows = frame.loc[sorted(reasons)]
    texts = rows.astype("str").where(rows.notna(), None)
    quarantined = texts.assign(reason=["; ".join(reasons[position]) for position in texts.index])
    return quarantined.astype("str").reset_index(drop=True)


def check_period(contract: Contract, facts: PeriodFacts, earlier: list[PeriodFacts], limits: Validation) -> list[Check]:
    """Judge a period as a whole, against the limits and the periods before it.

    Parameters
    ----------
    earlier : the periods before, the oldest first; with none, only the limits count
    """
    checks = [_check_quarantined(facts, limits)]
    # Without a time a period is a delivery, and the first is all that there was: its rows are no measure of others.
    if of_one_period := earlier[0 if contract.time else 1 :][-RECENT_PERIODS:]:
        checks.append(_check_rows(facts, of_one_period, limits))
    if recent := earlier[-RECENT_PERIODS:]:
        checks.append(_check_nulls(contract, facts, recent, limits))
    if earlier:
        checks.append(_check_categories(facts, earlier))
    return checks


def _parse(contract: Contract, frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[int, list[str]]]:
    """Each column in its contract's dtype (integers with gaps as floats), and the values that have none."""
    columns: dict[str, pd.Series] = {}
    reasons: dict[int, list[str]] = {}
    for name, dtype in contract.dtypes.items():
        given = frame[name]
        columns[name] = parsed = frames.parse(contract, name, given)
        if str(given.dtype) == dtype:
            continue
        wrong = parsed.isna() & given.notna()
        if dtype.startswith("int"):
            wrong |= parsed.notna() & (parsed % 1 != 0)
        for position in np.flatnonzero(wrong).tolist():
            reasons.setdefault(position, []).append(f"{name}: not a {dtype}: {_shown(given.iat[position])}")
    return pd.DataFrame(columns), reasons


def _check_values(contract: Contract, frame: pd.DataFrame) -> list[tuple[int, str]]:
    """Position and reason of every value outside its column's range or null where it may not be."""
    failures: list[tuple[int, str]] = []
    for name, column in contract.columns.items():
        if not column.nullable:
            failures += [(int(at), f"{name}: null") for at in frame.index[frame[name].isna()]]
    whole = _cast(contract, frame.drop(index=[at for at, _ in failures]) if failures else frame)
    for name in contract.columns:
        for text, broken in frames.find_broken(contract, name, whole[name]):
            failures += [(int(at), f"{name}: {text}: {_shown(value)}") for at, value in broken.items()]
    return failures


def _cast(contract: Contract, frame: pd.DataFrame) -> pd.DataFrame:
    """The contract's dtypes; columns that have theirs already are not copied."""
    other = {name: dtype for name, dtype in contract.dtypes.items() if str(frame[name].dtype) != dtype}
    return frame.astype(other) if other else frame


def _shown(value: object) -> str:
    """A value as a reason shows it: without the separator of reasons, and the beginning of a long text."""
    text = str(value).replace("; ", ", ")
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}... ({len(text):,} characters)"


def _without_value(reason: str) -> str:
    """A reason without its value, so that reasons can be counted."""
    parts = reason.split(": ")
    return ": ".join(parts[:2])


def _check_quarantined(facts: PeriodFacts, limits: Validation) -> Check:
    worst = "".join(f"; {reason}: {count(rows, 'row')}" for reason, rows in list(facts.reasons.items())[:3])
    return Check(
        "quarantined rows",
        facts.rows > 0 and facts.quarantined_fraction <= limits.max_quarantined_fraction,
        f"{facts.quarantined:,} of {count(facts.rows, 'row')} ({facts.quarantined_fraction:.2%}, "
        f"at most {limits.max_quarantined_fraction:.2%} allowed){worst}",
    )


def _check_rows(facts: PeriodFacts, recent: list[PeriodFacts], limits: Validation) -> Check:
    usual = median(period.rows for period in recent)
    change = facts.rows / usual - 1
    return Check(
        "row count",
        abs(change) <= limits.max_row_count_change,
        f"{count(facts.rows, 'row')}, {change:+.0%} against the median of the last {count(len(recent), 'period')} "
        f"(at most ±{limits.max_row_count_change:.0%})",
    )


def _check_nulls(contract: Contract, facts: PeriodFacts, recent: list[PeriodFacts], limits: Validation) -> Check:
    # Outcomes are null until they are known, so their nulls say nothing about the period.
    rises = {
        name: share - median(period.null_fraction.get(name, 0.0) for period in recent)
        for name, share in facts.null_fraction.items()
        if name not in contract.outcomes
    }
    name = max(rises, key=lambda column: rises[column])
    detail = "no column has more than in recent periods"
    if rises[name] > 0:
        detail = (
            f"largest rise: {name} to {facts.null_fraction[name]:.1%}, {100 * rises[name]:+.1f} points "
            f"(at most +{100 * limits.max_null_fraction_increase:.0f})"
        )
    return Check("nulls", rises[name] <= limits.max_null_fraction_increase, detail)


def _check_categories(facts: PeriodFacts, earlier: list[PeriodFacts]) -> Check:
    unseen: dict[str, Any] = {}
    for name, values in facts.categories.items():
        known = {value for period in earlier for value in period.categories.get(name, [])}
        if any(name not in period.categories for period in earlier):
            continue  # a period with too many categories keeps none
        if new := sorted(set(values) - known):
            unseen[name] = new
    detail = "; ".join(f"{name}: {', '.join(values[:10])}" for name, values in unseen.items())
    return Check("new categories", not unseen, detail or "none", fatal=False)
