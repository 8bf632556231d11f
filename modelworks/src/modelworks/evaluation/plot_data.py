"""The numbers of the plots of an evaluation: kept with the run, so its plots can be drawn without its rows."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.inspection import permutation_importance
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve
from sklearn.pipeline import Pipeline

from modelworks.evaluation.bootstrap import Estimate
from modelworks.evaluation.holdout import HoldoutEvaluation
from modelworks.evaluation.metrics import CALIBRATION_BINS
from modelworks.models.derived import find_step
from modelworks.models.pipeline import predict, used_features
from modelworks.project import Project
from modelworks.targets import Target

IMPORTANCE_CELLS = 200_000  # rows times features, and no more rows than
IMPORTANCE_ROWS = 2000
IMPORTANCE_REPEATS = 3
KEPT_FEATURES = 30
KEPT_CLASSES = 10
CURVE_POINTS = 200
VALUE_BINS, RESIDUAL_BINS = 40, 50
DECIMALS = 5


@dataclass(frozen=True)
class Curve:
    """A line of a plot; `name` is a class where there is a line for each."""

    x: list[float]
    y: list[float]
    name: str = ""


@dataclass(frozen=True)
class Confusion:
    """Rows by observed class (row) and predicted class (column)."""

    classes: list[str]
    counts: list[list[int]]


@dataclass(frozen=True)
class Histogram:
    """Rows in each bin between neighbouring edges; shape (n_x,), or (n_x, n_y) where there are edges of y."""

    counts: list[int] | list[list[int]]
    x: list[float]
    y: list[float] | None = None


@dataclass(frozen=True)
class Importance:
    """Rise of the loss when a feature is shuffled, and its standard deviation over the repeats."""

    feature: str
    mean: float
    deviation: float


@dataclass(frozen=True)
class SliceLoss:
    """Mean loss of the rows with one value of a slicing column."""

    column: str
    value: str
    rows: int
    loss: float


@dataclass(frozen=True)
class PlotData:
    """What the plots of one evaluation show.

    Attributes
    ----------
    observed : mean of `Target.observed`
    min_slice_rows : slices with fewer rows are drawn pale
    importance : the most important feature first
    """

    metrics: dict[str, Estimate]
    observed: float
    importance: list[Importance]
    slices: list[SliceLoss]
    min_slice_rows: int
    roc: list[Curve] | None = None
    precision_recall: Curve | None = None
    calibration: Curve | None = None
    confusion: Confusion | None = None
    values: Histogram | None = None
    residuals: Histogram | None = None


def measure_plots(
    project: Project, model: Pipeline, evaluation: HoldoutEvaluation, min_slice_rows: int, seed: int
) -> PlotData:
    """The numbers of every plot of the kind of target."""
    kind, target, prediction = project.contract.target, evaluation.target, evaluation.prediction
    report = evaluation.report
    data = PlotData(
        metrics=report.metrics,
        observed=report.observed,
        importance=_measure_importance(project, model, evaluation, seed),
        slices=[SliceLoss(each.column, each.value, each.rows, each.loss) for each in report.slices],
        min_slice_rows=min_slice_rows,
    )
    if kind.is_regression:
        return _of_values(data, target, prediction)
    if kind.is_binary:
        return _of_two_classes(data, kind, target, prediction)
    return _of_classes(data, kind, target, prediction)


def _of_two_classes(data: PlotData, kind: Target, target: np.ndarray, probability: np.ndarray) -> PlotData:
    precision, recall, _ = precision_recall_curve(target, probability)
    return replace(
        data,
        roc=[_roc(target, probability)],
        precision_recall=thin(recall, precision),
        calibration=_calibrate(kind, target, probability),
    )


def _of_classes(data: PlotData, kind: Target, target: np.ndarray, probability: np.ndarray) -> PlotData:
    kept = _largest_classes(target)
    names = [str(kind.classes[number]) for number in kept]
    counts = confusion_matrix(target, probability.argmax(axis=1), labels=kept)
    curves = [_roc(target == number, probability[:, number], name) for number, name in zip(kept, names, strict=True)]
    return replace(
        data,
        roc=curves,
        confusion=Confusion(names, counts.tolist()),
        calibration=_calibrate(kind, target, probability),
    )


def _of_values(data: PlotData, target: np.ndarray, prediction: np.ndarray) -> PlotData:
    counts, x, y = np.histogram2d(prediction, target, bins=VALUE_BINS)
    errors, edges = np.histogram(prediction - target, bins=RESIDUAL_BINS)
    return replace(
        data,
        values=Histogram(counts.astype(int).tolist(), x.tolist(), y.tolist()),
        residuals=Histogram(errors.tolist(), edges.tolist()),
    )


def _roc(target: np.ndarray, probability: np.ndarray, name: str = "") -> Curve:
    false_rate, true_rate, _ = roc_curve(target, probability)
    return replace(thin(false_rate, true_rate), name=name)


def _calibrate(kind: Target, target: np.ndarray, prediction: np.ndarray) -> Curve:
    """Of two classes the probability of the positive one; of more, that of the most likely one."""
    observed, predicted = calibration_curve(
        kind.observed(target, prediction), kind.expected(prediction), n_bins=CALIBRATION_BINS, strategy="quantile"
    )
    return thin(predicted, observed)


def thin(x: np.ndarray, y: np.ndarray) -> Curve:
    """A curve of at most `CURVE_POINTS` points, the first and the last among them."""
    at = np.unique(np.linspace(0, len(x) - 1, min(CURVE_POINTS, len(x))).round().astype(int))
    return Curve(x[at].round(DECIMALS).tolist(), y[at].round(DECIMALS).tolist())


def _largest_classes(target: np.ndarray) -> list[int]:
    """Positions of the classes with most rows, in the contract's order."""
    positions, counts = np.unique(target.astype("int64"), return_counts=True)
    return sorted(positions[np.argsort(-counts, kind="stable")[:KEPT_CLASSES]].tolist())


def _measure_importance(
    project: Project, model: Pipeline, evaluation: HoldoutEvaluation, seed: int
) -> list[Importance]:
    """Of what the estimator sees, derived columns among it: each is shuffled after they were derived."""
    target, scale = project.contract.target, evaluation.baseline.scale
    features, n_held_out = used_features(model), evaluation.report.rows
    n_rows = min(IMPORTANCE_ROWS, max(IMPORTANCE_CELLS // len(features), 1), n_held_out)
    at = np.random.RandomState(seed).choice(n_held_out, n_rows, replace=False)
    rows = evaluation.read([*dict.fromkeys([*model.feature_names_in_, target.column])], at)
    step = find_step(model)
    result = permutation_importance(
        model[1:] if step else model,
        (step.transform(rows) if step else rows)[features],
        target.encode(rows[target.column]),
        scoring=lambda fitted, sample, truth: -target.row_losses(truth, predict(project, fitted, sample), scale).mean(),
        n_repeats=IMPORTANCE_REPEATS,
        random_state=seed,
    )
    return [
        Importance(features[at], float(result.importances_mean[at]), float(result.importances_std[at]))
        for at in np.argsort(-result.importances_mean, kind="stable")[:KEPT_FEATURES]
    ]
