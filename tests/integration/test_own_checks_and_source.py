"""A project's own data checks and its own source, on real periods, real storage and a real MLflow."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from flights import FLIGHTS, read_sample, write_source
from modelworks import stages
from modelworks.checks import Check
from modelworks.data import partitions
from modelworks.data.files import file_sha256
from modelworks.data.partitions import load_dataset
from modelworks.errors import ConfigError, ContractError, SourceChangedError
from modelworks.project import Project
from modelworks.registry.files import DATA_WARNINGS_FILE, VALIDATION_REPORT_FILE
from modelworks.registry.tracker import Tracker
from modelworks.settings import ENV_PREFIX, load_settings

PERIODS = ("2013-05", "2013-06", "2013-07")


def with_checks(*checks) -> Project:
    return replace(FLIGHTS, data_checks=checks)


def validate(project: Project, name: str = "first"):
    raw = stages.ingest(project, load_settings())
    return stages.validate(project, load_settings(), raw.dataset_uri, name)


def read_report() -> str:
    """The newest validation report, its tables without padding."""
    runs = Tracker(FLIGHTS, load_settings()).runs
    return re.sub(" +", " ", runs.load_text(runs.latest(1)[0].run_id, VALIDATION_REPORT_FILE))


def not_in_july(rows: pd.DataFrame) -> Check:
    periods = rows["scheduled_departure"].dt.strftime("%Y-%m").unique().tolist()
    return Check("no July", periods != ["2013-07"], f"rows of {', '.join(periods)}, {len(rows):,} of them")


def never_perfect(rows: pd.DataFrame) -> Check:
    return Check("perfection", False, f"{len(rows):,} rows", fatal=False)


def divides_by_zero(rows: pd.DataFrame) -> Check:
    return Check("ratio", 1 / (len(rows) - len(rows)) > 0, "")


def test_check_that_passes_is_in_the_report(project: Path) -> None:
    validate(with_checks(lambda rows: Check("enough rows", len(rows) > 3000, f"{len(rows):,} rows")))
    report = read_report()
    assert "| enough rows | pass | 3,133 rows |" in report
    assert report.count("enough rows") == len(PERIODS)


def test_fatal_check_stops_the_run_and_the_period_is_not_published(project: Path) -> None:
    with pytest.raises(ContractError, match=r"raw/2013-07/v1: no July: rows of 2013-07, 3,341 of them"):
        validate(with_checks(not_in_july))
    assert partitions.list_periods(load_settings().storage_uri, "clean") == ["2013-05", "2013-06"]
    assert "| no July | FAIL | rows of 2013-07, 3,341 of them |" in read_report()
    assert validate(FLIGHTS, "second").rows == 9632


def test_period_that_is_clean_already_is_checked_as_well(project: Path) -> None:
    validate(FLIGHTS)
    with pytest.raises(ContractError, match="no July"):
        validate(with_checks(not_in_july), "second")


def test_check_that_is_not_fatal_is_a_warning(project: Path) -> None:
    validated = validate(with_checks(never_perfect))
    assert validated.summary.endswith("3 warnings in the report")
    warnings = Tracker(FLIGHTS, load_settings()).runs.load_json(validated.run_id, DATA_WARNINGS_FILE)
    assert warnings == ["data of 2013-07, perfection: 3,341 rows"]


def test_check_that_raises_stops_the_run_and_is_named(project: Path) -> None:
    with pytest.raises(ContractError, match=r"data check divides_by_zero of checks.py: ZeroDivisionError: division"):
        validate(with_checks(divides_by_zero))
    assert partitions.list_periods(load_settings().storage_uri, "clean") == []


@pytest.fixture
def own_source(project: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose periods come from a function; its settings name no files."""
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__URI", "")

    def copy_of_file(period: str, folder: Path) -> Path:
        file = project / "data" / f"flights-{period}.csv.gz"
        return Path(shutil.copy(file, folder))

    return replace(FLIGHTS, source=copy_of_file)


def test_function_gives_the_same_rows_as_files(project: Path, own_source: Project, monkeypatch) -> None:
    by_function = load_dataset(validate(own_source).dataset_uri)
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__URI", "data/flights-{period}.csv.gz")
    monkeypatch.setenv(f"{ENV_PREFIX}STORAGE__URI", "var/files")
    by_files = load_dataset(validate(FLIGHTS).dataset_uri)
    assert by_function.digest == by_files.digest
    [raw] = partitions.find_partitions(str(project / "var" / "data"), "raw", "2013-05")
    assert raw.source.startswith("python:test_own_checks_and_source.")
    assert raw.source_sha256 == file_sha256(project / "data" / "flights-2013-05.csv.gz")


def test_period_that_the_function_gives_otherwise_is_refused(project: Path, own_source: Project) -> None:
    stages.ingest(own_source, load_settings())
    assert stages.ingest(own_source, load_settings()).summary.endswith("(0 new)")
    write_source(project, "2013-07", read_sample("2013-07").iloc[::4])
    with pytest.raises(SourceChangedError, match=r"^python:.*copy_of_file#2013-07: changed since it was ingested"):
        stages.ingest(own_source, load_settings())
    assert stages.ingest(own_source, load_settings(), refresh=True).summary.endswith("(1 new)")


def test_settings_without_a_source_want_one_of_the_project(own_source: Project) -> None:
    with pytest.raises(ConfigError, match=r"^\[source\]: neither uri nor query is set, and project.py names no source"):
        stages.ingest(FLIGHTS, load_settings())
