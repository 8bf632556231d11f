"""A period by a query of a SQL database, fetched into a file of texts that is read like any other source.

So a database's values are checked like those of a CSV file: rows with a value that does not parse are quarantined.
"""

import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from modelworks.calendar import first_day, shift_period
from modelworks.contract import Contract
from modelworks.data.sources.files import check_columns
from modelworks.errors import ConfigError, NoRowsError, SourceError
from modelworks.settings import Settings, Source

BATCH_ROWS = 20_000

# Airflow's names that differ from SQLAlchemy's, and packages whose names differ from their driver's.
DIALECTS = {"postgres": "postgresql"}
PACKAGES = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "mysqldb": "mysqlclient"}

# Errors that a retry does not fix, of classes that drivers raise for a dropped connection as well.
FINAL = re.compile(
    r"authentication failed|access denied|login failed|permission denied|does not exist|unknown (database|column)"
    r"|no such (table|column)|syntax error|unable to open database file|not a database|invalid .*option",
    re.IGNORECASE,
)
SECRET = re.compile(r"pass|secret|token|key", re.IGNORECASE)


@dataclass(frozen=True)
class Fetched:
    """A fetched period.

    Attributes
    ----------
    uri : of the database, without secrets, and the query's SHA-256
    path : Parquet, every value as text
    sha256 : of the columns and rows, in whatever order they came
    """

    uri: str
    path: Path
    sha256: str


@contextmanager
def fetch_period(contract: Contract, settings: Settings, period: str, columns: list[str]) -> Iterator[Fetched]:
    """Run the query for a period; the file is removed afterwards.

    Parameters
    ----------
    columns : of the contract, which the query has to return, in any order, and no others

    Raises
    ------
    ConfigError
        If the connection is not set, or is not valid.
    SourceError
        If the database refuses user, password or query, or its driver is not installed.
    NoRowsError
        If the query returns no rows for the period.
    ContractError
        If a column is missing or unexpected.
    ConnectionError
        If the database cannot be reached, or the connection drops; a retry may help.
    """
    url = read_connection(settings.source, settings.home)
    uri = describe(url, settings.source.query)
    with tempfile.TemporaryDirectory(prefix="fetched-") as folder:
        path = Path(folder) / f"{period}.parquet"
        try:
            sha256 = _spool(contract, _open_engine(url, uri), settings.source.query, period, columns, path, uri)
        except DBAPIError as error:
            raise _explain(error, url, f"{uri}, period {period}", settings.source) from None
        except SQLAlchemyError as error:
            raise SourceError(f"{uri}: {redact(str(error), url)}; see [source] query in pipeline.toml") from None
        yield Fetched(uri, path, sha256)


def read_connection(source: Source, home: Path) -> URL:
    """The URL in the connection's environment variable, which may also hold Airflow's JSON.

    Parameters
    ----------
    home : where relative paths of SQLite files start
    """
    variable = source.connection_variable
    given = os.environ.get(variable, "").strip()
    if not given:
        raise ConfigError(
            f"environment variable {variable}: not set; [source] sql_connection = {source.sql_connection!r} wants the "
            "database's URL there (or in .env), such as postgresql://user:password@host/database, or, in Airflow, a "
            "connection of that name"
        )
    try:
        url = _from_airflow(json.loads(given)) if given.startswith("{") else make_url(given)
        url = url.set(drivername=DIALECTS.get(url.drivername, url.drivername))
    except (ArgumentError, AttributeError, KeyError, TypeError, ValueError):
        # Their messages quote the value.
        raise ConfigError(
            f"environment variable {variable}: neither a URL such as postgresql://user:password@host/database, with "
            "characters like @ and / in the password written as %40 and %2F, nor an Airflow connection as JSON"
        ) from None
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":", "file:")):
        return url
    file = home / url.database
    if not file.is_file():
        raise SourceError(f"sqlite:///{file}: no such file; see environment variable {variable}")
    return url.set(database=str(file))


def _from_airflow(about: dict[str, Any]) -> URL:
    extra = about.get("extra") or {}
    extra = dict(json.loads(extra) if isinstance(extra, str) else extra)
    dialect = extra.pop("sqlalchemy_scheme", None) or about["conn_type"]
    host, database = about.get("host"), about.get("schema")
    if dialect == "sqlite":
        host, database = None, host or database
    return URL.create(
        dialect,
        about.get("login"),
        about.get("password"),
        host,
        int(about["port"]) if about.get("port") else None,
        database,
        {name: str(value) for name, value in extra.items()},
    )


def describe(url: URL, query: str) -> str:
    """The source in a period's manifest: the database without password and options, and the query's SHA-256."""
    place = URL.create(url.drivername, url.username, None, url.host, url.port, url.database)
    return f"{place.render_as_string(hide_password=False)}#query-sha256={hashlib.sha256(query.encode()).hexdigest()}"


def _open_engine(url: URL, uri: str) -> Engine:
    remedy = "to the dependencies in pyproject.toml, then make lock and make setup"
    try:
        return create_engine(url, poolclass=NullPool, hide_parameters=True)
    except NoSuchModuleError:
        dialect = url.get_backend_name()
        raise SourceError(
            f"{uri}: SQLAlchemy has no dialect {url.drivername!r} here; add the package that brings it, such as "
            f"{dialect}-sqlalchemy, {remedy}"
        ) from None
    except ImportError as error:
        driver = url.get_driver_name()
        raise SourceError(
            f"{uri}: the driver {driver} cannot be imported ({error}); add {PACKAGES.get(driver, driver)} {remedy}"
        ) from None


def _spool(
    contract: Contract, engine: Engine, query: str, period: str, columns: list[str], path: Path, uri: str
) -> str:
    """Write the rows of a period to a file, in batches; returns the SHA-256 of what was read.

    A query without an order may return its rows in another order each time. So each row is hashed, and then the sorted
    hashes are: 32 bytes in memory for each row of the period.
    """
    start, end = first_day(period), first_day(shift_period(period, 1))
    statement = text(query).bindparams(start=start, end=end)
    fields = pa.schema([(name, pa.large_string()) for name in columns])
    digests = bytearray()
    # With `yield_per`, drivers that can do so leave the rows on the server and fetch them in batches.
    with engine.connect().execution_options(yield_per=BATCH_ROWS) as connection, pq.ParquetWriter(path, fields) as file:
        result = connection.execute(statement)
        found = list(result.keys())
        check_columns(contract, uri, found, columns, ",")
        at = [found.index(name) for name in columns]
        for batch in result.partitions(BATCH_ROWS):
            rows = [tuple(to_text(row[index]) for index in at) for row in batch]
            digests += b"".join(hashlib.sha256(repr(row).encode()).digest() for row in rows)
            arrays = [pa.array(values, pa.large_string()) for values in zip(*rows, strict=True)]
            file.write_batch(pa.record_batch(arrays, schema=fields))
    if not digests:
        raise NoRowsError(f"{uri}: no rows from {start} to before {end}; see [source] query in pipeline.toml")
    np.frombuffer(digests, "S32").sort()  # in place
    whole = hashlib.sha256(repr(columns).encode())
    whole.update(digests)
    return whole.hexdigest()


def to_text(value: Any) -> str | None:
    """A value as in a CSV file; whole numbers without a fraction, so that an integer column parses them."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float | Decimal) and math.isfinite(value) and value % 1 == 0:
        return f"{value:.0f}"
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode(errors="backslashreplace")
    return str(value)


def _explain(error: DBAPIError, url: URL, where: str, source: Source) -> Exception:
    message = redact(" ".join(str(error.orig).split()), url)
    may_pass = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    if may_pass and not FINAL.search(message):
        return ConnectionError(f"{where}: {message}")
    return SourceError(f"{where}: {message}; see [source] query in pipeline.toml, and {source.connection_variable}")


def redact(message: str, url: URL) -> str:
    """A driver's message, without the secrets that it may quote."""
    options = [str(value) for name, value in url.query.items() if SECRET.search(name)]
    for secret in filter(None, [str(url.password or ""), *options]):
        message = message.replace(secret, "***")
    return message
