"""Rows of an example as the files that a project ships: one a month."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path


def write(months: dict[str, list[dict[str, str]]], columns: list[str], folder: Path, name: str) -> None:
    """A CSV file a month, compressed; the same rows give the same bytes.

    Parameters
    ----------
    name : of the files, before the month
    """
    folder.mkdir(parents=True, exist_ok=True)
    for month, rows in months.items():
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        (folder / f"{name}-{month}.csv.gz").write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
