"""Sources beyond files: a generated project takes its periods from a real PostgreSQL server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends import PostgreSQL, postgresql
from bakes import REPOSITORY, BakedProject, git
from documents import Reader, steps_of
from live_project import PATIENCE_S, free_ports, wait_until

pytestmark = pytest.mark.slow

DRIVERS = {"psycopg2": "psycopg2-binary>=2.9", "psycopg": "psycopg[binary]>=3.2"}
# What a database's types are, and what its drivers make of them, is not what a file has.
TABLE = """create table flights (
    scheduled_departure timestamp, carrier char(2), flight integer, origin varchar(3), dest text,
    distance numeric(8, 2), hour_departures smallint, recent_departures bigint, recent_delay double precision,
    temp real, humidity numeric, wind_dir integer, wind_speed double precision, wind_gust double precision,
    precip numeric, pressure numeric, visibility double precision, dep_delay integer, arr_delay integer,
    delayed boolean);
"""
WRONG = "s3cret"
QUERY = "select * from flights where scheduled_departure >= :start and scheduled_departure < :end"
COMPARE = """
import sys
import pandas as pd
from pathlib import Path
from modelworks import load_project
from modelworks.data import partitions
key = load_project(Path.cwd()).contract.key
ordered = [partitions.read_dataset(partitions.load_dataset(uri)).sort_values(key) for uri in sys.argv[1:]]
pd.testing.assert_frame_equal(*(frame.reset_index(drop=True) for frame in ordered), check_exact=True)
print(len(ordered[0]), "equal rows")
"""


@pytest.fixture(scope="module")
def postgres(project: BakedProject) -> Iterator[PostgreSQL]:
    """A server with a year of flights."""
    with postgresql() as server:
        load_flights(server, project.path / "data")
        yield server


def load_flights(server: PostgreSQL, data: Path) -> None:
    """Copy the sample's twelve periods into a table."""
    server.psql("create database lake", data, "postgres")
    files = sorted(data.glob("flights-*.csv.gz"))
    assert len(files) == 12
    copies = [f"\\copy flights from program 'gzip -dc {each.name}' (format csv, header match)" for each in files]
    server.psql("\n".join([TABLE, *copies]), data)


@pytest.fixture(scope="module")
def drivers(project: BakedProject, uv: str) -> None:
    """What a user adds to the project's dependencies."""
    added = project.run(uv, "pip", "install", "--quiet", "--python", ".venv", *DRIVERS.values())
    assert added.returncode == 0, added.stderr


def from_sql(url: str, query: str = QUERY, storage: str = "var/sql") -> dict[str, str]:
    """What makes a database the source."""
    settings = {"URI": "", "QUERY": query, "SQL_CONNECTION": "warehouse"}
    variables = {f"MODELWORKS_SOURCE__{name}": value for name, value in settings.items()}
    return variables | {"AIRFLOW_CONN_WAREHOUSE": url, "MODELWORKS_STORAGE__URI": storage}


def call(project: BakedProject, *words: str, **environment: str) -> dict[str, str]:
    """What a stage prints."""
    done = project.run(project.command, *words, **environment)
    assert done.returncode == 0, done.stderr
    facts: dict[str, str] = json.loads(done.stdout)
    return facts


def clean(project: BakedProject, **environment: str) -> str:
    """The dataset of clean rows of all periods."""
    raw = call(project, "ingest", **environment)
    assert raw["summary"].startswith("12 periods 2013-01 to 2013-12, 111,279 rows")
    return call(project, "validate", "--dataset", raw["dataset_uri"], **environment)["dataset_uri"]


def files_with(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


@pytest.mark.usefixtures("drivers")
def test_clean_rows_from_postgresql_are_those_from_files(project: BakedProject, postgres: PostgreSQL) -> None:
    datasets = [clean(project), clean(project, **from_sql(postgres.url("psycopg2")))]
    compared = project.run(project.path / ".venv/bin/python", "-c", COMPARE, *datasets)
    assert compared.stdout == "111279 equal rows\n", compared.stderr
    manifest = json.loads((project.path / "var/sql/raw/2013-05/v1/manifest.json").read_text())
    assert manifest["source"].startswith(f"postgresql+psycopg2://ada@127.0.0.1:{postgres.port}/lake#query-sha256=")


@pytest.mark.usefixtures("drivers")
def test_periods_are_found_again_by_another_driver_and_in_another_order(
    project: BakedProject, postgres: PostgreSQL
) -> None:
    first = call(project, "ingest", "--period", "2013-03", **from_sql(postgres.url("psycopg2")))
    query = f"{QUERY} order by distance, flight desc"
    again = call(project, "ingest", "--period", "2013-03", **from_sql(postgres.url("psycopg"), query))
    assert again["dataset_uri"] == first["dataset_uri"]
    assert again["summary"].endswith("(0 new)")


@pytest.mark.usefixtures("drivers")
def test_page_about_postgresql_leads_to_its_periods(project: BakedProject, postgres: PostgreSQL) -> None:
    address = {"reader:password@db.example.com:5432": f"ada:{postgres.password}@127.0.0.1:{postgres.port}"}
    reader = Reader(project.path, {"MODELWORKS_STORAGE__URI": "var/page"}, replaced=address)
    try:
        reader.follow(steps_of(REPOSITORY / "docs" / "how-to" / "use-postgresql.md"))
    finally:
        git(project.path, "checkout", "--quiet", ".")
        (project.path / ".env").unlink()
        # The page changes pyproject.toml, which is as before now; make would install anew, without the drivers.
        (project.path / ".venv/installed").touch()


REFUSALS = {
    "password": 'password authentication failed for user "ada"',
    "server": "error: ConnectionError: postgresql",
    "table": 'relation "flight" does not exist',
    "column": 'column "speed" does not exist',
    "database": 'database "pond" does not exist',
    "syntax": 'syntax error at or near "selct"',
    "value": "division by zero",
}


@pytest.mark.usefixtures("drivers")
@pytest.mark.parametrize(
    ("driver", "fault"),
    [*(("psycopg", fault) for fault in REFUSALS), *(("psycopg2", fault) for fault in ("password", "server", "table"))],
)
def test_what_the_database_refuses_is_one_line_without_a_password(
    project: BakedProject, postgres: PostgreSQL, driver: str, fault: str
) -> None:
    queries = {
        "table": QUERY.replace("flights", "flight"),
        "column": QUERY.replace("*", "speed"),
        "syntax": QUERY.replace("select", "selct"),
        "value": QUERY.replace("*", "1 / 0"),
    }
    urls = {
        "password": postgres.url(driver, password=WRONG),
        "server": postgres.url(driver, port=free_ports(0)[0]),
        "database": postgres.url(driver, database="pond"),
    }
    source = from_sql(urls.get(fault, postgres.url(driver)), queries.get(fault, QUERY), "var/none")
    done = project.run(project.command, "ingest", **source)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert REFUSALS[fault] in done.stderr
    # What may pass is of another kind, which is retried.
    assert ("ConnectionError" in done.stderr) == (fault == "server")
    for word in (postgres.password, WRONG, "Traceback"):
        assert word not in done.stderr
    assert not (project.path / "var/none").exists()


@pytest.mark.usefixtures("drivers")
def test_connection_that_drops_half_way_leaves_nothing_and_may_be_tried_again(
    project: BakedProject, postgres: PostgreSQL
) -> None:
    slow = QUERY.replace("*", "flights.*").replace("from flights", "from flights, pg_sleep(3600)")
    command = [str(project.command), "ingest", "--period", "2013-02"]
    environment = os.environ | from_sql(postgres.url(), slow, "var/dropped")
    # With a cursor at the server, the query that it shows is the cursor's FETCH.
    kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity where wait_event = 'PgSleep'"
    with subprocess.Popen(command, cwd=project.path, env=environment, stderr=subprocess.PIPE, text=True) as running:
        try:
            wait_until("the query", lambda: postgres.psql(kill, project.path) == "1")
            _, said = running.communicate(timeout=PATIENCE_S)
        finally:
            running.kill()
    assert running.returncode == 1
    assert said.startswith("error: ConnectionError: postgresql")
    assert not list((project.path / "var/dropped").rglob("*.parquet"))


@pytest.mark.usefixtures("drivers")
def test_password_is_nowhere_in_what_a_run_leaves(project: BakedProject, postgres: PostgreSQL) -> None:
    """Of a run that ends well, and of one that fails: logs of Airflow, MLflow's database, manifests."""
    good = project.run("make", "run", **from_sql(postgres.url()))
    assert "is the champion" in good.stdout, good.stdout
    bad = project.run("make", "run", **from_sql(postgres.url(password=WRONG), storage="var/none"))
    assert bad.returncode != 0
    assert "password authentication failed" in bad.stdout
    var = project.path / "var"
    assert files_with(var, f"ada@127.0.0.1:{postgres.port}/lake")  # that the search does find
    for password in (postgres.password, WRONG):
        assert not files_with(var, password)
        assert password not in good.stdout + good.stderr + bad.stdout + bad.stderr


@pytest.mark.parametrize(
    ("setting", "uri", "package"),
    [
        ("SOURCE__URI", "gs://lake/{period}.csv", "gcsfs"),
        ("LABELS__URI", "gs://lake/{period}.csv", "gcsfs"),
        ("STORAGE__URI", "abfs://lake/store", "adlfs"),
    ],
)
def test_store_whose_package_is_missing_is_one_line_that_names_it(
    project: BakedProject, setting: str, uri: str, package: str
) -> None:
    environment = {f"MODELWORKS_{setting}": uri}
    done = project.run(project.command, "ingest", "--period", "2013-02", **environment)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {uri.partition('{')[0]}")
    assert f"add {package} to the dependencies in pyproject.toml" in done.stderr
