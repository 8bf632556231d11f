import numpy as np
import pytest

from {{ cookiecutter.__package_name }}.deployment import (
    LedgerEntry,
    check_same_predictions,
    find_entry,
)
from {{ cookiecutter.__package_name }}.errors import ReleaseError


def entry(sequence: int, run_id: str, action="deploy") -> LedgerEntry:
    return LedgerEntry(
        sequence=sequence,
        at="2013-06-01T06:00:00+00:00",
        action=action,
        by="me",
        reason="",
        from_version=None,
        to_version=str(sequence),
        run_id=run_id,
        pipeline_run=run_id,
        data_digest="d",
        code_commit="c",
    )


def test_same_predictions_pass() -> None:
    check_same_predictions(np.array([0.25, 0.75]), np.array([0.25, 0.75]), "3")


@pytest.mark.parametrize("served", [[0.25, 0.7501], [0.25, np.nan]])
def test_other_predictions_are_refused_with_the_difference(served: list[float]) -> None:
    with pytest.raises(ReleaseError, match=r"version 3: .* on 2 sample rows; the champion was not changed"):
        check_same_predictions(np.array([0.25, 0.75]), np.array(served), "3")


def test_release_of_a_run_is_found_among_others() -> None:
    ledger = [entry(1, "a"), entry(2, "b"), entry(3, "a", "rollback")]
    assert find_entry(ledger, "a") == ledger[0]
    assert find_entry(ledger, "c") is None
