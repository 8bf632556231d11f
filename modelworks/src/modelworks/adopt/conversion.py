"""From a file as it arrives to the project's own: typed columns, a Parquet file a period, and the rejected rows."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from modelworks.adopt import formats
from modelworks.adopt.column_profile import MAX_INT
from modelworks.adopt.profile import encode
from modelworks.adopt.reading import read_batches
from modelworks.adopt.recipe import ColumnRecipe, Recipe
from modelworks.adopt.seen_rows import SeenRows
from modelworks.adopt.units import split_units
from modelworks.data.periods import name_periods

ARROW = {"int64": pa.int64(), "float64": pa.float64(), "str": pa.string(), "datetime64[us]": pa.timestamp("us")}


def convert(batch: pa.RecordBatch | pa.Table, recipe: Recipe, first_row: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Typed rows, and rows with a value that does not parse.

    Parameters
    ----------
    first_row : number of the first in its file

    Returns
    -------
    kept : with the recipe's columns; integers with gaps as Int64
    rejected : as in the file, as text, with one more column `why`
    """
    columns: dict[str, pd.Series] = {}
    whys = pd.Series("", index=range(batch.num_rows), dtype="object")
    if recipe.row_number:
        columns[recipe.row_number] = pd.Series(np.arange(first_row, first_row + batch.num_rows), dtype="Int64")
    for column in recipe.columns:
        values, codes = _take(batch, column)
        typed, wrong = parse_checked(values, column, recipe.null_words)
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
    original = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
    rejected = original.filter(pa.array(bad)).to_pandas().assign(why=whys[bad].str.removesuffix("; ").tolist())
    return frame[~bad].reset_index(drop=True), rejected


def _take(batch: pa.RecordBatch | pa.Table, column: ColumnRecipe) -> tuple[pd.Series, np.ndarray]:
    def values_of(name: str) -> pa.Array:
        found = batch.column(name)
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found

    if len(column.sources) == 1:
        return encode(values_of(column.sources[0]))
    parts = [values.iloc[codes].reset_index(drop=True) for values, codes in map(encode, map(values_of, column.sources))]
    texts = join_parts(parts, column.formats[0])
    return texts, np.arange(len(texts))


def join_parts(parts: list[pd.Series], fmt: str) -> pd.Series:
    """The parts of a time, year first, or a date and a time of day, as one text; null if one of them is."""
    texts = [_to_text(part) for part in parts]
    if fmt in formats.YEAR_AND_PART:
        return (texts[0] + formats.YEAR_AND_PART[fmt] + texts[1].str.zfill(2 if fmt == "Y-m" else 1)).astype("str")
    whole, marks = texts[0], [" "] if len(parts) == 2 else ["-", "-", " ", ":"]
    for mark, text in zip(marks, texts[1:], strict=False):
        whole = whole + mark + text
    return (whole + ":0" if len(parts) == 4 else whole).astype("str")


def _to_text(part: pd.Series) -> pd.Series:
    if str(part.dtype).startswith("datetime"):
        return part.dt.strftime("%Y-%m-%d")
    return part.astype("str").where(part.notna(), None).str.removesuffix(".0")


def is_null(values: pd.Series, column: ColumnRecipe, null_words: list[str]) -> pd.Series:
    """Which texts mean "no value"."""
    if str(values.dtype) != "str":
        return values.isna()
    more = formats.NULLS_AMONG_NUMBERS if column.dtype != "str" else []
    return values.isna() | values.isin([*null_words, *more])


def parse_checked(values: pd.Series, column: ColumnRecipe, null_words: list[str]) -> tuple[pd.Series, pd.Series]:
    """Values in the column's dtype, and which of them do not parse."""
    typed = parse(values, column, null_words)
    return typed, typed.isna() & values.notna() & ~is_null(values, column, null_words)


def parse(values: pd.Series, column: ColumnRecipe, null_words: list[str]) -> pd.Series:
    """Values in the column's dtype; null where they are, or do not parse."""
    is_text = str(values.dtype) == "str"
    if column.dtype == "str":
        return values.astype("str").where(~is_null(values, column, null_words), None)
    if column.dtype == "datetime64[us]":
        if not is_text and column.formats:
            return formats.parse_whole(pd.to_numeric(values), column.formats[0])
        return formats.parse_dates(values, column.formats) if is_text else values.astype("datetime64[us]")
    if is_text:
        if column.formats == ["int"]:
            whole = _parse_integers(values, column.unit)
            return whole if column.dtype == "int64" else whole.astype("Float64").astype("float64")
        numbers = formats.parse_numbers(values, column.formats[0] if column.formats else "point", column.unit)
    else:
        numbers = pd.to_numeric(values)
    if column.dtype == "int64":
        return numbers.astype("Int64")
    numbers = numbers.astype("float64")
    return numbers.where(np.isfinite(numbers))


def _parse_integers(texts: pd.Series, unit: str) -> pd.Series:
    """Whole numbers with all their digits: not by way of floats, which end at 2**53."""
    plain, found = split_units(texts)
    hits = (formats.match(plain, "int") & found.isin(["", unit])).to_numpy()
    known = pa.array(plain[hits], pa.large_string())
    try:
        # Arrow knows no plus.
        numbers = pc.replace_substring_regex(known, r"^\+", "").cast(pa.int64()).to_pandas().astype("Int64")
    except pa.ArrowInvalid:  # one is beyond 64 bits
        found_numbers = [number if abs(number) <= MAX_INT else None for number in map(int, plain[hits])]
        numbers = pd.Series(found_numbers, dtype="Int64")
    return numbers.set_axis(texts.index[hits]).reindex(texts.index)


def group_by_period(frame: pd.DataFrame, recipe: Recipe) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each period; all under "" where there is no time."""
    if not recipe.time:
        yield "", frame
    elif len(frame):
        for period, rows in frame.groupby(name_periods(frame[recipe.time].to_numpy(), recipe.period)):
            yield str(period), rows


class PeriodFiles:
    """Writes the rows of each period to a Parquet file, below a folder.

    Parameters
    ----------
    period : of all rows, where they have no time
    present : files of earlier deliveries by period, whose rows come before the new ones
    seen : knows the rows of those files again, which are left out

    Attributes
    ----------
    folder : of the files
    files : by period
    rows : that were written, without those of earlier deliveries
    extended : periods that had a file
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        recipe: Recipe,
        period: str = "",
        present: Mapping[str, Path] | None = None,
        seen: SeenRows | None = None,
    ) -> None:
        self.folder, self._name, self._recipe, self._period = folder, name, recipe, period
        self._present, self._seen = present or {}, seen
        self.rows = 0
        self.extended: set[str] = set()
        fields = [(column.name, ARROW[column.dtype]) for column in recipe.columns]
        added = [(recipe.row_number, pa.int64())] if recipe.row_number else []
        self._schema = pa.schema(added + fields)
        self._writers: dict[str, pq.ParquetWriter] = {}
        self.files: dict[str, Path] = {}
        self.rejected = folder / "rejected.csv"
        self.rejected_rows = 0

    def write(self, path: Path) -> None:
        """Convert a whole file."""
        first = 1 + max(map(self._last_number, self._present.values()), default=0)
        try:
            for batch in read_batches(path, self._recipe.layout, "converting"):
                frame, rejected = convert(batch, self._recipe, first)
                first += batch.num_rows
                for period, rows in group_by_period(frame, self._recipe):
                    table = pa.Table.from_pandas(rows[self._schema.names], self._schema, preserve_index=False)
                    self._write_new(period or self._period, table.replace_schema_metadata(None))
                if len(rejected):
                    rejected.to_csv(self.rejected, mode="a", header=not self.rejected_rows, index=False)
                    self.rejected_rows += len(rejected)
        finally:
            for writer in self._writers.values():
                writer.close()

    def _last_number(self, file: Path) -> int:
        """The highest number of a row in a file; 0 where rows have none."""
        name = self._recipe.row_number
        return int(pc.max(pq.read_table(file, columns=[name])[name]).as_py() or 0) if name else 0

    def _write_new(self, period: str, table: pa.Table) -> None:
        if self._seen:
            table = table.filter(pa.array(~self._seen.find(table)))
        if table.num_rows or not self._seen:
            self._writer(period).write_table(table)
            self.rows += table.num_rows

    def _writer(self, period: str) -> pq.ParquetWriter:
        if period not in self._writers:
            self.files[period] = self.folder / f"{self._name}-{period}.parquet"
            self._writers[period] = pq.ParquetWriter(self.files[period], self._schema, compression="zstd")
            if period in self._present:
                self.extended.add(period)
                self._writers[period].write_table(pq.read_table(self._present[period], schema=self._schema))
        return self._writers[period]
