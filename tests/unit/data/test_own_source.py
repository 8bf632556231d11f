"""A project's own source, as a team writes it."""

import gzip
from pathlib import Path

import pytest

from flights import FLIGHTS
from modelworks.data.files import file_sha256
from modelworks.data.sources.opening import open_source
from modelworks.errors import ConfigError, SourceError
from modelworks.project import SourceFunction
from modelworks.settings import Settings, Source

TEXT = b"a,b\n1,2\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings without a source of their own."""
    return Settings(home=tmp_path, name="flights", source=Source(first="2013-05"))


def fetch(period: str, folder: Path) -> Path:
    file = folder / f"{period}.csv.gz"
    file.write_bytes(gzip.compress(TEXT, mtime=0))
    return file


def test_file_of_the_function_is_the_source_and_its_hash_the_identity(settings: Settings) -> None:
    with open_source(FLIGHTS.contract, settings, "2013-05", fetch) as source:
        assert source.uri == "python:test_own_source.fetch#2013-05"
        assert source.path.name == "2013-05.csv.gz"
        assert gzip.decompress(source.path.read_bytes()) == TEXT
        assert source.sha256 == file_sha256(source.path)
    assert not source.path.exists()


def test_function_takes_precedence_over_the_settings(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "2013-05.csv").write_bytes(TEXT)
    with_files = settings.model_copy(update={"source": Source(uri="{period}.csv", first="2013-05")})
    with open_source(FLIGHTS.contract, with_files, "2013-05", None) as source:
        assert source.uri == str(tmp_path / "2013-05.csv")
    with open_source(FLIGHTS.contract, with_files, "2013-05", fetch) as source:
        assert source.uri.startswith("python:")


def test_no_source_at_all_is_refused_with_the_three_ways_out(settings: Settings) -> None:
    message = r"^\[source\]: neither uri nor query is set, and project.py names no source: set uri .*query .*source="
    with pytest.raises(ConfigError, match=message), open_source(FLIGHTS.contract, settings, "2013-05", None):
        pass


def no_file(period: str, folder: Path) -> Path:
    return folder / "2013-05.csv"


def no_path(period: str, folder: Path) -> str:
    return str(fetch(period, folder))


def other_format(period: str, folder: Path) -> Path:
    return fetch(period, folder).rename(folder / "2013-05.xlsx")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_file, r"no_file#2013-05: returned PosixPath\('.*2013-05.csv'\), which is no file; write the rows to one"),
        (no_path, r"no_path#2013-05: returned '.*', which is no file"),
        (other_format, "returned 2013-05.xlsx, whose name ends in none of .csv, .csv.gz, .parquet"),
    ],
)
def test_function_that_returns_no_file_of_rows_is_named(
    settings: Settings, function: SourceFunction, message: str
) -> None:
    with (
        pytest.raises(SourceError, match=message),
        open_source(FLIGHTS.contract, settings, "2013-05", function),
    ):
        pass


def unreachable(period: str, folder: Path) -> Path:
    raise ConnectionError("the service is down")


def test_error_of_the_function_passes_so_that_it_may_be_retried(settings: Settings) -> None:
    with (
        pytest.raises(ConnectionError, match="the service is down"),
        open_source(FLIGHTS.contract, settings, "2013-05", unreachable),
    ):
        pass
