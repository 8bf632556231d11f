"""Bring a part of a large Parquet file of the source into storage."""

from dataclasses import dataclass
from pathlib import Path

from modelworks.contract import Contract
from modelworks.data.files import file_sha256, upload
from modelworks.data.manifests import Part
from modelworks.data.parts import new_part
from modelworks.data.sources.files import RowGroups, read_row_groups
from modelworks.progress import track


@dataclass(frozen=True)
class SourcePart:
    """Row groups of a file of the source.

    Attributes
    ----------
    columns : those of the contract that the file has
    as_text : read every value as text
    raw : URI of the folder for the part
    """

    contract: Contract
    period: str
    uri: str
    row_groups: RowGroups
    columns: tuple[str, ...]
    as_text: bool
    raw: str

    @property
    def where(self) -> str:
        """File and rows."""
        start, rows = self.row_groups.start, self.row_groups.rows
        return f"{self.uri}, rows {start + 1:,} to {start + rows:,}"


def ingest_part(source: SourcePart) -> Part:
    """Write the rows as they are, parsed by the contract."""
    columns, row_groups = list(source.columns), source.row_groups
    batches = read_row_groups(source.contract, source.uri, columns, row_groups, as_text=source.as_text)
    with new_part() as writer:
        for batch in track(batches, f"ingesting {source.period}", "rows", row_groups.rows, size=len):
            writer.write(batch)
        return writer.store(source.raw)


def copy_file(path: Path, n_rows: int, raw: str) -> Part:
    """Have a Parquet file of the source as a part as it is, which takes a fraction of the time of writing its rows."""
    sha256 = file_sha256(path)
    part = Part(f"{sha256[:16]}.parquet", n_rows, path.stat().st_size, sha256)
    upload(path, f"{raw}/{part.file}")
    return part
