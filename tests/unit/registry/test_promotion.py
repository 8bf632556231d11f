import numpy as np
import pytest

from modelworks.errors import ReleaseError
from modelworks.registry.promotion import LedgerEntry, check_same_predictions, find_entry, find_target, needs_approval


def entry(sequence: int, run_id: str, action="deploy", came_from=None, to=None) -> LedgerEntry:
    return LedgerEntry(
        sequence=sequence,
        at="2013-06-01T06:00:00+00:00",
        action=action,
        by="me",
        reason="",
        from_version=came_from,
        to_version=to or str(sequence),
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


def test_large_values_may_differ_by_a_fraction_of_them_and_small_ones_by_as_much_as_one() -> None:
    expected = np.array([0.0, 1e9])
    check_same_predictions(expected, expected + np.array([1e-13, 1e-4]), "3")
    for difference in ([1e-11, 0.0], [0.0, 1e-2]):
        with pytest.raises(ReleaseError, match="predicts differently"):
            check_same_predictions(expected, expected + np.array(difference), "3")
    check_same_predictions(expected, expected + np.array([1e-7, 1e2]), "3", tolerance=1e-6)


def test_probabilities_of_classes_are_compared_one_by_one() -> None:
    expected = np.array([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]])
    check_same_predictions(expected, expected.copy(), "3")
    for served in (expected[:, ::-1], expected[:, :2], expected[:, 0]):
        with pytest.raises(ReleaseError, match="on 2 sample rows"):
            check_same_predictions(expected, served, "3")


def test_release_of_a_run_is_found_among_others() -> None:
    ledger = [entry(1, "a"), entry(2, "b"), entry(3, "a", "rollback")]
    assert find_entry(ledger, "a") == ledger[0]
    assert find_entry(ledger, "c") is None


THREE = [entry(1, "a"), entry(2, "b", came_from="1"), entry(3, "c", came_from="2")]


def test_going_back_twice_goes_back_two_releases() -> None:
    assert find_target(THREE, None).to_version == "2"
    once = [*THREE, entry(4, "b", "rollback", came_from="3", to="2")]
    assert find_target(once, None).to_version == "1"
    assert find_target(once, "3").to_version == "3"


@pytest.mark.parametrize(
    ("ledger", "version", "message"),
    [
        ([], None, "nothing has been released yet"),
        (THREE[:1], None, "version 1 is the first release"),
        (THREE, "3", "version 3 is the champion already"),
        (THREE, "7", "version 7 was never released, so it passed no gate; released before: 1, 2"),
    ],
)
def test_going_back_to_nothing_is_refused(ledger: list[LedgerEntry], version: str | None, message: str) -> None:
    with pytest.raises(ReleaseError, match=message):
        find_target(ledger, version)


@pytest.mark.parametrize(
    ("mode", "warnings", "needed"),
    [
        ("never", ["odd"], False),
        ("always", [], True),
        ("on_warning", [], False),
        ("on_warning", ["odd"], True),
    ],
)
def test_person_is_asked_as_configured(mode, warnings: list[str], needed: bool) -> None:
    assert needs_approval(mode, warnings) is needed
