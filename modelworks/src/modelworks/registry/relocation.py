"""Artifact locations of the local MLflow store, after the project's folder has been moved, copied or restored.

MLflow records the absolute location of each experiment, run, model and version in its database. A moved project would
find no model, and write new ones into the folder it came from.
"""

import logging
import sqlite3
from contextlib import closing

from modelworks.settings import Settings

log = logging.getLogger(__package__)

BUSY_TIMEOUT_S = 60


def repair_locations(settings: Settings) -> str | None:
    """Replace the folder that the local store was used in by the present one; returns the former, if it was another.

    Does nothing for a tracking server. Of several processes that start at once, one makes the change.
    """
    file = settings.local_store_file
    if not settings.is_mlflow_local or not file.is_file():
        return None
    present = settings.local_artifacts_uri
    with closing(sqlite3.connect(file, timeout=BUSY_TIMEOUT_S)) as database:
        if (former := _find_former(database, present)) is None:
            return None
        with database:
            database.execute("begin immediate")
            if (former := _find_former(database, present)) is None:
                return None
            count = sum(_replace(database, *column, former, present) for column in _find_text_columns(database))
    log.warning("the project was moved: %d locations in %s named %s, and now name %s", count, file, former, present)
    return former


def _find_former(database: sqlite3.Connection, present: str) -> str | None:
    """The root that artifacts had elsewhere; None if the store has no artifacts yet, or they are here."""
    if not _has_table(database, "experiments"):
        return None
    suffix = "/var/mlflow/artifacts"
    query = "select artifact_location from experiments where artifact_location like '%' || ? || '%'"
    roots = {location[: location.rindex(suffix) + len(suffix)] for (location,) in database.execute(query, [suffix])}
    return next(iter(sorted(roots - {present})), None)


def _has_table(database: sqlite3.Connection, name: str) -> bool:
    query = "select count(*) from sqlite_master where type = 'table' and name = ?"
    return bool(database.execute(query, [name]).fetchone()[0])


def _find_text_columns(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """Table and name of each column that holds text."""
    tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
    return [
        (table, name)
        for table in tables
        for _, name, kind, *_ in database.execute(f'pragma table_info("{table}")')
        if kind.upper().startswith(("VARCHAR", "TEXT"))
    ]


def _replace(database: sqlite3.Connection, table: str, column: str, former: str, present: str) -> int:
    """Number of changed rows; names of tables and columns are MLflow's own."""
    change = f'update "{table}" set "{column}" = replace("{column}", ?, ?) where instr("{column}", ?) > 0'  # noqa: S608
    return database.execute(change, [former, present, former]).rowcount
