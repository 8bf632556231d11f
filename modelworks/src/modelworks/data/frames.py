"""The contract's rows as frames: dtypes, pandera's schema, and conversion from and to JSON."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as arrow

from modelworks.contract import Column, Contract, Rule
from modelworks.data.columnar import Columns
from modelworks.data.quiet_pandera import pa


@cache
def schema_of(contract: Contract) -> pa.DataFrameSchema:
    """The contract as pandera checks it."""
    return pa.DataFrameSchema({name: _to_pandera(each) for name, each in contract.columns.items()}, strict=True)


def find_broken(contract: Contract, name: str, values: pd.Series) -> Iterator[tuple[str, pd.Series]]:
    """The values of a column that break a rule, under their index, for each rule that any breaks; nulls break none.

    Parameters
    ----------
    values : in the contract's dtype
    """
    for check in schema_of(contract).columns[name].checks:
        result = check(values)
        if not result.check_passed:
            yield str(check.error or check.name), result.failure_cases


def _to_pandera(column: Column) -> pa.Column:
    checks = [check for rule in column.rules for check in _to_checks(rule)]
    return pa.Column(column.dtype, checks, nullable=column.nullable, description=column.description)


def _to_checks(rule: Rule) -> list[pa.Check]:
    if rule.holds:
        return [pa.Check(rule.holds, name=rule.name, error=rule.name)]
    if rule.name == "in_script":
        return [_script_check(rule.arguments["script"])]
    if rule.name == "is_image":
        from modelworks.data.images import image_checks  # Pillow is there for projects with images only

        return image_checks(**rule.arguments)
    return [getattr(pa.Check, rule.name)(**rule.arguments)]


def _script_check(script: str) -> pa.Check:
    def is_in_script(values: pd.Series) -> pd.Series:
        return values.map(lambda text: _share_of_script(text, script) >= 0.5, na_action="ignore").astype("bool")

    return pa.Check(is_in_script, name="in_script", statistics={"script": script}, error=f"not in {script} script")


def _share_of_script(text: str, script: str) -> float:
    letters = [letter for letter in text[:10_000] if letter.isalpha()]  # the first letters of a long text suffice
    found = sum(unicodedata.name(letter, "").startswith(script) for letter in letters)
    return found / len(letters) if letters else 1.0


def parse(contract: Contract, name: str, values: pd.Series) -> pd.Series:
    """A column in its dtype, integers with gaps as floats; a value that does not parse is null."""
    dtype = contract.dtypes[name]
    if str(values.dtype) == dtype:
        return values
    if contract.is_time(name):
        # Times of a contract have no offset: one that has an offset does not parse.
        with_offset = values.astype("str").str.contains(r"(?:Z|[+-]\d\d:?\d\d)$", regex=True, na=False)
        return pd.to_datetime(values.mask(with_offset), errors="coerce", format="ISO8601").astype(dtype)
    if dtype == "str":
        return values.astype("str").where(values.notna(), None)
    return pd.to_numeric(values, errors="coerce")


def empty_frame(contract: Contract) -> pd.DataFrame:
    """No rows, every column with its dtype."""
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in contract.dtypes.items()})


def to_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON can hold them, with every digit: times as text, missing values as None."""
    columns = {}
    for name, column in frame.items():
        values = column.dt.strftime("%Y-%m-%dT%H:%M:%S.%f") if column.dtype.kind == "M" else column
        columns[name] = values.astype("object").where(column.notna(), None).tolist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def to_frame(contract: Contract, records: list[dict[str, Any]], names: list[str] | None = None) -> pd.DataFrame:
    """Rows of the contract's columns, all of the same ones, from JSON or Python; the dtypes are the contract's.

    Parameters
    ----------
    names : columns to take; all that the first row has if not given
    """
    wanted = [name for name in contract.dtypes if name in records[0]] if names is None else names
    return from_columns(contract, {name: [record[name] for record in records] for name in wanted}, wanted)


def from_columns(contract: Contract, columns: Columns | Mapping[str, Sequence[Any]], names: list[str]) -> pd.DataFrame:
    """The same as `to_frame`, of values that are there by column."""
    return pd.DataFrame({name: to_array(columns[name], contract.dtypes[name]) for name in names}, copy=False)


def to_array(values: Sequence[Any], dtype: str) -> Any:
    """The values of a column in the contract's dtype, integers with gaps as floats."""
    # A Series of each column would take five times as long, which is half of what one prediction takes.
    if dtype == "int64" and None in values:
        dtype = "float64"  # as `parse` does
    return pd.array(values, dtype=dtype) if dtype == "str" else np.array(values, dtype=dtype)


def to_table(rows: arrow.Table | arrow.RecordBatch | pd.DataFrame) -> arrow.Table:
    """Rows as Arrow has them, without what pandas writes beside them."""
    if isinstance(rows, pd.DataFrame):
        rows = arrow.Table.from_pandas(rows, preserve_index=False)
    elif isinstance(rows, arrow.RecordBatch):
        rows = arrow.Table.from_batches([rows])
    return rows.replace_schema_metadata(None)
