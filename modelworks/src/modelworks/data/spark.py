"""Run a function on a Spark cluster: one task an item, and the results in the order of the items.

Spark gets numbers and gives back pickled results; it reads and writes none of the rows. Each task opens its own files,
so a table is the same, byte for byte, whoever made it. A task may run twice, beside itself: what it writes has to be
whole or not there, under a name that its content gives it.
"""

import atexit
import importlib.metadata
import lzma
import os
import pickle
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from modelworks.data import code_archives, spark_worker
from modelworks.data.code_archives import CodeArchive
from modelworks.data.spark_address import SparkAddress, read_address
from modelworks.data.spark_warnings import ignoring_pandas_3
from modelworks.data.spark_worker import ERROR, REFUSAL, SCHEMA, run_tasks, stream_rows
from modelworks.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")

SAME_VERSIONS = ("numpy", "pandas", "pandera", "pyarrow", "scikit-learn")
"""Packages whose versions decide about bytes and figures."""
ANSWER_S = 10.0


def map_on_spark(function: Callable[[Item], Result], items: Sequence[Item], spark_url: str) -> list[Result]:
    """The results of a function for each item, in order, each found in a task of its own.

    Parameters
    ----------
    function : of a module of the project or the engine, whose code is sent along
    items : can be pickled; what they share is sent once
    spark_url : `sc://...` of a Connect server; `spark://...`, `yarn`, `k8s://...` or `local[n]` of a master;
        `airflow://NAME` of an Airflow connection

    Raises
    ------
    ConfigError
        If the address is none, Spark's package is missing, or a worker has other code or other packages.
    ConnectionError
        If Spark cannot be reached; a retry may help.
    RuntimeError
        If the job fails, as when a worker was killed again and again; a retry may help.
    Exception
        The first error in the order of the items, as the function raised it.
    """
    if not items:
        return []
    address = read_address(spark_url)
    _check_packages(address)
    _check_answers(address)
    payload, archives = _pack(function, items)
    code = {each.package: (each.path.name, each.sha256) for each in archives}
    versions = {name: importlib.metadata.version(name) for name in SAME_VERSIONS}
    with _explained(address):
        session = _session(address)
        session.send(archives)
        numbers = session.spark.range(0, len(items), 1, len(items))  # one in each task
        rows = numbers.mapInArrow(lambda batches: run_tasks(batches, payload, code, versions), SCHEMA).collect()
    outcomes = {row["id"]: bytes(row["outcome"]) for row in rows}
    return [_unpack(outcomes[number]) for number in range(len(items))]


@contextmanager
def rows_on_spark(
    function: Callable[[Item], Iterator[Any]],
    items: Sequence[Item],
    schema: str,
    spark_url: str,
    packages: Sequence[str] = (),
) -> Iterator[Any]:
    """A data frame of Spark that holds what a function yields for each item, one partition an item.

    The rows go from one task of Spark to the next, and not through this process. What the function raises is a
    RuntimeError here, so it has to have seen the items before.

    Parameters
    ----------
    function, items : as in `map_on_spark`; the function yields record batches of `schema`
    spark_url : of a classic session
    packages : whose versions have to be the same on the workers, beside `SAME_VERSIONS`

    Raises
    ------
    ConfigError, ConnectionError, RuntimeError
        As `map_on_spark` does.
    """
    address = read_address(spark_url)
    _check_packages(address)
    _check_answers(address)
    payload, archives = _pack(function, items)
    code = {each.package: (each.path.name, each.sha256) for each in archives}
    versions = {name: importlib.metadata.version(name) for name in (*SAME_VERSIONS, *packages)}
    with _explained(address):
        session = _session(address)
        session.send(archives)
        numbers = session.spark.range(0, len(items), 1, len(items))
        yield numbers.mapInArrow(lambda batches: stream_rows(batches, payload, code, versions), schema)


def _pack(function: Callable[[Item], Result], items: Sequence[Item]) -> tuple[bytes, list[CodeArchive]]:
    from pyspark import cloudpickle

    cloudpickle.register_pickle_by_value(spark_worker)  # it runs before the engine's code is there
    payload = cloudpickle.dumps((function, list(items)))
    return lzma.compress(payload, preset=0), code_archives.find_code(payload)


def _unpack(outcome: bytes) -> Any:
    kind, content = pickle.loads(outcome)  # noqa: S301 - of code whose hash the worker has checked
    if kind == REFUSAL:
        raise ConfigError(content)
    if kind == ERROR:
        raise content
    return content


@dataclass
class _Session:
    address: SparkAddress
    spark: Any
    sent: set[Path] = field(default_factory=set)

    def send(self, archives: list[CodeArchive]) -> None:
        """Send code that the session does not have yet."""
        before = sys.path[:]
        for path in [each.path for each in archives if each.path not in self.sent]:
            if self.address.is_connect:
                self.spark.addArtifacts(str(path), pyfile=True)
            else:
                self.spark.sparkContext.addPyFile(str(path))
            self.sent.add(path)
        sys.path[:] = before  # Spark adds the archives, and this process has the code already


# A process keeps its session, since each has Python workers of its own, which import everything anew.
_sessions: dict[SparkAddress, _Session] = {}


def _session(address: SparkAddress) -> _Session:
    if address not in _sessions:
        atexit.register(_close, address)
        _sessions[address] = _Session(address, _connect(address) if address.is_connect else _start_driver(address))
    return _sessions[address]


def _connect(address: SparkAddress) -> Any:
    with _having_a_file():
        from pyspark.sql.connect.session import SparkSession

        return SparkSession.builder.remote(address.url).create()


@contextmanager
def _having_a_file() -> Iterator[None]:
    """A context in which the program has a file: Spark's client takes `python -c` for its doctests, and ends it."""
    main = sys.modules["__main__"]
    if hasattr(main, "__file__"):
        yield
        return
    main.__file__ = "-c"
    try:
        yield
    finally:
        del main.__file__


def _start_driver(address: SparkAddress) -> Any:
    from pyspark.sql import SparkSession

    if address.url.startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = SparkSession.builder.master(address.url).config("spark.ui.showConsoleProgress", "false").getOrCreate()
    if spark.sparkContext.master != address.url:
        raise ConfigError(f"this process has a session at {spark.sparkContext.master}, and not at {address.shown}")
    return spark


def _close(address: SparkAddress) -> None:
    """End the process's session, after a failure or at the end."""
    if session := _sessions.pop(address, None):
        with suppress(Exception):  # of a server that is gone
            session.spark.stop()


def _check_packages(address: SparkAddress) -> None:
    remedy = "to the extras of modelworks in pyproject.toml, then make lock and make setup"
    found = [name for name in ("pyspark", "pyspark-client") if _is_installed(name)]
    if not found:
        raise ConfigError(f"{address.shown}: Spark's package is not installed; add spark {remedy}")
    if len(found) == 2:
        raise ConfigError("pyspark and pyspark-client are both installed, and overwrite each other's files; keep one")
    if found == ["pyspark-client"] and not address.is_connect:
        raise ConfigError(
            f"{address.shown}: pyspark-client knows Connect servers only (sc://...); put spark-classic, in place of "
            f"spark, {remedy}"
        )


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _check_answers(address: SparkAddress) -> None:
    """Ask for an answer first: Spark itself tries for minutes."""
    if address in _sessions:
        return
    if address.is_connect or (address.url.startswith("spark://") and "," not in address.url):
        place = urlsplit(address.shown)
        try:
            socket.create_connection((place.hostname or "", place.port or 7077), timeout=ANSWER_S).close()
        except OSError as error:
            raise ConnectionError(f"Spark at {address.shown}: {error}") from None


@contextmanager
def _explained(address: SparkAddress) -> Iterator[None]:
    """Errors of Spark in some lines and without secrets; the next call has a new session."""
    try:
        with ignoring_pandas_3():
            yield
    except ConfigError:
        raise
    except Exception as error:  # of py4j, gRPC or Spark
        _close(address)
        lines = [line.strip() for line in str(error).splitlines()]
        # What follows is Java's stack.
        text = address.redact(" ".join(line for line in lines if line and not line.startswith("at "))[:1000])
        if "UNAUTHENTICATED" in text:
            raise ConfigError(f"Spark at {address.shown}: refuses the token: {text}") from None
        raise RuntimeError(f"Spark at {address.shown}: {type(error).__name__}: {text}") from None
