"""Which feature a column of the estimator's matrix comes from."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, TargetEncoder

from modelworks.errors import ExplanationError
from modelworks.models.columns import ColumnEncoder


def name_columns(step: ColumnEncoder) -> list[str]:
    """The feature that each column of `ColumnEncoder` comes from, in the order of the columns."""
    times = [name for name in step.times for _ in step.time_parts]
    encoders = zip(getattr(step, "documents", []), getattr(step, "encoders", []), strict=True)
    documents = [name for name, encoder in encoders for _ in range(encoder.size)]
    return [*step.texts, *times, *step.dates, *step.numbers, *documents]


def find_sources(step: Any, sources: list[Any]) -> list[Any]:
    """The source of each column that a fitted step returns.

    Parameters
    ----------
    sources : of the columns that it is given

    Raises
    ------
    ExplanationError
        If it is a step whose columns cannot be followed.
    """
    if isinstance(step, Pipeline):
        for _, each in step.steps:
            sources = find_sources(each, sources)
        return sources
    if isinstance(step, ColumnTransformer):
        return _find_sources_of_parts(step, sources)
    if isinstance(step, OneHotEncoder):
        counts = [len(each) for each in step.categories_]
        return [source for source, count in zip(sources, counts, strict=True) for _ in range(count)]
    if isinstance(step, TargetEncoder):
        count = len(step.encodings_) // len(sources)  # a column of each class, where there are three or more
        return [source for source in sources for _ in range(count)]
    if isinstance(step, SimpleImputer):
        gaps = step.indicator_.features_ if step.add_indicator else []
        return sources + [sources[at] for at in gaps]
    if step == "passthrough" or getattr(step, "n_features_in_", None) == len(step.get_feature_names_out()):
        return sources
    raise ExplanationError(f"the columns of a {type(step).__name__} cannot be followed to their features")


def _find_sources_of_parts(step: ColumnTransformer, sources: list[Any]) -> list[Any]:
    found: dict[int, Any] = {}
    for name, part, columns in step.transformers_:
        at = step.output_indices_[name]
        given = list(np.array(range(len(sources)))[columns])
        found |= dict(zip(range(at.start, at.stop), find_sources(part, [sources[each] for each in given]), strict=True))
    return [found[at] for at in sorted(found)]


def sum_by_source(contributions: np.ndarray, sources: Sequence[Any], wanted: Sequence[Any]) -> np.ndarray:
    """Contributions of columns, summed to those of their sources; shape (n_rows, len(wanted), n_outputs)."""
    is_of = np.array([[source == each for source in sources] for each in wanted], "float64")
    summed: np.ndarray = np.einsum("sc,rco->rso", is_of, contributions)
    return summed
