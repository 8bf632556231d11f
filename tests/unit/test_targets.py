"""What differs between two classes, many classes and a number; figures worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from modelworks.errors import ContractError
from modelworks.targets import BinaryTarget, binary, multiclass, regression, reserve_unseen

LATE = binary("late", "whether it came late", negative="no", positive="yes")
SIZE = multiclass("size", "of the parcel", classes=["S", "M", "L"])
DAYS = regression("days", "until it came")


def test_classes_are_encoded_by_their_position_and_unknown_ones_are_missing() -> None:
    codes = SIZE.encode(pd.Series(["L", "S", None, "XL"]))
    np.testing.assert_array_equal(codes, [2.0, 0.0, np.nan, np.nan])
    assert SIZE.decode(codes[:2]).tolist() == ["L", "S"]
    np.testing.assert_array_equal(DAYS.encode(pd.Series([1.5, None])), [1.5, np.nan])


def test_dtype_of_classes_leaves_room_for_the_unknown() -> None:
    assert [each.dtype for each in (LATE, SIZE, binary("b", "?"), DAYS)] == ["str", "str", "float64", "float64"]


def test_baselines_predict_what_is_usual() -> None:
    assert LATE.fit_baseline(np.array([0.0, 0.0, 0.0, 1.0])).predict(2).tolist() == [0.25, 0.25]
    assert SIZE.fit_baseline(np.array([0.0, 0.0, 1.0, 2.0])).predict(2).tolist() == [[0.5, 0.25, 0.25]] * 2
    mean = DAYS.fit_baseline(np.array([1.0, 3.0]))
    assert (mean.predict(1).tolist(), mean.scale) == ([2.0], 1.0)


def test_baseline_of_equal_numbers_has_a_scale_to_divide_by() -> None:
    assert DAYS.fit_baseline(np.array([2.0, 2.0])).scale == 1.0


def test_class_that_no_row_has_is_given_a_little_probability() -> None:
    baseline = SIZE.fit_baseline(np.array([0.0, 0.0, 0.0, 1.0]))
    np.testing.assert_allclose(baseline.prediction, [0.75 * 0.9999, 0.25 * 0.9999, 1e-4])
    assert sum(baseline.prediction) == pytest.approx(1)
    seen = np.array([[0.5, 0.5]])
    np.testing.assert_array_equal(reserve_unseen(seen, np.array([True, True])), seen)


def test_losses_are_nats_or_variances() -> None:
    np.testing.assert_allclose(LATE.row_losses(np.array([1.0, 0.0]), np.array([0.5, 0.75])), np.log([2, 4]))
    probabilities = np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]])
    np.testing.assert_allclose(SIZE.row_losses(np.array([0.0, 2.0]), probabilities), np.log([2, 4]))
    np.testing.assert_allclose(DAYS.row_losses(np.array([1.0, 5.0]), np.array([3.0, 5.0]), scale=2.0), [2.0, 0.0])


def test_loss_of_a_certain_and_wrong_forecast_is_finite() -> None:
    assert np.isfinite(LATE.row_losses(np.array([1.0, 0.0]), np.array([0.0, 1.0]))).all()
    assert np.isfinite(SIZE.row_losses(np.array([0.0]), np.array([[0.0, 0.0, 1.0]]))).all()


def test_observed_is_what_expected_is_compared_with() -> None:
    target, prediction = np.array([1.0, 0.0]), np.array([0.7, 0.4])
    assert LATE.observed(target, prediction).tolist() == [1.0, 0.0]
    assert LATE.expected(prediction).tolist() == [0.7, 0.4]
    target, prediction = np.array([0.0, 2.0]), np.array([[0.6, 0.3, 0.1], [0.5, 0.2, 0.3]])
    assert SIZE.observed(target, prediction).tolist() == [1.0, 0.0]  # whether the likeliest class came true
    assert SIZE.expected(prediction).tolist() == [0.6, 0.5]


def test_decision_is_a_class_where_there_are_classes() -> None:
    late = LATE.decide(np.array([0.49, 0.5]), threshold=0.5)
    size = SIZE.decide(np.array([[0.2, 0.3, 0.5]]), threshold=0.5)
    assert late is not None
    assert size is not None
    assert (late.tolist(), size.tolist()) == (["no", "yes"], ["L"])
    assert DAYS.decide(np.array([1.0]), threshold=0.5) is None


@pytest.mark.parametrize(
    ("target", "prediction", "columns"),
    [
        (LATE, np.array([0.1, 0.9]), ["probability"]),
        (SIZE, np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]), ["probability_S", "probability_M", "probability_L"]),
        (DAYS, np.array([1.0, 2.5]), ["prediction"]),
    ],
)
def test_prediction_survives_its_columns(target: BinaryTarget, prediction: np.ndarray, columns: list[str]) -> None:
    frame = pd.DataFrame(target.to_columns(prediction))
    assert list(frame.columns) == columns == target.prediction_columns
    np.testing.assert_array_equal(target.from_columns(frame), prediction)


@pytest.mark.parametrize(
    ("classes", "message"),
    [([0, 1], "a multiclass target has 3 or more classes, not 2"), ([0, 1, 2, 1], "a class is named twice")],
)
def test_classes_that_cannot_be_are_refused(classes: list[int], message: str) -> None:
    with pytest.raises(ContractError, match=f"^target 'size': {message}"):
        multiclass("size", "of the parcel", classes=classes)


def test_two_equal_classes_are_refused() -> None:
    with pytest.raises(ContractError, match="target 'late': a class is named twice"):
        binary("late", "whether it came late", negative=1, positive=1)


def test_targets_of_different_classes_differ() -> None:
    assert binary("late", "?") != binary("late", "?", positive=2)
    assert binary("late", "?") == binary("late", "?")
