"""The API keys in force, read again when their file changes."""

import logging
from pathlib import Path
from time import monotonic

from prometheus_client import Counter

from modelworks.access import read_keys
from modelworks.access.api_keys import hash_key
from modelworks.errors import ConfigError
from modelworks.serving.access.caller import Caller

logger = logging.getLogger(__name__)

LOOK_S = 1.0
"""Seconds between looks whether the file has changed."""

_Stamp = tuple[int, int, int]


class KeyFile:
    """The keys of a file.

    Where the file is damaged or gone, the last good keys stay in force.

    Parameters
    ----------
    file : may be absent; a mounted secret that is replaced by its link is seen as well
    failures : counts the attempts to read it that failed

    Attributes
    ----------
    is_set : whether there has been a file

    Raises
    ------
    ConfigError
        If the file is there and damaged.
    """

    def __init__(self, file: Path, failures: Counter) -> None:
        self._file = file
        self._failures = failures
        self._keys: dict[str, Caller] = {}
        self.is_set = False
        self._stamp = self._look()
        self._due_at = monotonic() + LOOK_S
        if self._stamp:
            self._read()

    def find(self, key: str) -> Caller | None:
        """Whose key it is, expired or not; None for any other text."""
        # By its hash, which whoever guesses a key cannot choose: how long the search takes says nothing about a key.
        return self._keys.get(hash_key(key))

    def follow(self) -> None:
        """Read the file if it has changed since the last look."""
        if monotonic() < self._due_at:
            return
        self._due_at = monotonic() + LOOK_S
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._read()
        except ConfigError as error:
            self.is_set = True  # a file that cannot be read is no reason to let everybody in
            self._failures.inc()
            logger.error("the keys of before stay in force: %s", error)
        else:
            logger.info("%s: %d keys are in force", self._file, len(self._keys))

    def _read(self) -> None:
        self._keys = {
            each.sha256: Caller(f"key:{each.name}", each.name, frozenset(each.scopes), each.expires)
            for each in read_keys(self._file)
        }
        self.is_set = True

    def _look(self) -> _Stamp | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
