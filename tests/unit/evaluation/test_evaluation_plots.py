"""The plots of an evaluation, from numbers typed here, and the direction of every metric."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from pydantic import TypeAdapter

from flights import FLIGHTS
from modelworks.evaluation.bootstrap import Estimate
from modelworks.evaluation.directions import DIRECTIONS, arrow, better
from modelworks.evaluation.plot_data import Confusion, Curve, Histogram, Importance, PlotData, SliceLoss, thin
from modelworks.evaluation.plots import draw_figures, draw_panels
from modelworks.targets import Target, multiclass, regression

SURE = Estimate(0.5, 0.4, 0.6)
BINARY = PlotData(
    metrics=dict.fromkeys(("roc_auc", "average_precision", "log_loss", "calibration_error"), SURE),
    observed=0.25,
    importance=[Importance("temp", 0.03, 0.01), Importance("dest", 0.01, 0.0)],
    slices=[
        SliceLoss("carrier", "AA", 900, 0.4),
        SliceLoss("carrier", "B6", 20, 0.6),
        SliceLoss("hour", "6", 900, 0.3),
    ],
    min_slice_rows=300,
    roc=[Curve([0.0, 0.2, 1.0], [0.0, 0.7, 1.0])],
    precision_recall=Curve([1.0, 0.5, 0.0], [0.25, 0.5, 1.0]),
    calibration=Curve([0.1, 0.4], [0.15, 0.35]),
)
CLASSES = multiclass("kind", "the kind", classes=["a", "b", "c"])
MULTICLASS = replace(
    BINARY,
    metrics=dict.fromkeys(("roc_auc", "accuracy", "log_loss", "calibration_error"), SURE),
    roc=[Curve([0.0, 1.0], [0.0, 1.0], "a"), Curve([0.0, 1.0], [0.0, 1.0], "b")],
    precision_recall=None,
    confusion=Confusion(["a", "b"], [[8, 2], [1, 9]]),
)
NUMBER = regression("rentals", "how many", unit="bikes")
REGRESSION = replace(
    BINARY,
    metrics=dict.fromkeys(("r2", "squared_error", "bias"), SURE),
    roc=None,
    precision_recall=None,
    calibration=None,
    values=Histogram([[5, 0], [1, 10]], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0]),
    residuals=Histogram([3, 13], [-1.0, 0.0, 1.0]),
)
KINDS = [(FLIGHTS.contract.target, BINARY), (CLASSES, MULTICLASS), (NUMBER, REGRESSION)]
kinds = pytest.mark.parametrize(("target", "data"), KINDS, ids=["binary", "multiclass", "regression"])


@kinds
def test_numbers_of_the_plots_survive_their_json(target: Target, data: PlotData) -> None:
    assert TypeAdapter(PlotData).validate_python(json.loads(json.dumps(asdict(data)))) == data


@pytest.mark.parametrize(
    ("target", "data", "own"),
    [
        (*KINDS[0], {"calibration.png", "roc.png", "precision_recall.png"}),
        (*KINDS[1], {"calibration.png", "roc.png", "confusion.png"}),
        (*KINDS[2], {"predicted_observed.png", "residuals.png"}),
    ],
)
def test_each_kind_of_target_has_its_plots_in_the_run_and_on_the_page(
    target: Target, data: PlotData, own: set[str]
) -> None:
    assert set(draw_figures(target, data)) == own | {"permutation_importance.png", "slices.png"}
    panels = draw_panels(target, data)
    assert set(panels) == {each.removesuffix(".png") for each in own} | {
        *("permutation_importance", "slices-0", "slices-1")
    }
    assert panels["slices-1"][0] == f"{target.loss_name} by hour"


def test_lines_are_the_numbers_that_were_kept() -> None:
    figures = draw_figures(FLIGHTS.contract.target, BINARY)
    roc, chance = figures["roc.png"].axes[0].lines
    assert roc.get_xydata().tolist() == [[0, 0], [0.2, 0.7], [1, 1]]
    assert chance.get_xydata().tolist() == [[0, 0], [1, 1]]
    own, perfect = figures["calibration.png"].axes[0].lines
    assert own.get_xydata().tolist() == [[0.1, 0.15], [0.4, 0.35]]
    assert perfect.get_xydata().tolist() == [[0, 0], [pytest.approx(0.42)] * 2]
    bars = figures["permutation_importance.png"].axes[0]
    assert [bar.get_width() for bar in bars.patches] == [0.03, 0.01]
    assert [text.get_text() for text in bars.get_yticklabels()] == ["temp", "dest"]


def test_slices_with_few_rows_stand_back() -> None:
    carrier, hour = draw_figures(FLIGHTS.contract.target, BINARY)["slices.png"].axes
    assert [bar.get_height() for bar in carrier.patches] == [0.4, 0.6]
    assert carrier.patches[0].get_facecolor() != carrier.patches[1].get_facecolor()
    assert carrier.get_xlabel() == "dotted: all rows; pale: fewer than 300 rows"
    assert hour.get_xlabel() == "dotted: all rows"
    assert carrier.lines[0].get_ydata()[0] == 0.5


def test_titles_hold_the_metric_with_its_interval_and_which_way_is_better() -> None:
    axes = draw_figures(FLIGHTS.contract.target, BINARY)["roc.png"].axes[0]
    assert [text.get_text() for text in axes.texts] == ["ROC-AUC 0.500 [0.400, 0.600] ↑"]
    axes = draw_figures(FLIGHTS.contract.target, BINARY)["calibration.png"].axes[0]
    assert [text.get_text() for text in axes.texts] == ["error 0.500 [0.400, 0.600] ↓"]


def test_target_without_slices_says_so() -> None:
    figure = draw_figures(FLIGHTS.contract.target, replace(BINARY, slices=[]))["slices.png"]
    assert [text.get_text() for text in figure.texts] == ["the contract names no slices"]


def test_curve_is_thinned_and_keeps_its_ends() -> None:
    curve = thin(np.linspace(0, 1, 5001), np.linspace(1, 0, 5001))
    assert len(curve.x) == 200
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 1, 1, 0)
    assert thin(np.array([0.0, 1.0]), np.array([0.123456, 1.0])) == Curve([0.0, 1.0], [0.12346, 1.0])


@kinds
def test_direction_of_the_metrics_of_each_kind_of_target_is_known(target: Target, data: PlotData) -> None:
    assert {target.loss, target.headline, *data.metrics} <= DIRECTIONS.keys()
    assert DIRECTIONS[target.loss] == "lower"
    assert DIRECTIONS[target.headline] == "higher"


def test_direction_is_a_word_with_its_arrow() -> None:
    assert (better("roc_auc"), better("log_loss"), better("bias")) == ("higher ↑", "lower ↓", "near 0")
    assert (arrow("gain_over_champion"), arrow("log_loss")) == ("↑", "↓")
    assert better("holdout_rows") == arrow("holdout_rows") == arrow("bias") == ""
