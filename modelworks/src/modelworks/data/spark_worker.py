"""What a worker does before it has the project's code: its functions travel by value and import nothing of the project.

The Python and the packages are the cluster's; the code of the project and of the engine comes with the job. A worker
checks both before it runs a task, since other code, or another writer of Parquet, would give other bytes.
"""

import hashlib
import importlib
import importlib.metadata
import lzma
import pickle
import socket
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

RESULT, ERROR, REFUSAL = "result", "error", "refusal"
SCHEMA = "id long, outcome binary"

Archives = Mapping[str, tuple[str, str]]
"""By package: the name of its archive, and the archive's SHA-256."""


def run_tasks(batches: Iterable[Any], payload: bytes, archives: Archives, versions: Mapping[str, str]) -> Iterator[Any]:
    """Run the tasks whose numbers a worker was given; yields batches of `SCHEMA`.

    Parameters
    ----------
    payload : the function and all items, pickled together and compressed, since items share most of what they hold
    versions : by package, those of the driver
    """
    import pyarrow as pa

    for batch in batches:
        numbers = batch.column(0)
        outcomes = [run_task(number, payload, archives, versions) for number in numbers.to_pylist()]
        yield pa.record_batch([numbers, pa.array(outcomes, pa.binary())], names=["id", "outcome"])


def run_task(number: int, payload: bytes, archives: Archives, versions: Mapping[str, str]) -> bytes:
    """One task: a pickled pair of the kind of outcome, and the result, the error or the reason of a refusal."""
    if reason := find_other_code(archives) or find_other_versions(versions):
        return pickle.dumps((REFUSAL, f"worker {socket.gethostname()}: {reason}"))
    from pyspark import cloudpickle

    try:
        function, items = pickle.loads(lzma.decompress(payload))  # noqa: S301 - of our own driver, as is this code
        return cloudpickle.dumps((RESULT, function(items[number])))
    except Exception as error:  # whatever a task raises is raised by the driver
        return dump_error(error)


def stream_rows(
    batches: Iterable[Any], payload: bytes, archives: Archives, versions: Mapping[str, str]
) -> Iterator[Any]:
    """The rows that the function of the job yields for each item whose number a worker was given, as record batches.

    Raises
    ------
    RuntimeError
        If the worker has other code or other packages.
    """
    if reason := find_other_code(archives) or find_other_versions(versions):
        raise RuntimeError(f"worker {socket.gethostname()}: {reason}")
    function, items = pickle.loads(lzma.decompress(payload))  # noqa: S301 - of our own driver, as is this code
    for batch in batches:
        for number in batch.column(0).to_pylist():
            yield from function(items[number])


def dump_error(error: Exception) -> bytes:
    """An error with its traceback as a note; one that cannot be pickled as a RuntimeError with the same text."""
    from pyspark import cloudpickle

    error.add_note(f"On worker {socket.gethostname()}:\n{''.join(traceback.format_exception(error))}")
    try:
        pickled = cloudpickle.dumps((ERROR, error))
        pickle.loads(pickled)  # noqa: S301 - many errors are pickled and cannot be made again
    except Exception:  # whatever their own code raises
        substitute = RuntimeError(f"{type(error).__name__}: {error}")
        substitute.__notes__ = error.__notes__
        return pickle.dumps((ERROR, substitute))
    return pickled


def find_other_code(archives: Archives) -> str:
    """Why the code here is not what was shipped; "" if it is."""
    for package, (name, sha256) in archives.items():
        path = next((each for each in sys.path if Path(each).name == name), None)
        if path is None:
            return f"{name} has not arrived"
        with Path(path).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            return f"{name} is not what was sent: its SHA-256 is {found[:12]}... and should be {sha256[:12]}..."
        if sys.path[0] != path and package not in sys.modules:
            sys.path.insert(0, path)  # before a package of that name among the worker's own
        source = importlib.import_module(package).__file__
        if source is None or not source.startswith(f"{path}/"):
            return f"{package} is imported from {source}, and not from {name}, which was sent"
    return ""


def find_other_versions(versions: Mapping[str, str]) -> str:
    """Which package has another version here than on the driver; "" if none has."""
    for package, wanted in versions.items():
        try:
            found = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found != wanted:
            return f"{package} is {found} there and {wanted} here; install the project's requirements.lock there"
    return ""
