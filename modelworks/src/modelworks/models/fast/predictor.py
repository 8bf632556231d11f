"""Rows from JSON to predictions: the fitted pipeline's own steps, without a frame and by treelite where that agrees."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from modelworks.contract import Contract
from modelworks.data import frames
from modelworks.data.columnar import Columns
from modelworks.models import derived, pipeline
from modelworks.models.columns import ColumnEncoder, read_column
from modelworks.models.fast.trees import Predict, import_estimator
from modelworks.project import Project

Rows = list[dict[str, Any]]

FEW_ROWS = 100
"""Up to which treelite is faster than the estimator."""
TOLERANCE = 1e-12
"""By how much a prediction by treelite may differ from the estimator's; of one above 1, by this fraction of it."""
UNKNOWN = "\x00 no category of any model"
VARIED_ROWS = 8
"""So many rows of the sample are tried with each gap."""


@dataclass(frozen=True)
class Predictor:
    """A model as the API predicts with it.

    Attributes
    ----------
    few : predicts at most `FEW_ROWS` rows in place of the estimator; None where the estimator does
    reason : why the estimator does; "" where it need not
    encoder : the step that encodes rows without a frame; None where it needs one. Derived columns are computed in one
    """

    project: Project
    model: Pipeline
    few: Predict | None
    reason: str
    encoder: ColumnEncoder | None

    def predict(self, rows: Columns) -> np.ndarray:
        """Predictions of rows as JSON has them, equal to `pipeline.predict` of their frame."""
        return self.predict_matrix(self.to_matrix(rows), len(rows))

    def to_matrix(self, rows: Columns) -> Any:
        """What the estimator is given."""
        steps = [step for _, step in self.model.steps[:-1]]
        if self.encoder:
            matrix: Any = self.encoder.encode(len(rows), self._make_reader(rows))
            steps = steps[steps.index(self.encoder) + 1 :]
        else:
            matrix = self._to_frame(rows)
        for step in steps:
            matrix = step.transform(matrix)
        return matrix

    def _to_frame(self, rows: Columns) -> pd.DataFrame:
        return frames.from_columns(self.project.contract, rows, list(self.model.feature_names_in_))

    def _make_reader(self, rows: Columns) -> Callable[[str, str], Any]:
        """Reads a column of the contract from the rows, and a derived one from the function's frame."""
        dtypes, step = self.project.contract.dtypes, derived.find_step(self.model)
        made = step.derive(self._to_frame(rows)) if step else None
        # Where a frame is there, many rows are read faster from it.
        from_frame = {*step.kinds_, *(dtypes if len(rows) > FEW_ROWS else ())} if step else set()

        def read(name: str, dtype: str) -> Any:
            if made is not None and name in from_frame:
                return read_column(made[name], dtype)
            values = rows[name]
            # In the contract's dtype first, as a frame would have them.
            return values if dtype == "str" else frames.to_array(values, dtypes[name]).astype(dtype, copy=False)

        return read

    def predict_matrix(self, matrix: Any, n_rows: int) -> np.ndarray:
        """Predictions of a matrix, by the way that so many rows go."""
        target, estimator = self.project.contract.target, self.model.steps[-1][1]
        if self.few and n_rows <= FEW_ROWS:
            predicted = self.few(matrix)
        else:
            predicted = estimator.predict(matrix) if target.is_regression else estimator.predict_proba(matrix)
        return pipeline.to_prediction(target, np.asarray(predicted), getattr(estimator, "classes_", np.array([])))


def make_predictor(project: Project, model: Pipeline, sample: Rows) -> Predictor:
    """A predictor that does without a frame and by treelite where that agrees with the pipeline on its sample.

    It is tried on the rows of the sample, and on these with each gap and each unknown category that a request may have.

    Parameters
    ----------
    sample : rows as `frames.to_records` makes them, with all columns that the model needs
    """
    slow = Predictor(project, model, None, "", None)
    if not sample:
        return replace(slow, reason="the model has no sample to compare treelite with it")
    quick, encoder = slow, pipeline.find_column_encoder(model)
    if type(encoder) is ColumnEncoder:  # a subclass has documents as well, whose encoders are given a frame's columns
        quick = replace(slow, encoder=encoder)
    try:
        quick = replace(quick, few=import_estimator(model.steps[-1][1]))
    except Exception as error:  # treelite may fail in any way, and the estimator serves
        quick = replace(quick, reason=f"{type(error).__name__}: {error}")
    return _check(quick, slow, _try_rows(slow, sample)) if quick.encoder or quick.few else quick


def _check(quick: Predictor, slow: Predictor, rows: Rows) -> Predictor:
    """What of a quick predictor agrees with a slow one."""
    columns = Columns.from_records(rows)
    matrix = slow.to_matrix(columns)
    if quick.encoder and not np.array_equal(quick.to_matrix(columns), matrix, equal_nan=True):
        quick = replace(quick, encoder=None)
    if quick.few is None:
        return quick
    try:
        difference = _difference(quick.predict_matrix(matrix, 1), slow.predict_matrix(matrix, len(rows)))
    except Exception as error:
        return replace(quick, few=None, reason=f"{type(error).__name__}: {error}")
    if difference <= TOLERANCE:
        return quick
    return replace(quick, few=None, reason=f"treelite predicts otherwise, by up to {difference:.2g}")


def _difference(predicted: np.ndarray, expected: np.ndarray) -> float:
    return float(np.max(np.abs(predicted - expected) / np.maximum(1, np.abs(expected))))


def _try_rows(slow: Predictor, sample: Rows) -> Rows:
    """The sample and its variations; without those that the model's own steps cannot take."""
    variations = list(_vary(slow.project.contract, slow.model, sample[:VARIED_ROWS]))
    together = [row for rows in (sample, *variations) for row in rows]
    if _can_take(slow, together):
        return together
    return [row for rows in (sample, *variations) if rows is sample or _can_take(slow, rows) for row in rows]


def _can_take(slow: Predictor, rows: Rows) -> bool:
    try:
        slow.predict(Columns.from_records(rows))
    except Exception:  # a project's function of derived features may raise anything
        return False
    return True


def _vary(contract: Contract, model: Pipeline, rows: Rows) -> Iterator[Rows]:
    """The rows with a gap in each column that may have one, with unknown categories, and with all of these."""
    names = [str(name) for name in model.feature_names_in_]
    gaps = {name: None for name in names if contract.columns[name].nullable}
    unknown = {name: UNKNOWN for name in names if contract.is_category(name)}
    for changes in (gaps, unknown):
        yield from ([{**row, name: value} for row in rows] for name, value in changes.items())
    yield [{**row, **unknown, **gaps} for row in rows]
    yield [{**row, **gaps, **unknown} for row in rows]
