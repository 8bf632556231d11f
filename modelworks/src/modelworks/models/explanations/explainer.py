"""From rows of the contract to contributions of its features, in the unit of the model's margin."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline

from modelworks.errors import ExplanationError
from modelworks.models import pipeline
from modelworks.models.explanations.columns import find_sources, name_columns, sum_by_source
from modelworks.models.explanations.estimators import make_split
from modelworks.project import Project

BATCH_ROWS = 64
"""Explained at once, for the memory's sake."""


@dataclass(frozen=True)
class Explanation:
    """Predictions as sums: margin = base + the sum of the contributions.

    Attributes
    ----------
    unit : of all of them
    outputs : the classes that have a margin; [""] where there is one margin
    features : the contract's and derived ones
    base : shape (n_outputs,)
    contributions : shape (n_rows, n_features, n_outputs)
    margin : shape (n_rows, n_outputs)
    """

    unit: str
    outputs: list[str]
    features: list[str]
    base: np.ndarray
    contributions: np.ndarray
    margin: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """The unit, and for each row margin, base and contributions by feature; by class where there are several."""
        return {"unit": self.unit, "rows": list(self._rows())}

    def _rows(self) -> Iterator[dict[str, Any]]:
        base, margins = self.base.tolist(), self.margin.tolist()
        # By output, and in it by feature.
        for margin, contributions in zip(margins, self.contributions.transpose(0, 2, 1).tolist(), strict=True):
            parts = [
                {"margin": margin[at], "base": base[at], "contributions": dict(zip(self.features, own, strict=True))}
                for at, own in enumerate(contributions)
            ]
            yield parts[0] if self.outputs == [""] else {"classes": dict(zip(self.outputs, parts, strict=True))}


class Explainer:
    """Explains predictions of one model.

    Raises
    ------
    ExplanationError
        If its predictions are no sum of contributions of its features.
    """

    def __init__(self, project: Project, model: Pipeline) -> None:
        step = pipeline.find_column_encoder(model)
        if step is None:
            raise ExplanationError("the model cannot be explained: it has no step that encodes the contract's columns")
        self._model = model
        self._split = make_split(model.steps[-1][1])
        first = next(at for at, (_, each) in enumerate(model.steps) if each is step)
        self._sources = name_columns(step)
        for _, each in model.steps[first + 1 : -1]:
            self._sources = find_sources(each, self._sources)
        self._unit, self._outputs = _describe_margin(project, model.steps[-1][1])
        self.features = pipeline.used_features(model)

    def explain(self, frame: pd.DataFrame) -> Explanation:
        """The contributions of each row.

        Parameters
        ----------
        frame : as `pipeline.predict` takes it

        Raises
        ------
        ExplanationError
            If base and contributions do not sum to the margin: another release of the model's library keeps its trees
            in another way.
        """
        batches = [self._explain(frame.iloc[start : start + BATCH_ROWS]) for start in range(0, len(frame), BATCH_ROWS)]
        return Explanation(
            self._unit,
            self._outputs,
            self.features,
            batches[0].base,
            np.concatenate([each.contributions for each in batches]),
            np.concatenate([each.margin for each in batches]),
        )

    def _explain(self, frame: pd.DataFrame) -> Explanation:
        rows: Any = frame[list(self._model.feature_names_in_)]
        for _, step in self._model.steps[:-1]:
            rows = step.transform(rows)
        parts = self._split(np.asarray(rows))
        sums = parts.base + parts.contributions.sum(axis=1)
        difference = float(np.max(np.abs(sums - parts.margin) / np.maximum(1, np.abs(parts.margin))))
        if not difference <= parts.tolerance:
            raise ExplanationError(
                f"the contributions do not sum to the prediction, but differ by up to {difference:.3g}: this release "
                "of the model's library is not known to the engine, and an explanation would be wrong"
            )
        contributions = sum_by_source(parts.contributions, self._sources, self.features)
        return Explanation(self._unit, self._outputs, self.features, parts.base, contributions, parts.margin)


def _describe_margin(project: Project, estimator: Any) -> tuple[str, list[str]]:
    """Unit of the margin, and the classes that have one; [""] where there is one margin."""
    target = project.contract.target
    if target.is_regression:
        return target.unit or target.column, [""]
    is_share = isinstance(estimator, RandomForestClassifier)
    if target.is_binary:
        positive = target.classes[1]
        return (f"probability of {positive}" if is_share else f"log-odds of {positive}"), [""]
    names = [str(target.classes[code]) for code in estimator.classes_]
    has_one = len(names) == 2  # the others have no row in training
    return ("probability" if is_share else "log-odds" if has_one else "logits"), names[1:] if has_one else names
