"""Queries of a real SQLite database; `../integration/test_sql.py` has the stages on top of them."""

import math
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from flights import FLIGHTS
from modelworks.data.sources.files import read_source
from modelworks.data.sources.sql import describe, fetch_period, read_connection, redact, to_text
from modelworks.errors import ConfigError, ContractError, PipelineError, SourceError
from modelworks.settings import Settings, Source

QUERY = "select * from flights where scheduled_departure >= :start and scheduled_departure < :end"
COLUMNS = list(FLIGHTS.contract.dtypes)
VARIABLE = "AIRFLOW_CONN_WAREHOUSE"


def to_settings(settings: Settings, query: str = QUERY) -> Settings:
    source = Source(query=query, sql_connection="warehouse", first="2013-05")
    return settings.model_copy(update={"source": source})


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a query of a database beside them."""
    monkeypatch.setenv(VARIABLE, "sqlite:///flights.db")
    settings = Settings(home=tmp_path, name="flights", source=Source(first="2013-05"))
    return to_settings(settings)


def fill(home: Path, frame: pd.DataFrame) -> None:
    with closing(sqlite3.connect(home / "flights.db")) as database:
        frame.to_sql("flights", database, index=False, if_exists="replace")


def fetch_sha256(settings: Settings, period: str = "2013-05") -> str:
    with fetch_period(FLIGHTS.contract, settings, period, COLUMNS) as fetched:
        return fetched.sha256


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("", ""),
        ("JFK", "JFK"),
        (7, "7"),
        (True, "1"),
        (7.0, "7"),
        (0.1, "0.1"),
        (-4.4, "-4.4"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (Decimal("7.00"), "7"),
        (Decimal("1.25"), "1.25"),
        (Decimal("Infinity"), "Infinity"),
        (date(2013, 5, 1), "2013-05-01"),
        (datetime(2013, 5, 1, 6, 5), "2013-05-01 06:05:00"),
        (datetime(2013, 5, 1, 6, 5, tzinfo=UTC), "2013-05-01 06:05:00+00:00"),
        (b"JFK", "JFK"),
        (memoryview(b"\xff"), r"\xff"),
    ],
)
def test_value_is_written_as_a_csv_file_would_have_it(value: object, text: str | None) -> None:
    assert to_text(value) == text


def test_rows_are_those_of_the_contract_and_typed(tmp_path: Path, settings: Settings, rows) -> None:
    frame = rows(3, temp=[None, 60.25, -0.1])
    fill(tmp_path, frame[frame.columns[::-1]])
    with fetch_period(FLIGHTS.contract, settings, "2013-05", COLUMNS) as fetched:
        found = pd.concat(batch.to_pandas() for batch in read_source(FLIGHTS.contract, fetched.path, settings.source))
    pd.testing.assert_frame_equal(found, frame)
    assert not fetched.path.exists()


def test_period_has_its_first_moment_and_not_that_of_the_next(tmp_path: Path, settings: Settings, rows) -> None:
    moments = ["2013-04-30 23:59:59", "2013-05-01 00:00:00", "2013-05-31 23:59:59", "2013-06-01 00:00:00"]
    fill(tmp_path, rows(4, scheduled_departure=moments))
    with fetch_period(FLIGHTS.contract, settings, "2013-05", COLUMNS) as fetched:
        found = pq.read_table(fetched.path)["scheduled_departure"].to_pylist()
    assert found == ["2013-05-01 00:00:00", "2013-05-31 23:59:59"]


def test_december_ends_with_the_year(tmp_path: Path, settings: Settings, rows) -> None:
    fill(tmp_path, rows(2, scheduled_departure=["2013-12-31 23:59:59", "2014-01-01 00:00:00"]))
    with fetch_period(FLIGHTS.contract, settings, "2013-12", COLUMNS) as fetched:
        assert pq.read_table(fetched.path).num_rows == 1


def test_rows_are_fetched_in_batches(tmp_path: Path, settings: Settings, rows, monkeypatch) -> None:
    monkeypatch.setattr("modelworks.data.sources.sql.BATCH_ROWS", 2)
    fill(tmp_path, rows(5))
    with fetch_period(FLIGHTS.contract, settings, "2013-05", COLUMNS) as fetched, pq.ParquetFile(fetched.path) as file:
        assert [file.metadata.row_group(each).num_rows for each in range(file.num_row_groups)] == [2, 2, 1]


def test_identity_is_that_of_the_rows_whatever_their_order(tmp_path: Path, settings: Settings, rows) -> None:
    frame = rows(4)
    identities = {}
    for name, changed in {
        "as it was": frame,
        "other order": frame.iloc[::-1],
        "other order of columns": frame[frame.columns[::-1]],
        "another value": frame.assign(flight=[1, 1, 1, 2]),
        "values swapped": frame.assign(delayed=[1, 0, 1, 0]),
        "a row twice": pd.concat([frame, frame.head(1)]),
        "null for a value": frame.assign(carrier=["AA", "AA", "AA", None]),
        "empty for a value": frame.assign(carrier=["AA", "AA", "AA", ""]),
    }.items():
        fill(tmp_path, changed)
        identities[name] = fetch_sha256(settings)
    first, same, same_as_well, *others = identities.values()
    assert first == same == same_as_well
    assert len({first, *others}) == 6


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("postgresql+psycopg2://ada:p%40ss@db:5432/lake?sslmode=require", None),
        ("postgres://ada:p%40ss@db/lake", "postgresql://ada:p%40ss@db/lake"),
        (
            '{"conn_type": "postgres", "login": "ada", "password": "p@ss", "host": "db", "port": 5432, '
            '"schema": "lake", "extra": {"sslmode": "require"}}',
            "postgresql://ada:p%40ss@db:5432/lake?sslmode=require",
        ),
        (
            '{"conn_type": "generic", "host": "db", "extra": "{\\"sqlalchemy_scheme\\": \\"mysql+pymysql\\"}"}',
            "mysql+pymysql://db",
        ),
        ('{"conn_type": "sqlite", "host": ":memory:"}', "sqlite:///%3Amemory%3A"),
    ],
)
def test_connection_is_a_url_or_one_of_airflow(settings: Settings, monkeypatch, given: str, url: str | None) -> None:
    monkeypatch.setenv(VARIABLE, given)
    found = read_connection(settings.source, settings.home)
    assert found.render_as_string(hide_password=False) == (url or given)


@pytest.mark.parametrize(
    "given",
    ["s3cret", "postgresql://ada:x@s3cret:y@db:1/lake", '{"password": "s3cret"}', '{"password": "s3cret"', '{"a"}'],
)
def test_what_is_no_connection_is_refused_and_not_shown(settings: Settings, monkeypatch, given: str) -> None:
    monkeypatch.setenv(VARIABLE, given)
    with pytest.raises(ConfigError, match=f"^environment variable {VARIABLE}: neither a URL such as post") as refused:
        fetch_sha256(settings)
    assert "s3cret" not in str(refused.value)


def test_connection_that_is_not_there_is_asked_for(settings: Settings, monkeypatch) -> None:
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(ConfigError, match=rf"{VARIABLE}: not set; .source. sql_connection = 'warehouse' wants"):
        fetch_sha256(settings)


def test_manifest_names_the_database_and_the_query_and_no_secret(settings: Settings, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, "postgresql://ada:s3cret@db:5432/lake?sslpassword=s3cret")
    uri = describe(read_connection(settings.source, settings.home), "select 1")
    # echo -n "select 1" | sha256sum
    assert uri == (
        "postgresql://ada@db:5432/lake#query-sha256=822ae07d4783158bc1912bb623e5107cc9002d519e1143a9c200ed6ee18b6d0f"
    )


def test_secrets_are_taken_out_of_what_a_driver_says(settings: Settings, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, "postgresql://ada:p%40ss@db/lake?sslpassword=s3cret&sslmode=require")
    url = read_connection(settings.source, settings.home)
    said = 'no "p@ss", "s3cret" or "require" in the conninfo of ada'
    assert redact(said, url) == 'no "***", "***" or "require" in the conninfo of ada'


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (QUERY.replace("flights", "flight"), SourceError, "period 2013-05: no such table: flight; see .source. query"),
        (QUERY.replace("*", "temperature"), SourceError, "no such column: temperature"),
        (QUERY.replace("select", "selct"), SourceError, 'near "selct": syntax error'),
        (QUERY.replace("*", "*, 1 as one"), ContractError, "columns not in the contract 'one'; fix the source"),
        (QUERY.replace("*", "*, temp"), ContractError, "columns twice 'temp'"),
        (QUERY.replace("*", "temp"), ContractError, "columns missing 'scheduled_departure', 'carrier'"),
        (f"{QUERY} and 1 = 0", SourceError, "no rows from 2013-05-01 to before 2013-06-01; see .source. query"),
        ("delete from flights where temp between :start and :end", SourceError, "does not return rows"),
    ],
)
def test_query_that_does_not_give_the_rows_is_named(
    tmp_path: Path, settings: Settings, rows, query: str, error: type, message: str
) -> None:
    fill(tmp_path, rows(2))
    with pytest.raises(error, match=message) as refused:
        fetch_sha256(to_settings(settings, query))
    assert str(refused.value).startswith(f"sqlite:///{tmp_path}/flights.db#query-sha256=")
    assert fetch_sha256(settings)  # and nothing is deleted


def test_file_that_is_not_there_is_not_made(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(SourceError, match=rf"sqlite:///{tmp_path}/flights.db: no such file; .*{VARIABLE}"):
        fetch_sha256(settings)
    assert not (tmp_path / "flights.db").exists()


def test_file_that_is_no_database_is_named(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "flights.db").write_text("a,b\n1,2\n" * 100)
    with pytest.raises(SourceError, match="not a database"):
        fetch_sha256(settings)


@pytest.mark.parametrize(
    ("scheme", "module", "message"),
    [
        ("postgresql", "psycopg", r"the driver psycopg cannot be imported \(.*\); add psycopg\[binary\] to the dep"),
        ("postgresql+psycopg2", "psycopg2", "the driver psycopg2 .*; add psycopg2-binary to the dependencies in pypr"),
        ("nosuchdb", "nosuchdb", "no dialect 'nosuchdb' here; add the package that brings it, such as nosuchdb-"),
    ],
)
def test_driver_that_is_not_installed_is_named_with_its_package(
    settings: Settings, monkeypatch, scheme: str, module: str, message: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not there
    monkeypatch.setenv(VARIABLE, f"{scheme}://ada:s3cret@127.0.0.1/lake")
    with pytest.raises(SourceError, match=message) as refused:
        fetch_sha256(settings)
    assert "s3cret" not in str(refused.value)


def test_database_that_is_busy_may_be_tried_again(tmp_path: Path, settings: Settings, rows, monkeypatch) -> None:
    fill(tmp_path, rows(2))
    monkeypatch.setenv(VARIABLE, "sqlite:///flights.db?timeout=0.1")
    with closing(sqlite3.connect(tmp_path / "flights.db", isolation_level=None)) as other:
        other.execute("begin exclusive")
        with pytest.raises(ConnectionError, match="period 2013-05: database is locked") as refused:
            fetch_sha256(settings)
        assert not isinstance(refused.value, PipelineError)
    assert fetch_sha256(settings)
