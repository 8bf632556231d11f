"""Rates of groups and how far they lie apart, by hand; limits, verdicts and documents."""

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from flights import FLIGHTS
from modelworks.checks import Check
from modelworks.contract import Contract, column, identifier
from modelworks.errors import ConfigError
from modelworks.evaluation.bootstrap import BlockBootstrap, Estimate
from modelworks.evaluation.directions import DIRECTIONS, better
from modelworks.evaluation.fairness import (
    FairnessGroup,
    FairnessResult,
    count_shares,
    find_uncertain,
    judge_fairness,
    measure_fairness,
)
from modelworks.evaluation.gates import find_warnings, judge
from modelworks.evaluation.holdout import evaluate_holdout
from modelworks.evaluation.limits import DISPARITIES, find_fairness_limits
from modelworks.reporting.fairness import fairness_section
from modelworks.settings import Evaluation, Fairness, Gates, Limits, load_settings
from modelworks.stages.preflight import check_settings, find_unused_settings
from modelworks.targets import Baseline, Target, binary, multiclass, regression

TWO, THREE = binary("y", "y"), multiclass("y", "y", classes=[0, 1, 2])
NUMBER = regression("y", "y")
# One of four rows of each group, ten times: b is selected more often, and rightly.
GROUPS = np.repeat(["a", "b"], 40)
TARGET = np.concatenate([np.tile([1.0, 1.0, 0.0, 0.0], 10), np.tile([1.0, 1.0, 1.0, 0.0], 10)])
PROBABILITY = np.concatenate([np.tile([0.9, 0.1, 0.9, 0.1], 10), np.tile([0.9, 0.9, 0.9, 0.1], 10)])


def measure(
    target: Target, groups: object, values: np.ndarray, prediction: np.ndarray, min_rows: int = 10, scale: float = 1.0
) -> FairnessResult:
    shares = count_shares(target, values, prediction, scale, 0.5)
    draws = BlockBootstrap(np.arange(len(values)) // 5 % 8, 200, 0.95, seed=0)
    [found] = measure_fairness(target, pd.DataFrame({"group": groups}), shares, draws, min_rows)
    return found


def values_of(found: FairnessResult) -> dict[str, float]:
    return {name: estimate.value for name, estimate in found.disparities.items()}


def test_rates_of_two_classes_by_hand() -> None:
    found = measure(TWO, GROUPS, TARGET, PROBABILITY)
    names = ["selection_rate", "true_positive_rate", "false_positive_rate"]
    assert found.groups == [
        FairnessGroup("a", 40, dict(zip(names, [0.5, 0.5, 0.5], strict=True))),
        FairnessGroup("b", 40, dict(zip(names, [0.75, 1.0, 0.0], strict=True))),
    ]
    assert values_of(found) == pytest.approx({
        "selection_rate_difference": 0.25,
        "selection_rate_ratio": 0.5 / 0.75,
        "true_positive_rate_difference": 0.5,
        "true_positive_rate_ratio": 0.5,
        "false_positive_rate_difference": 0.5,
        "false_positive_rate_ratio": 0.0,
    })


def test_right_answers_and_mean_errors_by_hand() -> None:
    right = np.eye(3)[[0, 1, 2, 0] * 5]
    found = measure(THREE, np.repeat(["a", "b"], 10), np.array([0.0, 1.0, 2.0, 0.0] * 2 + [1.0] * 12), right)
    # Group a is right in rows 1 to 8 and in the second of its last two; b where class 1 is predicted.
    assert [each.rates["accuracy"] for each in found.groups] == [0.9, 0.2]
    assert values_of(found) == pytest.approx({"accuracy_difference": 0.7, "accuracy_ratio": 0.2 / 0.9})
    errors = np.repeat([3.0, -1.0], 10)
    found = measure(NUMBER, np.repeat(["a", "b"], 10), np.zeros(20), errors, scale=4.0)
    assert values_of(found) == {"mean_error_difference": 2.0}  # of 4, in standard deviations of 2


def test_each_kind_of_target_has_its_disparities_and_each_has_a_direction() -> None:
    one_hot = np.eye(3)[[0] * 80]
    for target, prediction in ((TWO, PROBABILITY), (THREE, one_hot), (NUMBER, PROBABILITY)):
        assert tuple(measure(target, GROUPS, TARGET, prediction).disparities) == DISPARITIES[target.kind]
        assert {DIRECTIONS[name] for name in DISPARITIES[target.kind]} <= {"lower", "higher"}
    assert better("accuracy_ratio_by_region") == "higher ↑"


def test_small_groups_are_not_compared_and_missing_values_are_a_group() -> None:
    groups = np.concatenate([np.repeat(["a", None], 38), np.repeat(["c", "d"], 2)]).astype("object")
    found = measure(TWO, pd.Series(groups, dtype="str"), TARGET, PROBABILITY)
    assert [(each.value, each.rows) for each in found.groups] == [("a", 38), ("no value", 38)]
    assert (found.small_groups, found.small_rows) == (2, 4)


def test_rate_that_few_rows_count_for_is_left_out() -> None:
    """Group b has 10 negatives: too few for a false positive rate if 20 are asked for."""
    found = measure(TWO, GROUPS, TARGET, PROBABILITY, min_rows=20)
    assert [list(each.rates) for each in found.groups] == [
        ["selection_rate", "true_positive_rate", "false_positive_rate"],
        ["selection_rate", "true_positive_rate"],
    ]
    assert np.isnan(found.disparities["false_positive_rate_difference"].value)
    assert found.disparities["true_positive_rate_difference"].value == 0.5


def test_groups_without_any_selected_row_are_equal() -> None:
    found = measure(TWO, GROUPS, TARGET, np.full(80, 0.1))
    assert found.disparities["selection_rate_ratio"] == Estimate(1.0, 1.0, 1.0)
    assert found.disparities["selection_rate_difference"] == Estimate(0.0, 0.0, 0.0)


def test_interval_is_that_of_the_draws_around_the_figure() -> None:
    found = measure(TWO, GROUPS, TARGET, PROBABILITY).disparities["true_positive_rate_difference"]
    drawn = np.random.default_rng(0).multinomial(8, np.full(8, 1 / 8), size=200)[:, np.arange(80) // 5 % 8]
    rates = [
        (drawn * rows * TARGET * (PROBABILITY > 0.5)).sum(axis=1) / (drawn * rows * TARGET).sum(axis=1)
        for rows in (GROUPS == "a", GROUPS == "b")
    ]
    differences = rates[1] - rates[0]
    centred = np.clip(differences - differences.mean() + 0.5, 0, 1)
    assert [found.low, found.high] == pytest.approx(np.quantile(centred, [0.025, 0.975]).tolist())
    assert found.low < 0.5 < found.high


RESULT = FairnessResult(
    "origin",
    [FairnessGroup("JFK", 400, {"selection_rate": 0.5}), FairnessGroup("LGA", 500, {"selection_rate": 0.4})],
    1,
    7,
    {"selection_rate_ratio": Estimate(0.8, 0.7, 0.9), "selection_rate_difference": Estimate(np.nan, np.nan, np.nan)},
)


def test_estimate_decides_and_the_interval_warns() -> None:
    [check] = judge_fairness([RESULT], {"selection_rate_ratio": Limits(min=0.75)})
    detail = "0.800 [0.700, 0.900] (LGA 0.400, JFK 0.500), at least 0.750 required"
    assert check == Check("selection_rate_ratio by origin", True, detail)
    [warning] = find_uncertain([RESULT], {"selection_rate_ratio": Limits(min=0.75)})
    assert warning.startswith("selection_rate_ratio by origin 0.800 [0.700, 0.900]: the interval reaches beyond")
    assert find_uncertain([RESULT], {"selection_rate_ratio": Limits(min=0.7)}) == []
    [check] = judge_fairness([RESULT], {"selection_rate_ratio": Limits(min=0.85)})
    assert not check.passed
    assert find_uncertain([RESULT], {"selection_rate_ratio": Limits(min=0.85)}) == []  # the check says it


def test_disparity_that_cannot_be_measured_refuses() -> None:
    [check] = judge_fairness([RESULT], {"selection_rate_difference": Limits(max=0.5)})
    assert not check.passed
    assert "fewer than two groups have the rows that [evaluation] min_slice_rows asks for" in check.detail
    nobody = measure(TWO, GROUPS, TARGET, PROBABILITY, min_rows=1000)
    assert (nobody.groups, nobody.small_groups) == ([], 2)
    [check] = judge_fairness([nobody], {"selection_rate_ratio": Limits(min=0.1)})
    assert not check.passed


def test_result_is_kept_as_json() -> None:
    kept = json.loads(json.dumps(TypeAdapter(FairnessResult).dump_python(RESULT)))
    assert repr(TypeAdapter(FairnessResult).validate_python(kept)) == repr(RESULT)  # NaN equals no other


def test_fairness_is_off_unless_columns_are_named_and_then_a_gate(rows) -> None:
    frame = rows(100, origin=np.repeat(["EWR", "JFK"], 50))
    # At EWR only are the late flights decided late.
    prediction = np.where(frame["origin"] == "EWR", np.resize([0.4, 0.6], 100), np.resize([0.2, 0.3], 100))
    settings = Evaluation(bootstrap_resamples=100, min_slice_rows=20)
    limits = {"true_positive_rate_difference": Limits(max=0.5)}
    for columns, names in (([], []), (["origin"], ["true_positive_rate_difference by origin"])):
        gates = Gates(fairness=Fairness(columns=columns, limits=limits))
        evaluation = evaluate_holdout(
            FLIGHTS.contract, frame, prediction, Baseline([0.5]), None, settings, 0, fairness_columns=columns
        )
        checks = judge(FLIGHTS.contract, evaluation.report, gates, settings)
        assert [each.name for each in checks if not each.passed and " by " in each.name] == names
    wide = Gates(fairness=Fairness(columns=["origin"], limits={"selection_rate_ratio": Limits(min=0.0)}))
    assert not [each for each in find_warnings(FLIGHTS.contract, evaluation.report, wide, settings) if " by " in each]


def contract_of(target: Target) -> Contract:
    return Contract(
        target=target,
        columns=[identifier("id", "int64", "row"), column("region", "str", "where"), column("x", "float64", "x")],
        key=["id"],
    )


def fairness(columns: list[str], **limits: Limits) -> Gates:
    return Gates(fairness=Fairness(columns=columns, limits=limits))


def test_unknown_column_or_disparity_is_refused_with_the_nearest() -> None:
    contract = contract_of(TWO)
    with pytest.raises(
        ConfigError, match=r"\[gates.fairness\] columns: 'regoin' is unknown; did you mean region\? all"
    ):
        find_fairness_limits(contract, fairness(["regoin"]))
    with pytest.raises(ConfigError, match=r"columns: 'y' makes no groups: it is the target, a time or a document; all"):
        find_fairness_limits(contract, fairness(["y"]))
    wrong = r"\[gates.fairness\] limits: a {} target has no disparity '{}'; did you mean {}\? allowed: "
    with pytest.raises(ConfigError, match=wrong.format("binary", "selection_rates_ratio", "selection_rate_ratio")):
        find_fairness_limits(contract, fairness(["region"], selection_rates_ratio=Limits(min=0.8)))
    with pytest.raises(ConfigError, match=r"a binary target has no disparity 'mean_error_difference'; did you mean"):
        find_fairness_limits(contract, fairness(["region"], mean_error_difference=Limits(max=0.1)))
    with pytest.raises(
        ConfigError, match=r"a regression target has no disparity 'selection_rate_ratio'; allowed: mean"
    ):
        find_fairness_limits(contract_of(NUMBER), fairness([], selection_rate_ratio=Limits(min=0.8)))
    assert find_fairness_limits(contract_of(NUMBER), fairness(["region"])) == {}


@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_mistake_is_refused_before_training_and_unused_limits_are_named(monkeypatch) -> None:
    monkeypatch.setenv("MODELWORKS_GATES__FAIRNESS__COLUMNS", '["orign"]')
    with pytest.raises(ConfigError, match=r"'orign' is unknown; did you mean origin\?"):
        check_settings(FLIGHTS, load_settings())
    monkeypatch.setenv("MODELWORKS_GATES__FAIRNESS__COLUMNS", "[]")
    monkeypatch.setenv("MODELWORKS_GATES__FAIRNESS__LIMITS__SELECTION_RATE_RATIO__MIN", "0.8")
    check_settings(FLIGHTS, load_settings())
    unused = find_unused_settings(FLIGHTS, load_settings())
    assert unused == ["[gates.fairness] limits: not used, since columns names none"]


def test_document_has_a_table_of_the_groups_and_one_of_the_disparities() -> None:
    assert fairness_section([]) == ""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in fairness_section([RESULT]).splitlines()]
    assert ["### By origin"] in lines
    assert ["Not compared: 1 group of fewer than [evaluation] min_slice_rows, 7 rows in all."] in lines
    assert ["group", "rows", "selection_rate"] in lines
    assert ["LGA", "500", "0.400"] in lines
    assert ["selection_rate_ratio", "0.800 [0.700, 0.900]", "higher ↑"] in lines
