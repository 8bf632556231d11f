"""Which rows keep the contract, and whether the month as a whole is credible."""

from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from . import schema
from .checks import Check
from .config import Validation

RECENT_MONTHS = 3
MAX_SHOWN = 80  # characters of a value in a reason
MAX_CATEGORIES = 1000  # of a column; of one with more, new ones say nothing


@dataclass(frozen=True)
class MonthFacts:
    """What is worth remembering of a month: counts and shares, no rows.

    Attributes
    ----------
    rows : those that came, clean or not
    unlabelled : clean rows whose target is not known
    """

    rows: int
    quarantined: int
    reasons: dict[str, int]
    null_fraction: dict[str, float]
    categories: dict[str, list[str]]
    unlabelled: int = 0

    @property
    def quarantined_fraction(self) -> float:
        return self.quarantined / self.rows if self.rows else 0.0


@dataclass
class MonthTally:
    """Adds up a month batch by batch."""

    rows: int = 0
    quarantined: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    nulls: Counter[str] = field(default_factory=Counter)
    categories: dict[str, set[str]] = field(default_factory=dict)

    def add(self, clean: pd.DataFrame, quarantined: pd.DataFrame) -> None:
        self.rows += len(clean) + len(quarantined)
        self.quarantined += len(quarantined)
        for reasons in quarantined["reason"]:
            self.reasons.update({_without_value(reason) for reason in reasons.split("; ")})
        self.nulls.update(clean.isna().sum().to_dict())
        for name in clean.columns:
            if schema.is_category(name):
                known = self.categories.setdefault(name, set())
                if len(known) <= MAX_CATEGORIES:
                    known.update(clean[name].dropna().unique())

    def facts(self) -> MonthFacts:
        kept = max(self.rows - self.quarantined, 1)
        return MonthFacts(
            rows=self.rows,
            quarantined=self.quarantined,
            reasons=dict(self.reasons.most_common()),
            null_fraction={name: round(count / kept, 4) for name, count in self.nulls.items()},
            categories={
                name: sorted(values) for name, values in self.categories.items() if len(values) <= MAX_CATEGORIES
            },
            unlabelled=self.nulls[schema.TARGET],
        )


def find_duplicates(keys: pd.DataFrame) -> np.ndarray:
    """Rows whose key an earlier row of the month has already; shape (n_rows,), bool."""
    return keys.duplicated(schema.KEY, keep="first").to_numpy()


def split_rows(frame: pd.DataFrame, duplicated: np.ndarray, month: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Separate the rows that keep the contract from those that do not.

    Parameters
    ----------
    frame : the contract's columns, typed or as text
    duplicated : shape (n_rows,), bool; rows that repeat a key of the month
    month : the month that the rows have to lie in, where they have a time

    Returns
    -------
    clean : with the contract's dtypes
    quarantined : the rows as they came, as text, with one more column `reason`
    """
    frame = frame.reset_index(drop=True)
    typed, reasons = _parse(frame)
    for position in np.flatnonzero(duplicated).tolist():
        reasons.setdefault(position, []).append(f"key: {', '.join(schema.KEY)}: repeated")
    if time := schema.TIME:
        outside = typed[time].notna() & (typed[time].dt.to_period("M") != pd.Period(month))
        for position in np.flatnonzero(outside).tolist():
            reasons.setdefault(position, []).append(f"{time}: outside the month: {frame.at[position, time]}")
    parsed = typed.drop(index=list(reasons)) if reasons else typed
    for position, reason in _check_values(parsed):
        reasons.setdefault(position, []).append(reason)
    bad = frame.index.isin(list(reasons))
    clean = _cast(typed.loc[~bad] if bad.any() else typed)
    texts = frame.loc[bad].astype("str").where(frame.loc[bad].notna(), None)
    quarantined = texts.assign(reason=["; ".join(reasons[position]) for position in texts.index])
    return clean.reset_index(drop=True), quarantined.astype("str").reset_index(drop=True)


def check_month(facts: MonthFacts, earlier: list[MonthFacts], limits: Validation) -> list[Check]:
    """Judge a month as a whole, against the limits and the months before it.

    Parameters
    ----------
    earlier : the months before, the oldest first; with none, only the limits count
    """
    checks = [_check_quarantined(facts, limits)]
    if recent := earlier[-RECENT_MONTHS:]:
        checks.append(_check_rows(facts, recent, limits))
        checks.append(_check_nulls(facts, recent, limits))
    if earlier:
        checks.append(_check_categories(facts, earlier))
    return checks


def _parse(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[int, list[str]]]:
    """Each column in its contract's dtype (integers with gaps as floats), and the values that have none."""
    columns: dict[str, pd.Series] = {}
    reasons: dict[int, list[str]] = {}
    for name, dtype in schema.DTYPES.items():
        given = frame[name]
        columns[name] = parsed = schema.parse(name, given)
        if str(given.dtype) == dtype:
            continue
        wrong = parsed.isna() & given.notna()
        if dtype.startswith("int"):
            wrong |= parsed.notna() & (parsed % 1 != 0)
        for position in np.flatnonzero(wrong).tolist():
            reasons.setdefault(position, []).append(f"{name}: not a {dtype}: {_shown(given.iat[position])}")
    return pd.DataFrame(columns), reasons


def _check_values(frame: pd.DataFrame) -> list[tuple[int, str]]:
    """Position and reason of every value outside its column's range or null where it may not be."""
    failures: list[tuple[int, str]] = []
    for name, column in schema.SCHEMA.columns.items():
        if not column.nullable:
            failures += [(int(at), f"{name}: null") for at in frame.index[frame[name].isna()]]
    whole = _cast(frame.drop(index=[at for at, _ in failures]) if failures else frame)
    try:
        schema.SCHEMA.validate(whole, lazy=True, inplace=True)  # it changes nothing; this saves a copy
    except pa.errors.SchemaErrors as errors:
        for case in errors.failure_cases.itertuples():
            failures.append((int(case.index), f"{case.column}: {case.check}: {_shown(case.failure_case)}"))
    return failures


def _cast(frame: pd.DataFrame) -> pd.DataFrame:
    """The contract's dtypes; columns that have theirs already are not copied."""
    other = {name: dtype for name, dtype in schema.DTYPES.items() if str(frame[name].dtype) != dtype}
    return frame.astype(other) if other else frame


def _shown(value: object) -> str:
    """A value in a reason, of which several are told apart by a semicolon; of a long text its beginning."""
    text = str(value).replace("; ", ", ")
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}... ({len(text):,} characters)"


def _without_value(reason: str) -> str:
    """A reason without the value that gave rise to it, so that reasons can be counted."""
    parts = reason.split(": ")
    return ": ".join(parts[:2])


def _check_quarantined(facts: MonthFacts, limits: Validation) -> Check:
    worst = "".join(f"; {reason}: {count} rows" for reason, count in list(facts.reasons.items())[:3])
    return Check(
        "quarantined rows",
        facts.rows > 0 and facts.quarantined_fraction <= limits.max_quarantined_fraction,
        f"{facts.quarantined} of {facts.rows} rows ({facts.quarantined_fraction:.2%}, "
        f"at most {limits.max_quarantined_fraction:.2%} allowed){worst}",
    )


def _check_rows(facts: MonthFacts, recent: list[MonthFacts], limits: Validation) -> Check:
    usual = median(month.rows for month in recent)
    change = facts.rows / usual - 1
    return Check(
        "row count",
        abs(change) <= limits.max_row_count_change,
        f"{facts.rows} rows, {change:+.0%} against the median of the last {len(recent)} months "
        f"(at most ±{limits.max_row_count_change:.0%})",
    )


def _check_nulls(facts: MonthFacts, recent: list[MonthFacts], limits: Validation) -> Check:
    # An outcome is null until it is known, which says nothing of the month.
    rises = {
        name: share - median(month.null_fraction.get(name, 0.0) for month in recent)
        for name, share in facts.null_fraction.items()
        if name not in schema.OUTCOMES
    }
    name = max(rises, key=lambda column: rises[column])
    detail = "no column has more than in recent months"
    if rises[name] > 0:
        detail = (
            f"largest rise: {name} to {facts.null_fraction[name]:.1%}, {100 * rises[name]:+.1f} points "
            f"(at most +{100 * limits.max_null_fraction_increase:.0f})"
        )
    return Check("nulls", rises[name] <= limits.max_null_fraction_increase, detail)


def _check_categories(facts: MonthFacts, earlier: list[MonthFacts]) -> Check:
    unseen: dict[str, Any] = {}
    for name, values in facts.categories.items():
        known = {value for month in earlier for value in month.categories.get(name, [])}
        if any(name not in month.categories for month in earlier):
            continue  # there were too many
        if new := sorted(set(values) - known):
            unseen[name] = new
    detail = "; ".join(f"{name}: {', '.join(values[:10])}" for name, values in unseen.items())
    return Check("new categories", not unseen, detail or "none", fatal=False)
