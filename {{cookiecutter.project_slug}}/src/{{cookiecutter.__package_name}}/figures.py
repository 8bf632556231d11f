"""Plots of a model on the held-out rows."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.inspection import permutation_importance
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve
from sklearn.pipeline import Pipeline

from . import schema, task
from .evaluation import CALIBRATION_BINS, Report
from .training import predict

IMPORTANCE_CELLS = 200_000  # rows times features, and no more rows than
IMPORTANCE_ROWS = 2000
IMPORTANCE_REPEATS = 3
SHOWN_FEATURES = 30
SHOWN_CLASSES = 10


def draw_figures(
    model: Pipeline, frame: pd.DataFrame, report: Report, min_slice_rows: int, seed: int
) -> dict[str, Figure]:
    """File name and figure of each plot.

    Parameters
    ----------
    frame : the held-out rows whose target is known
    min_slice_rows : slices with fewer are drawn in grey
    """
    target, prediction = task.code(frame[schema.TARGET]), predict(model, frame)
    if task.IS_REGRESSION:
        own = {
            "predicted_observed.png": _draw_values(target, prediction, report),
            "residuals.png": _draw_residuals(target, prediction, report),
        }
    elif task.IS_BINARY:
        own = {
            "roc.png": _draw_roc(target, prediction, report),
            "precision_recall.png": _draw_precision_recall(target, prediction, report),
            "calibration.png": _draw_calibration(target, prediction, report),
        }
    else:
        is_right, confidence = task.observe(target, prediction), task.expect(prediction)
        own = {
            "roc.png": _draw_class_rocs(target, prediction, report),
            "confusion.png": _draw_confusion(target, prediction, report),
            "calibration.png": _draw_calibration(is_right, confidence, report),
        }
    return {
        **own,
        "permutation_importance.png": _draw_importance(model, frame, seed),
        "slices.png": _draw_slices(report, min_slice_rows),
    }


def _draw_roc(target: np.ndarray, probability: np.ndarray, report: Report) -> Figure:
    false_rate, true_rate, _ = roc_curve(target, probability)
    figure, axes = _new(f"ROC-AUC {report.metrics['roc_auc']}")
    axes.plot(false_rate, true_rate)
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    return figure


def _draw_precision_recall(target: np.ndarray, probability: np.ndarray, report: Report) -> Figure:
    precision, recall, _ = precision_recall_curve(target, probability)
    figure, axes = _new(f"Average precision {report.metrics['average_precision']}")
    axes.plot(recall, precision)
    axes.axhline(report.observed, color="grey", linestyle=":")
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    return figure


def _draw_calibration(target: np.ndarray, probability: np.ndarray, report: Report) -> Figure:
    observed, predicted = calibration_curve(target, probability, n_bins=CALIBRATION_BINS, strategy="quantile")
    figure, axes = _new(f"Calibration error {report.metrics['calibration_error']}")
    axes.plot(predicted, observed, marker="o")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.set(xlabel="predicted probability", ylabel="observed share")
    return figure


def _draw_class_rocs(target: np.ndarray, probability: np.ndarray, report: Report) -> Figure:
    figure, axes = _new(f"Mean ROC-AUC of each class against the rest {report.metrics['roc_auc']}")
    for number in _largest_classes(target):
        false_rate, true_rate, _ = roc_curve(target == number, probability[:, number])
        axes.plot(false_rate, true_rate, label=str(schema.CLASSES[number]))
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.legend(fontsize="small")
    return figure


def _draw_confusion(target: np.ndarray, probability: np.ndarray, report: Report) -> Figure:
    shown = _largest_classes(target)
    counts = confusion_matrix(target, probability.argmax(axis=1), labels=shown)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = _new(f"Accuracy {report.metrics['accuracy']}")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        axes.text(
            column, row, f"{count:,}", ha="center", va="center", color="white" if shares[row, column] > 0.5 else "k"
        )
    names = [str(schema.CLASSES[number]) for number in shown]
    axes.set_xticks(range(len(shown)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(shown)), names)
    axes.set(xlabel="predicted", ylabel="observed")
    return figure


def _largest_classes(target: np.ndarray) -> list[int]:
    """Numbers of the classes with most rows, in the contract's order."""
    numbers, counts = np.unique(target.astype("int64"), return_counts=True)
    return sorted(numbers[np.argsort(-counts, kind="stable")[:SHOWN_CLASSES]].tolist())


def _draw_values(target: np.ndarray, prediction: np.ndarray, report: Report) -> Figure:
    figure, axes = _new(f"R² {report.metrics['r2']}")
    axes.hexbin(prediction, target, gridsize=40, cmap="Blues", mincnt=1, bins="log")
    ends = [min(prediction.min(), target.min()), max(prediction.max(), target.max())]
    axes.plot(ends, ends, color="grey", linestyle=":")
    axes.set(xlabel="predicted", ylabel="observed")
    return figure


def _draw_residuals(target: np.ndarray, prediction: np.ndarray, report: Report) -> Figure:
    figure, axes = _new(f"Mean error {report.metrics['bias']} standard deviations")
    axes.hist(prediction - target, bins=50)
    axes.axvline(0, color="grey", linestyle=":")
    axes.set(xlabel=f"predicted minus observed `{schema.TARGET}`", ylabel="rows")
    return figure


def _draw_importance(model: Pipeline, frame: pd.DataFrame, seed: int) -> Figure:
    features = list(model.feature_names_in_)
    n_rows = min(IMPORTANCE_ROWS, max(IMPORTANCE_CELLS // len(features), 1), len(frame))
    rows = frame.sample(n_rows, random_state=seed)
    result = permutation_importance(
        model,
        rows[features],
        task.code(rows[schema.TARGET]),
        scoring=lambda fitted, X, y: -task.row_losses(y, predict(fitted, X)).mean(),
        n_repeats=IMPORTANCE_REPEATS,
        random_state=seed,
    )
    order = np.argsort(result.importances_mean)[-SHOWN_FEATURES:]
    height = max(4.5, 0.25 * len(order))
    figure, axes = _new("Permutation importance", height)
    axes.barh([features[at] for at in order], result.importances_mean[order], xerr=result.importances_std[order])
    axes.set(xlabel=f"rise of the {task.LOSS_NAME} when the column is shuffled")
    return figure


def _draw_slices(report: Report, min_slice_rows: int) -> Figure:
    figure = Figure(figsize=(9, 6), layout="constrained")
    figure.suptitle(f"{task.LOSS_NAME.capitalize()} by slice; dotted: all rows; grey: fewer than {min_slice_rows} rows")
    columns = list(dict.fromkeys(each.column for each in report.slices))
    if not columns:
        figure.text(0.5, 0.5, "the contract names no SLICES", ha="center")
        return figure
    for axes, column in zip(figure.subplots(len(columns), 1, squeeze=False).flat, columns, strict=True):
        slices = [each for each in report.slices if each.column == column]
        colors = ["lightgrey" if each.rows < min_slice_rows else "tab:blue" for each in slices]
        axes.bar([each.value for each in slices], [each.loss for each in slices], color=colors)
        axes.axhline(report.loss.value, color="grey", linestyle=":")
        axes.set(xlabel=column, ylabel=f"{task.LOSS_NAME}, {task.LOSS_UNIT}")
    return figure


def _new(title: str, height: float = 4.5) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes
