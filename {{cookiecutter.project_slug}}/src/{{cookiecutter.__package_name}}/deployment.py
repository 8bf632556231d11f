"""What a release is: the ledger's entries, which of them is in force, and the last check before one is written."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .errors import ReleaseError

PREDICTION_TOLERANCE = 1e-12


@dataclass(frozen=True)
class LedgerEntry:
    """One move of the champion. The newest entry is the truth; the registry's aliases follow it."""

    sequence: int
    at: str
    action: Literal["deploy", "rollback"]
    by: str
    reason: str
    from_version: str | None
    to_version: str
    run_id: str
    pipeline_run: str
    data_digest: str
    code_commit: str
    approved_by: str | None = None


def check_same_predictions(expected: np.ndarray, served: np.ndarray, version: str) -> None:
    """Compare what was trained with what the registry gives back.

    Parameters
    ----------
    expected, served : shape (n_rows,), probabilities

    Raises
    ------
    ReleaseError
        If any row differs by more than `PREDICTION_TOLERANCE`.
    """
    difference = float(np.max(np.abs(expected - served)))
    if not difference <= PREDICTION_TOLERANCE:
        raise ReleaseError(
            f"version {version}: loaded from the registry it predicts differently, by up to {difference:.3g} "
            f"on {len(expected)} sample rows; the champion was not changed"
        )


def find_entry(ledger: list[LedgerEntry], run_id: str) -> LedgerEntry | None:
    """The release that a run has made already, if any."""
    return next((entry for entry in ledger if entry.action == "deploy" and entry.run_id == run_id), None)
