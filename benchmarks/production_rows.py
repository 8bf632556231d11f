"""The rows that production is asked for, and the request ids in its prediction log; run in the project's environment.

::

    python production_rows.py make FILE      makes the bucket of the storage, and FILE: a body of a request a line
    python production_rows.py logged FILE    FILE gets the logged request ids, a line for each row
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlparse

import fsspec  # type: ignore[import-not-found]
import pandas as pd  # type: ignore[import-untyped]

from modelworks.data.answers import read_answers
from modelworks.project import load_project
from modelworks.settings import load_settings

SOURCE = "data/flights-2013-07.csv.gz"
BODIES = 2000
ALL = 10**9


def make(file: Path) -> None:
    """Different callers, so that a canary gets its share of them."""
    settings = load_settings()
    storage = urlparse(settings.storage_uri)
    fsspec.filesystem(storage.scheme).mkdir(storage.netloc)
    contract = load_project(settings.home).contract
    rows = pd.read_csv(settings.home / SOURCE)[contract.names_of("time", "key", "feature")]
    file.write_text(rows.sample(BODIES, random_state=7).to_json(orient="records", lines=True), encoding="utf-8")


def write_logged(file: Path) -> None:
    """What the log holds once every replica has ended."""
    rows = read_answers(load_settings().storage_uri, datetime(2000, 1, 1, tzinfo=UTC), ALL)
    ids = rows["request_id"].to_pylist() if rows is not None else []
    file.write_text("\n".join(ids), encoding="utf-8")


if __name__ == "__main__":
    {"make": make, "logged": write_logged}[sys.argv[1]](Path(sys.argv[2]))
