"""The rows that production is asked for, and the request ids in its prediction log; run in the project's environment.

::

    python production_rows.py bucket FILE    makes the bucket of the storage; FILE is not used
    python production_rows.py rows FILE      FILE gets a body of a request a line, once a model is released
    python production_rows.py logged FILE    FILE gets the logged request ids, a line for each row
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlparse

import fsspec  # type: ignore[import-not-found]

from modelworks.data import frames, partitions
from modelworks.data.answers import read_answers
from modelworks.project import load_project
from modelworks.serving.row_schema import logged_columns
from modelworks.settings import load_settings

PERIOD = "2013-01"
"""What every version is trained on, so that it knows all categories of it and refuses no row."""
BODIES = 2000
ALL = 10**9


def make_bucket(_: Path) -> None:
    """SeaweedFS starts without one."""
    storage = urlparse(load_settings().storage_uri)
    fsspec.filesystem(storage.scheme).mkdir(storage.netloc)


def write_rows(file: Path) -> None:
    """Different callers, so that a canary gets its share of them."""
    settings = load_settings()
    names = logged_columns(load_project(settings.home).contract)
    clean = partitions.read_partition(partitions.find_partitions(settings.storage_uri, "clean", PERIOD)[-1])
    rows = frames.to_records(clean[names].sample(BODIES, random_state=7))
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")


def write_logged(file: Path) -> None:
    """What the log holds once every replica has ended."""
    rows = read_answers(load_settings().storage_uri, datetime(2000, 1, 1, tzinfo=UTC), ALL)
    ids = rows["request_id"].to_pylist() if rows is not None else []
    file.write_text("\n".join(ids), encoding="utf-8")


if __name__ == "__main__":
    {"bucket": make_bucket, "rows": write_rows, "logged": write_logged}[sys.argv[1]](Path(sys.argv[2]))
