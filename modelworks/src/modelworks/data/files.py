"""Single files: hashes, local copies of any URI, and writes that are whole or not at all."""

import hashlib
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from modelworks.data.filesystems import open_filesystem


def exists(uri: str) -> bool:
    """Whether there is a file or folder of that URI."""
    fs, path = open_filesystem(uri)
    return bool(fs.exists(path))


@contextmanager
def local_copy(uri: str) -> Iterator[Path]:
    """A file of any URI as a local path; a fetched copy is removed afterwards.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    fs, path = open_filesystem(uri)
    if isinstance(fs, LocalFileSystem):
        if not Path(path).is_file():
            raise FileNotFoundError(path)
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="fetched-") as folder:
        target = Path(folder) / path.rsplit("/", 1)[-1]
        fs.get_file(path, str(target))
        yield target


def replace_file(path: Path, content: bytes) -> None:
    """Write a local file atomically: a reader sees the old content or the new one."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_at(uri: str, content: bytes) -> None:
    """Write a small file of any URI atomically."""
    fs, path = open_filesystem(uri)
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    if isinstance(fs, LocalFileSystem):
        replace_file(Path(path), content)
    else:
        fs.pipe_file(path, content)


def file_sha256(path: Path) -> str:
    """Hex digest of a local file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def upload(local: Path, uri: str) -> None:
    """Copy a local file to any URI, whole or not at all."""
    fs, path = open_filesystem(uri)
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    if isinstance(fs, LocalFileSystem):
        temporary = Path(f"{path}.{uuid.uuid4().hex}.tmp")
        try:
            fs.put_file(str(local), str(temporary))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)  # a part of it, if the disk is full
    else:
        fs.put_file(str(local), path)
