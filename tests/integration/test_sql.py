"""Periods from a SQL database, against the same periods from files; real storage, a real MLflow and a real Airflow."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from flights import FLIGHTS, read_sample
from modelworks import stages
from modelworks.data import frames, partitions
from modelworks.errors import SourceChangedError
from modelworks.settings import ENV_PREFIX, Settings, load_settings

PERIODS = ("2013-05", "2013-06", "2013-07")
QUERY = "select * from flights where scheduled_departure >= :start and scheduled_departure < :end"
VARIABLE = "AIRFLOW_CONN_WAREHOUSE"


@pytest.fixture
def from_files(project: Path) -> pd.DataFrame:
    """The clean rows of the project's files."""
    return clean_rows("files")


@pytest.fixture
def database(project: Path, from_files: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose periods are in a database and no longer in files."""
    fill(project, pd.concat(read_sample(period).iloc[::3] for period in PERIODS))
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__URI", "")
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__QUERY", QUERY)
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__SQL_CONNECTION", "warehouse")
    monkeypatch.setenv(f"{ENV_PREFIX}STORAGE__URI", "var/sql")
    monkeypatch.setenv(VARIABLE, "sqlite:///flights.db")
    return project / "flights.db"


def fill(project: Path, text: pd.DataFrame) -> None:
    """Make the table anew, in types as a database has them: text, integer and real, and null for what is empty."""
    typed = {name: frames.parse(FLIGHTS.contract, name, column.where(column != "")) for name, column in text.items()}
    moments = typed[FLIGHTS.contract.time].dt.strftime("%Y-%m-%d %H:%M:%S")
    with closing(sqlite3.connect(project / "flights.db")) as database:
        pd.DataFrame({**typed, FLIGHTS.contract.time: moments}).to_sql(
            "flights", database, index=False, if_exists="replace"
        )


def change(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        assert connection.execute(statement).rowcount > 0


def clean_rows(name: str) -> pd.DataFrame:
    clean = stages.validate(FLIGHTS, load_settings(), stages.ingest(FLIGHTS, load_settings()).dataset_uri, name)
    return partitions.read_dataset(partitions.load_dataset(clean.dataset_uri))


def newest_raw(settings: Settings) -> list[partitions.Partition]:
    return partitions.find_partitions(settings.storage_uri, "raw", "2013-07")


def test_clean_rows_are_those_of_the_files(database: Path, from_files: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(clean_rows("sql"), from_files)


def test_period_is_found_again_in_whatever_order_its_rows_come(database: Path, monkeypatch) -> None:
    first = stages.ingest(FLIGHTS, load_settings())
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__QUERY", f"{QUERY} order by distance desc, flight")
    again = stages.ingest(FLIGHTS, load_settings())
    assert again.dataset_uri == first.dataset_uri
    assert again.summary.endswith("(0 new)")


def test_period_that_has_changed_is_refused_unless_it_is_taken_as_a_new_version(database: Path) -> None:
    stages.ingest(FLIGHTS, load_settings())
    change(database, "update flights set temp = temp + 1 where scheduled_departure like '2013-07-31%'")
    with pytest.raises(
        SourceChangedError, match=r"^sqlite:///.*/flights.db#query-sha256=.*: changed since it was ingested"
    ):
        stages.ingest(FLIGHTS, load_settings())
    stages.ingest(FLIGHTS, load_settings(), refresh=True)
    assert [each.version for each in newest_raw(load_settings())] == [1, 2]
    assert "(0 new)" in stages.ingest(FLIGHTS, load_settings()).summary


def test_row_with_a_value_that_does_not_parse_is_quarantined(database: Path) -> None:
    change(database, "update flights set distance = 'far' where rowid = (select max(rowid) from flights)")
    clean_rows("sql")
    settings = load_settings()
    [quarantined] = partitions.find_partitions(settings.storage_uri, "quarantine", "2013-07")
    assert partitions.read_partition(quarantined)["distance"].tolist() == ["far"]


def test_labels_in_files_of_their_own_join_the_rows_of_a_database(
    project: Path, database: Path, from_files: pd.DataFrame, monkeypatch
) -> None:
    others = [name for name in FLIGHTS.contract.dtypes if name not in FLIGHTS.contract.outcomes]
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__QUERY", QUERY.replace("*", ", ".join(others)))
    monkeypatch.setenv(f"{ENV_PREFIX}LABELS__URI", "data/labels-{period}.csv")
    for period in PERIODS:
        labels = read_sample(period).iloc[::3][FLIGHTS.contract.label_columns]
        labels.to_csv(project / "data" / f"labels-{period}.csv", index=False)
    pd.testing.assert_frame_equal(clean_rows("sql"), from_files)


@pytest.fixture
def ingest_by_airflow(database: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Run the DAG `ingestion` on an Airflow that may know the connection; the environment does not."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

    initdb()
    monkeypatch.delenv(VARIABLE)
    dag = DagBag(database.parent / "dags" / "ingestion.py").dags["flight_delays_ingestion"]
    return lambda: dag.test(logical_date=None, run_conf={"period": "2013-07"})


def test_connection_may_be_kept_in_airflow(database: Path, ingest_by_airflow: Callable) -> None:
    from airflow.models import Connection
    from airflow.utils.session import create_session

    kept = Connection(conn_id="warehouse", conn_type="sqlite", host=str(database))  # noqa: AIR311 - in its database
    with create_session() as session:
        session.add(kept)
    try:
        assert ingest_by_airflow().state == "success"
    finally:
        with create_session() as session:
            session.delete(session.merge(kept))
    [raw] = newest_raw(load_settings())
    assert raw.source.startswith(f"sqlite:///{database}#query-sha256=")


def test_connection_that_nobody_has_fails_the_run_at_once(ingest_by_airflow: Callable, webhook) -> None:
    run = ingest_by_airflow()
    states = {task.task_id: (task.state, task.try_number) for task in run.get_task_instances()}
    assert states["ingest"] == ("failed", 1)
    [message] = webhook.messages
    assert VARIABLE in json.dumps(message)
