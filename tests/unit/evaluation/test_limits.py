import pytest

from flights import FLIGHTS
from modelworks.errors import ConfigError
from modelworks.evaluation.directions import DIRECTIONS
from modelworks.evaluation.limits import ALL_METRICS, find_limits
from modelworks.settings import Gates, Limits
from modelworks.targets import regression

NUMBER = regression("delay", "minutes")


def test_each_metric_has_a_direction() -> None:
    assert {*DIRECTIONS} >= ALL_METRICS


def test_limits_are_those_of_the_kind_of_target() -> None:
    assert find_limits(FLIGHTS.contract.target, Gates()) == {
        "roc_auc": Limits(min=0.60, max=0.85),
        "calibration_error": Limits(max=0.15),
    }
    assert find_limits(NUMBER, Gates()) == {"r2": Limits(min=0.0, max=0.99), "bias": Limits(min=-0.15, max=0.15)}


def test_settings_replace_add_and_remove_limits() -> None:
    gates = Gates(metrics={"roc_auc": Limits(min=0.7), "calibration_error": Limits(), "recall": Limits(min=0.5)})
    assert find_limits(FLIGHTS.contract.target, gates) == {"roc_auc": Limits(min=0.7), "recall": Limits(min=0.5)}


def test_metric_that_the_target_does_not_have_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"recal: a binary target has no such metric; did you mean recall\? allowed"):
        find_limits(FLIGHTS.contract.target, Gates(metrics={"recal": Limits()}))
    with pytest.raises(ConfigError, match=r"\[gates.metrics\] roc_auc: a regression target has no such metric"):
        find_limits(NUMBER, Gates(metrics={"roc_auc": Limits(min=0.6)}))


def test_limits_of_another_kind_of_target_may_be_taken_away() -> None:
    assert find_limits(NUMBER, Gates(metrics={"roc_auc": Limits()})) == find_limits(NUMBER, Gates())
