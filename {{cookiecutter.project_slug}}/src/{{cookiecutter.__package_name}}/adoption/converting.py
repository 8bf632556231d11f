"""From a file as it comes to the project's own: typed columns, a Parquet file a month, and what had to be left out."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from . import forms
from .profile import encode
from .reading import read_batches
from .recipe import ColumnRecipe, Recipe

ARROW = {"int64": pa.int64(), "float64": pa.float64(), "str": pa.string(), "datetime64[us]": pa.timestamp("us")}


@dataclass
class Measures:
    """What a second pass over all rows finds, typed.

    Attributes
    ----------
    reasons : rejected rows, by what is wrong and where
    months : rows by month, in order of time; empty where there is no time
    nulls : the same, a mapping from column to rows without a value
    lows, highs : of numbers and times
    targets : rows by month and class of the target
    repeated_keys : rows that repeat a key, by the key
    """

    rows: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    months: dict[str, int] = field(default_factory=dict)
    nulls: dict[str, Counter[str]] = field(default_factory=dict)
    lows: dict[str, float] = field(default_factory=dict)
    highs: dict[str, float] = field(default_factory=dict)
    targets: Counter[tuple[str, Any]] = field(default_factory=Counter)
    repeated_keys: dict[tuple[str, ...], int] = field(default_factory=dict)


def convert(batch: pa.RecordBatch | pa.Table, recipe: Recipe, first_row: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Typed rows, and those with a value that does not parse.

    Parameters
    ----------
    first_row : number of the first in its file

    Returns
    -------
    kept : with the recipe's columns; integers with gaps as Int64
    rejected : as they came, as text, with one more column `why`
    """
    columns: dict[str, pd.Series] = {}
    whys = pd.Series("", index=range(batch.num_rows), dtype="object")
    if recipe.row_number:
        columns[recipe.row_number] = pd.Series(np.arange(first_row, first_row + batch.num_rows), dtype="Int64")
    for column in recipe.columns:
        values, codes = _take(batch, column)
        typed = parse(values, column)
        wrong = typed.isna() & values.notna() & ~is_null(values, column)
        columns[column.name] = typed.iloc[codes].reset_index(drop=True)
        if wrong.any():
            rows = wrong.to_numpy()[codes]
            whys[rows] += f"{column.name}: not a {column.dtype}; "
        if column.name == recipe.time:
            whys[(whys == "") & columns[column.name].isna()] = f"{column.name}: no time; "
    bad = (whys != "").to_numpy()
    frame = pd.DataFrame(columns)
    if not bad.any():
        return frame, pd.DataFrame()
    came = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
    rejected = came.filter(pa.array(bad)).to_pandas().assign(why=whys[bad].str.removesuffix("; ").tolist())
    return frame[~bad].reset_index(drop=True), rejected


def _take(batch: pa.RecordBatch | pa.Table, column: ColumnRecipe) -> tuple[pd.Series, np.ndarray]:
    def whole(name: str) -> pa.Array:
        found = batch.column(name)
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found

    if len(column.sources) == 1:
        return encode(whole(column.sources[0]))
    parts = [values.iloc[codes].reset_index(drop=True) for values, codes in map(encode, map(whole, column.sources))]
    texts = join_parts(parts)
    return texts, np.arange(len(texts))


def join_parts(parts: list[pd.Series]) -> pd.Series:
    """The parts of a time, year first, or a date and a time of day, as one text; null if one of them is."""
    texts = [_to_text(part) for part in parts]
    whole, marks = texts[0], [" ", ":"] if len(parts) == 2 else ["-", "-", " ", ":"]
    for mark, text in zip(marks, texts[1:], strict=False):
        whole = whole + mark + text
    return (whole + ":0" if len(parts) == 4 else whole).astype("str")


def _to_text(part: pd.Series) -> pd.Series:
    if str(part.dtype).startswith("datetime"):
        return part.dt.strftime("%Y-%m-%d")
    return part.astype("str").where(part.notna(), None).str.removesuffix(".0")


def is_null(values: pd.Series, column: ColumnRecipe) -> pd.Series:
    """Which texts stand for no value."""
    if str(values.dtype) != "str":
        return values.isna()
    more = forms.NULLS_AMONG_NUMBERS if column.dtype != "str" else []
    return values.isna() | values.isin([*forms.NULLS, *more])


def parse(values: pd.Series, column: ColumnRecipe) -> pd.Series:
    """Values in the column's dtype; null where they are, or do not parse."""
    is_text = str(values.dtype) == "str"
    if column.dtype == "str":
        return values.astype("str").where(~is_null(values, column), None)
    if column.dtype == "datetime64[us]":
        return forms.parse_dates(values, column.forms) if is_text else values.astype("datetime64[us]")
    if is_text:
        if column.forms == ["int"]:  # not by way of floats, which end at 2**53
            is_int = forms.match(values, "int")
            whole = pd.Series(
                [int(text) if hit else None for text, hit in zip(values, is_int, strict=True)], dtype="Int64"
            )
            return (
                whole.set_axis(values.index) if column.dtype == "int64" else whole.astype("Float64").astype("float64")
            )
        numbers = forms.parse_numbers(values, column.forms[0] if column.forms else "point")
    else:
        numbers = pd.to_numeric(values)
    if column.dtype == "int64":
        return numbers.astype("Int64")
    numbers = numbers.astype("float64")
    return numbers.where(np.isfinite(numbers))


def measure(path: Path, recipe: Recipe, keys: list[list[str]], *, has_classes: bool) -> Measures:
    """All rows, once more.

    Parameters
    ----------
    keys : sets of columns of which it is asked whether they tell all rows apart
    has_classes : the target has
    """
    found = Measures()
    months: Counter[str] = Counter()
    hashes: dict[tuple[str, ...], list[np.ndarray]] = {tuple(key): [] for key in keys}
    first = 1
    for batch in read_batches(path, recipe.layout):
        frame, rejected = convert(batch, recipe, first)
        first += batch.num_rows
        found.rows += len(frame)
        found.rejected += len(rejected)
        if len(rejected):
            found.reasons.update(rejected["why"])
        for name in frame.columns:
            if str(frame[name].dtype) != "str" and frame[name].notna().any():
                low, high = frame[name].min(), frame[name].max()
                found.lows[name] = min(found.lows.get(name, low), low)
                found.highs[name] = max(found.highs.get(name, high), high)
        for month, rows in _by_month(frame, recipe):
            months[month] += len(rows)
            found.nulls.setdefault(month, Counter()).update(rows.isna().sum().to_dict())
            if has_classes:
                found.targets.update({(month, each): n for each, n in rows[recipe.target].value_counts().items()})
        for key, parts in hashes.items():
            parts.append(pd.util.hash_pandas_object(frame[list(key)], index=False).to_numpy())
    found.months = dict(sorted(months.items())) if recipe.time else {}
    for key, parts in hashes.items():
        whole = np.concatenate(parts)
        found.repeated_keys[key] = len(whole) - len(np.unique(whole))
    return found


def _by_month(frame: pd.DataFrame, recipe: Recipe) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each month; all under "" where there is no time."""
    if not recipe.time:
        yield "", frame
    elif len(frame):
        for month, rows in frame.groupby(frame[recipe.time].dt.strftime("%Y-%m")):
            yield str(month), rows


class MonthFiles:
    """Writes rows to a file of their month, below a folder.

    Attributes
    ----------
    files : by month
    """

    def __init__(self, folder: Path, name: str, recipe: Recipe, month: str = "") -> None:
        self._folder, self._name, self._recipe, self._month = folder, name, recipe, month
        fields = [(column.name, ARROW[column.dtype]) for column in recipe.columns]
        added = [(recipe.row_number, pa.int64())] if recipe.row_number else []
        self._schema = pa.schema(added + fields)
        self._writers: dict[str, pq.ParquetWriter] = {}
        self.files: dict[str, Path] = {}
        self.rejected = folder / "rejected.csv"
        self.rejected_rows = 0

    def write(self, path: Path) -> None:
        """Convert a whole file."""
        first = 1
        try:
            for batch in read_batches(path, self._recipe.layout):
                frame, rejected = convert(batch, self._recipe, first)
                first += batch.num_rows
                for month, rows in _by_month(frame, self._recipe):
                    table = pa.Table.from_pandas(rows[self._schema.names], self._schema, preserve_index=False)
                    self._writer(month or self._month).write_table(table.replace_schema_metadata(None))
                if len(rejected):
                    rejected.to_csv(self.rejected, mode="a", header=not self.rejected_rows, index=False)
                    self.rejected_rows += len(rejected)
        finally:
            for writer in self._writers.values():
                writer.close()

    def _writer(self, month: str) -> pq.ParquetWriter:
        if month not in self._writers:
            self.files[month] = self._folder / f"{self._name}-{month}.parquet"
            self._writers[month] = pq.ParquetWriter(self.files[month], self._schema, compression="zstd")
        return self._writers[month]
