"""Objects that every worker needs, such as a model: stored once beside the parts, and read once by each process."""

import hashlib
import pickle
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cloudpickle

from modelworks.data.code_archives import find_packages
from modelworks.data.execution import is_shared
from modelworks.data.filesystems import open_filesystem
from modelworks.errors import PartitionError
from modelworks.settings import Compute


@dataclass(frozen=True)
class Shipped:
    """Where an object is; or the object itself, if it does not leave this process.

    Attributes
    ----------
    uri, sha256 : of its pickle
    packages : of the project, that it refers to; a job sends those that its own pickle names, as this attribute does
    """

    uri: str = ""
    sha256: str = ""
    packages: tuple[str, ...] = ()
    content: Any = field(default=None, compare=False)


def ship(content: object, folder: str, compute: Compute, n_parts: int) -> Shipped:
    """Store an object for the workers, if there are any.

    Parameters
    ----------
    folder : URI, which the caller removes
    n_parts : one part is worked on in this process
    """
    if not is_shared(compute, n_parts):
        return Shipped(content=content)
    pickled = cloudpickle.dumps(content)
    uri, sha256 = f"{folder}/shipped.pickle", hashlib.sha256(pickled).hexdigest()
    shipped = Shipped(uri, sha256, tuple(find_packages(pickled)))
    fs, path = open_filesystem(shipped.uri)
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    fs.pipe_file(path, pickled)
    return shipped


def receive(shipped: Shipped) -> Any:
    """The object that was shipped.

    Raises
    ------
    PartitionError
        If its bytes are not those that the driver wrote.
    """
    return _load(shipped) if shipped.uri else shipped.content


@lru_cache(maxsize=1)
def _load(shipped: Shipped) -> Any:
    fs, path = open_filesystem(shipped.uri)
    pickled = fs.cat_file(path)
    if hashlib.sha256(pickled).hexdigest() != shipped.sha256:
        raise PartitionError(f"{shipped.uri}: changed since this run wrote it; run again")
    return pickle.loads(pickled)  # noqa: S301 - the hash came with the task
