"""Plots of a model on the held-out month."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.inspection import permutation_importance
from sklearn.metrics import precision_recall_curve, roc_curve
from sklearn.pipeline import Pipeline

from . import schema
from .evaluation import CALIBRATION_BINS, Report, row_losses
from .training import predict

IMPORTANCE_ROWS = 2000
IMPORTANCE_REPEATS = 3


def draw_figures(
    model: Pipeline, frame: pd.DataFrame, report: Report, min_slice_rows: int, seed: int
) -> dict[str, Figure]:
    """File name and figure of each plot.

    Parameters
    ----------
    frame : the held-out rows whose target is known
    min_slice_rows : slices with fewer are drawn in grey
    """
    target, probability = frame[schema.TARGET].to_numpy(), predict(model, frame)
    return {
        "roc.png": _draw_roc(target, probability, report),
        "precision_recall.png": _draw_precision_recall(target, probability, report),
        "calibration.png": _draw_calibration(target, probability, report),
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
    axes.axhline(report.rate, color="grey", linestyle=":")
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    return figure


def _draw_calibration(target: np.ndarray, probability: np.ndarray, report: Report) -> Figure:
    observed, predicted = calibration_curve(target, probability, n_bins=CALIBRATION_BINS, strategy="quantile")
    figure, axes = _new(f"Calibration error {report.metrics['calibration_error']}")
    axes.plot(predicted, observed, marker="o")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.set(xlabel="predicted probability", ylabel="observed share")
    return figure


def _draw_importance(model: Pipeline, frame: pd.DataFrame, seed: int) -> Figure:
    rows = frame.sample(min(IMPORTANCE_ROWS, len(frame)), random_state=seed)
    features = list(model.feature_names_in_)
    result = permutation_importance(
        model,
        rows[features],
        rows[schema.TARGET],
        scoring=lambda fitted, X, y: -row_losses(y.to_numpy(), predict(fitted, X)).mean(),
        n_repeats=IMPORTANCE_REPEATS,
        random_state=seed,
    )
    order = np.argsort(result.importances_mean)
    figure, axes = _new("Permutation importance")
    axes.barh([features[at] for at in order], result.importances_mean[order], xerr=result.importances_std[order])
    axes.set(xlabel="rise of the log loss when the column is shuffled, nats")
    return figure


def _draw_slices(report: Report, min_slice_rows: int) -> Figure:
    figure = Figure(figsize=(9, 6), layout="constrained")
    figure.suptitle(f"Log loss by slice; dotted: all rows; grey: fewer than {min_slice_rows} rows")
    columns = list(dict.fromkeys(each.column for each in report.slices))
    for axes, column in zip(figure.subplots(len(columns), 1, squeeze=False).flat, columns, strict=True):
        slices = [each for each in report.slices if each.column == column]
        colors = ["lightgrey" if each.rows < min_slice_rows else "tab:blue" for each in slices]
        axes.bar([each.value for each in slices], [each.log_loss for each in slices], color=colors)
        axes.axhline(report.metrics["log_loss"].value, color="grey", linestyle=":")
        axes.set(xlabel=column, ylabel="log loss, nats")
    return figure


def _new(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes
