"""A large Parquet file of the source is ingested by its row groups, with the same result by every executor."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelworks.contract import Contract, column, identifier, regression
from modelworks.data import partitions
from modelworks.data.execution import map_parts
from modelworks.data.sources.files import ValueNotParsedError, cut_row_groups, read_source
from modelworks.data.sources.parts import SourcePart, ingest_part
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
