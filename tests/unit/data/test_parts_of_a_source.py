"""A large Parquet file of the source is ingested by its row groups, with the same result by every executor."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelworks.contract import Contract, column, identifier, regression
from modelworks.data import partitions
from modelworks.data.execution import map_parts
from modelworks.data.parts import read_part_batches
from modelworks.data.sources.files import ValueNotParsedError, cut_row_groups, may_be_copied, read_source
from modelworks.data.sources.parts import SourcePart, copy_file, ingest_part
from modelworks.errors import ContractError, SourceError
from modelworks.settings import Compute, Source

CONTRACT = Contract(
    target=regression("price", "paid", unit="EUR"),
    columns=[identifier("id", "int64", "number"), column("town", "str", "where", nullable=True)],
    key=["id"],
)
COLUMNS = list(CONTRACT.dtypes)
EXECUTORS = [Compute(), Compute(executor="processes", workers=2)]


def write(path: Path, ids: list[object]) -> Path:
    """A file with a row group of three rows each."""
    frame = pd.DataFrame({"price": 1.5, "id": ids, "town": ["Ulm", None, *["Bonn"] * (len(ids) - 2)]})
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, path, row_group_size=3)
    return path


def ingest(root: Path, path: Path, compute: Compute, rows_per_part: int, *, as_text: bool = False) -> pd.DataFrame:
    with partitions.new_partition(str(root), "raw", "2024-01", rows_per_part) as writer:
        tasks = [
            SourcePart(CONTRACT, "2024-01", str(path), each, tuple(COLUMNS), as_text, writer.attempt)
            for each in cut_row_groups(CONTRACT, path, COLUMNS, rows_per_part)
        ]
        for part in map_parts(ingest_part, tasks, compute):
            writer.add(part)
        made = writer.publish(source=str(path), source_sha256="s", contract_version="c")
    assert len(made.parts) == len(tasks)
    return partitions.read_partition(made)


def test_cut_is_between_row_groups(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", list(range(10)))
    found = cut_row_groups(CONTRACT, path, COLUMNS, 6)
    assert [(each.numbers, each.start, each.rows) for each in found] == [((0, 1), 0, 6), ((2, 3), 6, 4)]
    assert [each.rows for each in cut_row_groups(CONTRACT, path, COLUMNS, 1)] == [3, 3, 3, 1]
    assert cut_row_groups(CONTRACT, path, COLUMNS, 10) == []


@pytest.mark.parametrize("compute", EXECUTORS)
def test_parts_hold_the_rows_of_the_whole_file(tmp_path: Path, compute: Compute) -> None:
    path = write(tmp_path / "rows.parquet", list(range(10)))
    whole = pa.Table.from_batches(read_source(CONTRACT, path, Source(first="2024-01"))).to_pandas()
    pd.testing.assert_frame_equal(ingest(tmp_path, path, compute, 4), whole)


@pytest.mark.parametrize("compute", EXECUTORS)
def test_value_that_does_not_parse_asks_for_the_file_as_text(tmp_path: Path, compute: Compute) -> None:
    path = write(tmp_path / "rows.parquet", [*map(str, range(9)), "n/a"])
    with pytest.raises(ValueNotParsedError):
        ingest(tmp_path, path, compute, 4)
    assert ingest(tmp_path, path, compute, 4, as_text=True)["id"].tolist() == [*map(str, range(9)), "n/a"]


def test_wrong_columns_are_named_once_for_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", list(range(10)))
    other = pq.read_table(path).rename_columns(["price", "number", "town"])
    pq.write_table(other, path, row_group_size=3)
    with pytest.raises(ContractError, match=rf"^{path}: columns missing 'id'; not in the contract 'number'"):
        cut_row_groups(CONTRACT, path, COLUMNS, 4)


def test_damaged_row_group_is_named_with_its_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", list(range(10)))
    blob = bytearray(path.read_bytes())
    at = pq.ParquetFile(path).metadata.row_group(2).column(1)
    start, size = at.dictionary_page_offset, at.total_compressed_size
    blob[start : start + size] = bytes(size)
    path.write_bytes(blob)
    with pytest.raises(SourceError, match=rf"(?s)^{path}: .*\(in {path}, rows 7 to 9\)$"):
        ingest(tmp_path, path, Compute(), 3)


TIMED = Contract(
    target=regression("price", "paid", unit="EUR"),
    columns=[
        identifier("id", "int64", "number"),
        column("town", "str", "where"),
        column("at", "datetime64[us]", "when"),
    ],
    key=["id"],
    time="at",
)


def timed(**types: pa.DataType) -> pa.Table:
    """Rows as other programs write them, with some columns of another type."""
    at = pd.to_datetime(["2024-01-01T00:00:00.001", "2024-01-31T23:59:59.000"])
    columns = {"id": [1, 2], "town": ["Ulm", None], "at": at, "price": [1.5, None]}
    default = {"id": pa.int64(), "town": pa.string(), "at": pa.timestamp("ms"), "price": pa.float64()}
    return pa.table({name: pa.array(columns[name], types.get(name, kind)) for name, kind in default.items()})


def test_copied_file_is_read_as_if_its_rows_had_been_written(tmp_path: Path) -> None:
    path, columns = tmp_path / "rows.parquet", list(TIMED.dtypes)
    of_pandas = pa.Table.from_pandas(timed().to_pandas().set_index("id")).schema.metadata  # says that id is an index
    pq.write_table(timed().replace_schema_metadata(of_pandas), path)
    assert may_be_copied(TIMED, path, columns, 2)
    with partitions.new_partition(str(tmp_path), "raw", "2024-01") as writer:
        writer.add(copy_file(path, 2, writer.attempt))
        copied = writer.publish(source=str(path), source_sha256="s", contract_version="c")
    with partitions.new_partition(str(tmp_path), "raw", "2024-02") as writer:
        for batch in read_source(TIMED, path, Source(first="2024-01")):
            writer.write(batch)
        written = writer.publish(source=str(path), source_sha256="s", contract_version="c")
    assert Path(copied.files[0]).read_bytes() == path.read_bytes()
    pd.testing.assert_frame_equal(partitions.read_partition(copied), partitions.read_partition(written))
    batches = [[*read_part_batches(each.uri, each.parts[0], rows=1, encoded=["town"])] for each in (copied, written)]
    assert len(batches[0]) == 2
    assert batches[0][0].schema.equals(batches[1][0].schema, check_metadata=True)
    assert batches[0] == batches[1]


@pytest.mark.parametrize(
    ("table", "max_rows"),
    [
        (timed(), 1),
        (timed(id=pa.int32()), 2),
        (timed(at=pa.timestamp("ns")), 2),
        (timed(at=pa.timestamp("ms", "UTC")), 2),
        (timed(price=pa.float32()), 2),
        (timed().select(["town", "id", "at", "price"]), 2),
    ],
    ids=["too many rows", "int32", "ns", "with a zone", "float32", "another order"],
)
def test_other_file_is_written_anew(tmp_path: Path, table: pa.Table, max_rows: int) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path)
    assert not may_be_copied(TIMED, path, list(TIMED.dtypes), max_rows)


def test_csv_file_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,town,at,price\n")
    assert not may_be_copied(TIMED, path, list(TIMED.dtypes), 2)
