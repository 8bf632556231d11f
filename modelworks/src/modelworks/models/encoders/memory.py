"""A cache of encoded documents, so that a process encodes each once."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import numpy as np

MAX_REMEMBERED = 20_000  # documents; 61 MB of 384 numbers each


class Memory:
    """The numbers of the documents that were encoded last.

    Tuning fits a pipeline for each trial, and a plot predicts the same rows many times.
    """

    def __init__(self) -> None:
        self._numbers: OrderedDict[bytes, np.ndarray] = OrderedDict()
        self._lock = Lock()

    def encode(
        self, run: Callable[[list[str]], np.ndarray], network: object, documents: list[str], batch_rows: int
    ) -> np.ndarray:
        """The numbers of documents, shape (n_documents, size).

        Parameters
        ----------
        run : encodes a batch of documents that are not cached
        network : identifies the network and its settings
        """
        # By its hash, as a document may have megabytes.
        keys = {each: hashlib.sha256(f"{network}\n{each}".encode()).digest() for each in documents}
        with self._lock:
            remembered = {each: self._numbers.get(key) for each, key in keys.items()}
        found = {each: numbers for each, numbers in remembered.items() if numbers is not None}
        # Texts of a length share a batch, so that hardly any of it is padding.
        missing = sorted((each for each in keys if each not in found), key=len)
        for start in range(0, len(missing), batch_rows):
            batch = missing[start : start + batch_rows]
            found |= zip(batch, run(batch), strict=True)
        with self._lock:
            for each in missing:
                self._numbers[keys[each]] = found[each]
            while len(self._numbers) > MAX_REMEMBERED:
                self._numbers.popitem(last=False)
        return np.array([found[each] for each in documents])

    def forget(self) -> None:
        """Encode everything anew."""
        with self._lock:
            self._numbers.clear()
