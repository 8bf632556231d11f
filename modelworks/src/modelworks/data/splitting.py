"""Split the rows of a part into those that keep the contract and those that break it, column by column.

Each rule is asked once for a column of numbers, and once for each distinct text of a column. Only rows that may break a
rule become a frame, in which `validation.find_reasons` says why they do.
"""

from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from modelworks.calendar import first_day, shift_period
from modelworks.contract import Column, Contract
from modelworks.data import frames, validation
from modelworks.data.frames import to_table
from modelworks.data.manifests import Part
from modelworks.data.parts import copy_part, new_part, read_part_batches
from modelworks.data.validation import PeriodAccumulator
from modelworks.progress import track


@dataclass(frozen=True)
class RawPart:
    """A part to split.

    Attributes
    ----------
    folder, part : where its rows are
    duplicated : numbers of its rows that repeat a key of the period
    clean, quarantine : URIs of the folders for what is made of it
    """

    where: str
    contract: Contract
    period: str
    folder: str
    part: Part
    duplicated: np.ndarray
    clean: str
    quarantine: str


@dataclass(frozen=True)
class SplitPart:
    """What was made of a part; no quarantine if every row keeps the contract."""

    clean: Part
    quarantine: Part | None
    counts: PeriodAccumulator


@dataclass(frozen=True)
class SplitBatch:
    """Rows that keep the contract, and those that break it, as `validation.split_rows` has them.

    Attributes
    ----------
    is_whole : every row is kept as it was
    """

    kept: pa.Table
    rejected: pd.DataFrame
    is_whole: bool


def split_part(raw: RawPart) -> SplitPart:
    """Have the rows of a part that keep the contract in one file, and those that break it in another.

    A part whose rows all keep it is clean as it is, and its file is not written again: that takes twice the time of
    reading it.
    """
    accumulator, n_read, is_whole = PeriodAccumulator(raw.contract), 0, True
    batches = read_part_batches(raw.folder, raw.part, encoded=_categories(raw.contract))
    with new_part() as clean, new_part() as quarantine:
        for number, batch in enumerate(track(batches, f"validating {raw.period}", "rows", raw.part.rows, size=len)):
            split = split_batch(raw.contract, batch, _find_within(raw.duplicated, n_read, len(batch)), raw.period)
            if is_whole and not split.is_whole:
                is_whole = False
                for earlier in islice(read_part_batches(raw.folder, raw.part), number):
                    clean.write(earlier)
            if not is_whole:
                clean.write(_decode(split.kept))
            if len(split.rejected):
                quarantine.write(split.rejected)
            accumulator.add(split.kept, split.rejected)
            n_read += len(batch)
        if is_whole:
            copy_part(raw.part, raw.folder, raw.clean)
        return SplitPart(
            clean=raw.part if is_whole else clean.store(raw.clean),
            quarantine=quarantine.store(raw.quarantine) if quarantine.rows else None,
            counts=accumulator,
        )


def _find_within(rows: np.ndarray, start: int, size: int) -> np.ndarray:
    """Which of so many rows from `start` on are named, shape (size,), bool."""
    named = np.zeros(size, bool)
    named[rows[(rows >= start) & (rows < start + size)] - start] = True
    return named


def split_batch(contract: Contract, batch: pa.RecordBatch, duplicated: np.ndarray, period: str) -> SplitBatch:
    """Separate the rows of a batch.

    Parameters
    ----------
    batch : categories as dictionaries, as `split_part` reads them
    duplicated : shape (n_rows,), bool; rows that repeat a key of the period
    """
    if not _is_typed(contract, batch.schema):  # texts, since some do not parse
        frame, rejected = validation.split_rows(contract, _decode(to_table(batch)).to_pandas(), duplicated, period)
        return SplitBatch(to_table(frame), rejected, is_whole=False)
    at = np.flatnonzero(find_suspects(contract, batch, period) | duplicated)
    rows, rejected = _reject(contract, batch, at, duplicated, period) if len(at) else (batch, _no_rows(contract))
    given = to_table(rows)
    kept = _without_nans(given)
    return SplitBatch(kept, rejected, is_whole=rows is batch and kept is given)


def _reject(
    contract: Contract, batch: pa.RecordBatch, at: np.ndarray, duplicated: np.ndarray, period: str
) -> tuple[pa.RecordBatch, pd.DataFrame]:
    """The batch without those of its rows `at` that break the contract, and these with their reasons."""
    frame = _decode(to_table(batch.take(pa.array(at)))).to_pandas()
    _, reasons = validation.find_reasons(contract, frame, duplicated[at], period)
    kept = np.ones(len(batch), bool)
    kept[at[list(reasons)]] = False
    return batch if kept.all() else batch.filter(pa.array(kept)), validation.describe_rows(frame, reasons)


@cache
def _no_rows(contract: Contract) -> pd.DataFrame:
    """What is rejected of a batch whose rows all keep the contract; to make it anew takes longer than to check them."""
    return validation.describe_rows(frames.empty_frame(contract), {})


def _categories(contract: Contract) -> list[str]:
    return [name for name in contract.dtypes if contract.is_category(name)]


def _is_typed(contract: Contract, schema: pa.Schema) -> bool:
    typed = schema_of(contract)
    same = (pa.types.is_dictionary(each.type) or each.type == due.type for each, due in zip(schema, typed, strict=True))
    return schema.names == typed.names and all(same)


def _decode(rows: pa.Table) -> pa.Table:
    """The same rows, with texts in place of dictionaries of them."""
    for number, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type):
            texts = rows.column(number).cast(field.type.value_type).cast(pa.large_string())
            rows = rows.set_column(number, pa.field(field.name, pa.large_string()), texts)
    return rows


@cache
def schema_of(contract: Contract) -> pa.Schema:
    """The contract's columns as Arrow has them."""
    return pa.Schema.from_pandas(frames.empty_frame(contract), preserve_index=False).remove_metadata()


def find_suspects(contract: Contract, batch: pa.RecordBatch, period: str) -> np.ndarray:
    """Rows that may break the contract, shape (n_rows,), bool; all others keep it.

    Parameters
    ----------
    batch : of the contract's schema, categories as dictionaries
    """
    found = np.zeros(len(batch), bool)
    for name, column in contract.columns.items():
        if (broken := _find_broken(contract, column, batch[name])) is not None:
            found |= broken
    return found | _find_outside(batch[contract.time], period) if contract.time else found


def _find_outside(when: pa.Array, period: str) -> np.ndarray:
    """Times outside the period, shape (n_rows,), bool."""
    start, end = (np.datetime64(first_day(each), "us") for each in (period, shift_period(period, 1)))
    if (extremes := _find_extremes(when, "datetime64[us]")) is not None and extremes.between(start, end, "left").all():
        return np.zeros(len(when), bool)
    moments = when.to_pandas().to_numpy()
    return ~((moments >= start) & (moments < end))


def _find_broken(contract: Contract, column: Column, values: pa.Array) -> np.ndarray | None:
    """Values that break a rule of their column, or are null where they may not be; shape (n_rows,), bool.

    None if there are none.
    """
    if contract.is_category(column.name):
        distinct = values.dictionary.to_pandas()
        broken = np.append(_break_a_rule(contract, column, distinct), not column.nullable and values.null_count > 0)
        return broken[values.indices.fill_null(len(distinct)).to_numpy()] if broken.any() else None
    if column.dtype == "int64" and values.null_count and column.nullable:
        return np.ones(len(values), bool)  # their frame, in which these are floats, says whether they may be
    found = None
    if not _keep_their_range(contract, column, values):
        found = _break_a_rule(contract, column, values.to_pandas())
    if not column.nullable and (values.null_count or pa.types.is_floating(values.type)):
        nulls = pc.is_null(values, nan_is_null=True).to_numpy(zero_copy_only=False)
        found = nulls if found is None else found | nulls
    return found


def _keep_their_range(contract: Contract, column: Column, values: pa.Array) -> bool:
    """Whether numbers keep all rules of their column because the smallest and the largest of them do."""
    if column.dtype == "str" or any(rule.name != "in_range" for rule in column.rules):
        return False
    if column.dtype in {"int64", "float64"}:  # pandas takes a millisecond for what two comparisons say
        found = pc.min_max(values).as_py()
        low, high = found["min"], found["max"]
        bounds = [(rule.arguments["min_value"], rule.arguments["max_value"]) for rule in column.rules]
        return low is None or all(least <= low and high <= most for least, most in bounds)
    extremes = _find_extremes(values, column.dtype)
    return extremes is None or not _break_a_rule(contract, column, extremes).any()


def _find_extremes(values: pa.Array, dtype: str) -> pd.Series | None:
    """The smallest and the largest value; None if all are null."""
    found = pc.min_max(values)
    return pd.Series([each.as_py() for each in found.values()], dtype=dtype) if found["min"].is_valid else None


def _break_a_rule(contract: Contract, column: Column, values: pd.Series) -> np.ndarray:
    broken = np.zeros(len(values), bool)
    for _, failing in frames.find_broken(contract, column.name, values):
        broken[failing.index.to_numpy("int64")] = True
    return broken


def _without_nans(rows: pa.Table) -> pa.Table:
    """The same rows, with nulls in place of numbers that are none, as pandas has them."""
    for number, field in enumerate(rows.schema):
        if pa.types.is_floating(field.type) and pc.any(pc.is_nan(rows.column(number))).as_py():
            values = rows.column(number)
            rows = rows.set_column(number, field, pc.if_else(pc.is_nan(values), pa.scalar(None, field.type), values))
    return rows
