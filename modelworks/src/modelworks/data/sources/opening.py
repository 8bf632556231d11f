"""A period's rows as a local file, wherever they come from: a URI, a query, or the project's own function."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelworks.contract import Contract
from modelworks.data import files
from modelworks.data.sources import sql
from modelworks.errors import ConfigError, NoRowsError, SourceError
from modelworks.project import SourceFunction
from modelworks.settings import Settings

SUFFIXES = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True)
class SourceFile:
    """A period of the source as a local file.

    Attributes
    ----------
    uri : where it is from
    sha256 : of the file's bytes; of the rows, whatever their order, if it is from a database
    is_at_uri : whether the file itself is at `uri`, where other machines find it as well
    """

    uri: str
    path: Path
    sha256: str
    is_at_uri: bool = False


@contextmanager
def open_source(
    contract: Contract, settings: Settings, period: str, fetch: SourceFunction | None
) -> Iterator[SourceFile]:
    """The rows of a period; what had to be fetched is removed afterwards.

    Parameters
    ----------
    fetch : the project's own source; takes precedence over `[source]`

    Raises
    ------
    ConfigError
        If neither `[source]` nor the project names a source.
    NoRowsError
        If the source has no such period.
    SourceError
        If the function returns no file.
    """
    if fetch:
        with _open_own(fetch, period) as source:
            yield source
    elif settings.source.query:
        with sql.fetch_period(contract, settings, period, source_columns(contract, settings)) as fetched:
            yield SourceFile(fetched.uri, fetched.path, fetched.sha256)
    elif settings.source.uri:
        with _open_file(settings.absolute(settings.source.uri.replace("{period}", period)), period) as source:
            yield source
    else:
        raise ConfigError(
            "[source]: neither uri nor query is set, and project.py names no source: set uri to files, such as "
            "data/rows-{period}.csv, or query and sql_connection to a SQL database, or write "
            "Project(..., source=your_function)"
        )


def source_columns(contract: Contract, settings: Settings) -> list[str]:
    """The contract's columns that the source has to have; outcomes may come from files of labels."""
    return [name for name in contract.dtypes if not settings.labels.uri or name not in contract.outcomes]


@contextmanager
def _open_file(uri: str, period: str) -> Iterator[SourceFile]:
    with ExitStack() as stack:
        try:
            path = stack.enter_context(files.local_copy(uri))
        except FileNotFoundError:
            raise NoRowsError(
                f"{uri}: no such file, wanted for period {period}; see [source] uri, first and last in pipeline.toml"
            ) from None
        yield SourceFile(uri, path, files.file_sha256(path), is_at_uri=True)


@contextmanager
def _open_own(fetch: SourceFunction, period: str) -> Iterator[SourceFile]:
    uri = f"python:{fetch.__module__}.{fetch.__qualname__}#{period}"
    with tempfile.TemporaryDirectory(prefix="fetched-") as folder:
        path = fetch(period, Path(folder))
        if not isinstance(path, Path) or not path.is_file():
            raise SourceError(f"{uri}: returned {path!r}, which is no file; write the rows to one and return its path")
        if not path.name.endswith(SUFFIXES):
            raise SourceError(f"{uri}: returned {path.name}, whose name ends in none of {', '.join(SUFFIXES)}")
        yield SourceFile(uri, path, files.file_sha256(path))
