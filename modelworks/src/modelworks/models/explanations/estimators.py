"""Contributions of the columns of a matrix to what an estimator makes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from modelworks.errors import ExplanationError
from modelworks.models.explanations.columns import find_sources, sum_by_source
from modelworks.models.explanations.trees import Tree, TreePaths

TOLERANCE = 1e-6
TOLERANCE_OF_32_BITS = 1e-4


@dataclass(frozen=True)
class Parts:
    """A prediction as a sum.

    Attributes
    ----------
    base : shape (n_outputs,)
    contributions : of each column, shape (n_rows, n_columns, n_outputs)
    margin : what base and contributions sum to, as the estimator itself computes it, shape (n_rows, n_outputs)
    tolerance : by how much the sum may differ from the margin; of a margin above 1, by this fraction of it
    """

    base: np.ndarray
    contributions: np.ndarray
    margin: np.ndarray
    tolerance: float = TOLERANCE


Split = Callable[[np.ndarray], Parts]
"""From a matrix, shape (n_rows, n_columns), to its parts."""


def make_split(estimator: Any) -> Split:
    """How a fitted estimator's predictions are split; made once for many rows.

    Raises
    ------
    ExplanationError
        If its predictions are no sum of contributions of its columns.
    """
    # By name, since these libraries may not be installed.
    library = type(estimator).__module__.partition(".")[0]
    if isinstance(estimator, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
        return _split_boosting(estimator)
    if isinstance(estimator, RandomForestClassifier | RandomForestRegressor):
        return _split_forest(estimator)
    if isinstance(estimator, LogisticRegression | Ridge):
        return _split_linear(estimator)
    if isinstance(estimator, VotingRegressor):
        return _split_voting(estimator)
    if isinstance(estimator, Pipeline):
        return _split_pipeline(estimator)
    if library == "lightgbm":
        return _split_lightgbm(estimator)
    if type(estimator).__name__ in {"TypedClassifier", "TypedRegressor"}:
        return _split_xgboost(estimator)
    raise ExplanationError(
        f"a {type(estimator).__name__} cannot be explained: its prediction is no sum of contributions of its features. "
        "Linear models, boosted trees, forests and means of numbers by several of these can"
    )


def _split_linear(estimator: LogisticRegression | Ridge) -> Split:
    """The coefficient times the value; the base is the intercept."""
    coefficients = np.atleast_2d(estimator.coef_)
    base = np.atleast_1d(estimator.intercept_)

    def split(matrix: np.ndarray) -> Parts:
        contributions = matrix[:, :, None] * coefficients.T
        return Parts(base, contributions, _margin(getattr(estimator, "decision_function", estimator.predict), matrix))

    return split


def _split_boosting(estimator: HistGradientBoostingClassifier | HistGradientBoostingRegressor) -> Split:
    """By the trees of each output, which share the columns' categories."""
    is_categorical = estimator.is_categorical_
    has_categories = is_categorical is not None and is_categorical.any()
    known, position = estimator._bin_mapper.make_known_categories_bitsets() if has_categories else (None, None)
    base = np.ravel(estimator._baseline_prediction).astype("float64")
    trees = [
        (output, predictor, TreePaths(_boosted_tree(predictor.nodes)))
        for of_iteration in estimator._predictors
        for output, predictor in enumerate(of_iteration)
    ]

    def split(matrix: np.ndarray) -> Parts:
        prepared = np.asarray(estimator._preprocess_X(matrix, reset=False))
        n_columns, total = prepared.shape[1], base.copy()
        contributions = np.zeros((len(prepared), n_columns, len(base)))
        for output, predictor, paths in trees:
            goes_left = _goes_left(predictor, prepared, known, position)
            contributions[:, :, [output]] += paths.contributions(goes_left, n_columns)
            total[output] += paths.expected[0]
        if estimator._preprocessor is not None:  # which moves the categories before the numbers
            order = np.argsort(np.r_[np.flatnonzero(is_categorical), np.flatnonzero(~is_categorical)])
            contributions = contributions[:, order]
        return Parts(total, contributions, _margin(getattr(estimator, "decision_function", estimator.predict), matrix))

    return split


def _boosted_tree(nodes: np.ndarray) -> Tree:
    is_leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        left=np.where(is_leaf, -1, nodes["left"].astype("int64")),
        right=np.where(is_leaf, -1, nodes["right"].astype("int64")),
        feature=nodes["feature_idx"],
        cover=nodes["count"].astype("float64"),
        value=nodes["value"][:, None],
    )


def _goes_left(predictor: Any, matrix: np.ndarray, known: Any, position: Any) -> np.ndarray:
    """Whether a row goes left at a node, shape (n_rows, n_nodes); at leaves it means nothing.

    Parameters
    ----------
    known : the categories of each categorical column, as bits
    position : of a column among the categorical ones
    """
    nodes = predictor.nodes
    values = matrix[:, nodes["feature_idx"]]
    left = values <= nodes["num_threshold"]
    is_missing = np.isnan(values)
    for at in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~nodes["is_leaf"].astype(bool)):
        of_column = values[:, at]
        codes = np.where(is_missing[:, at] | (of_column < 0) | (of_column > 255), 0, of_column).astype("int64")
        in_left = _has_bit(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][at]], codes)
        is_known = _has_bit(known[position[nodes["feature_idx"][at]]], codes) & (codes == of_column)
        left[:, at] = in_left
        is_missing[:, at] |= ~(is_known | in_left)
    return np.where(is_missing, nodes["missing_go_to_left"].astype(bool), left)


def _has_bit(bits: np.ndarray, codes: np.ndarray) -> np.ndarray:
    found: np.ndarray = (np.asarray(bits, "uint32")[codes // 32] >> (codes % 32).astype("uint32")) & 1
    return found.astype(bool)


def _split_forest(estimator: RandomForestClassifier | RandomForestRegressor) -> Split:
    """By its trees; of two classes, the second."""
    is_binary = isinstance(estimator, RandomForestClassifier) and len(estimator.classes_) == 2
    trees = [each.tree_ for each in estimator.estimators_]
    paths = [TreePaths(_tree_of_forest(each, is_binary=is_binary)) for each in trees]

    def split(matrix: np.ndarray) -> Parts:
        numbers = np.asarray(matrix, "float32")  # as its trees compare them
        base = np.zeros(paths[0].expected.size)
        contributions = np.zeros((*matrix.shape, base.size))
        for tree, own in zip(trees, paths, strict=True):
            base += own.expected / len(trees)
            contributions += own.contributions(_goes_left_in_forest(tree, numbers), matrix.shape[1]) / len(trees)
        margin = _margin(getattr(estimator, "predict_proba", estimator.predict), matrix)
        return Parts(base, contributions, margin[:, 1:] if is_binary else margin)

    return split


def _tree_of_forest(tree: Any, *, is_binary: bool) -> Tree:
    value = tree.value[:, 0]
    return Tree(
        left=tree.children_left,
        right=tree.children_right,
        feature=tree.feature,
        cover=tree.weighted_n_node_samples,
        value=value[:, 1:] if is_binary else value,
    )


def _goes_left_in_forest(tree: Any, matrix: np.ndarray) -> np.ndarray:
    values = matrix[:, np.maximum(tree.feature, 0)]
    return np.where(np.isnan(values), tree.missing_go_to_left.astype(bool), values <= tree.threshold)


def _split_lightgbm(estimator: Any) -> Split:
    """LightGBM has SHAP values of its own: of each column, and then of the base."""

    def split(matrix: np.ndarray) -> Parts:
        margin = _margin(lambda rows: estimator.predict(rows, raw_score=True), matrix)
        found = np.asarray(estimator.predict(matrix, pred_contrib=True))
        found = found.reshape(len(matrix), margin.shape[1], matrix.shape[1] + 1).transpose(0, 2, 1)
        return Parts(found[0, -1], found[:, :-1], margin)

    return split


def _split_xgboost(estimator: Any) -> Split:
    """XGBoost has SHAP values of its own: of each column, and then of the base; in 32 bits."""
    from xgboost import DMatrix

    booster, types = estimator.estimator_.get_booster(), estimator.estimator_.feature_types

    def split(matrix: np.ndarray) -> Parts:
        rows = DMatrix(matrix, feature_types=types, enable_categorical=True)
        margin = _margin(lambda of: booster.predict(of, output_margin=True), rows).astype("float64")
        found = booster.predict(rows, pred_contribs=True, strict_shape=True).astype("float64").transpose(0, 2, 1)
        return Parts(found[0, -1], found[:, :-1], margin, TOLERANCE_OF_32_BITS)

    return split


def _split_voting(estimator: VotingRegressor) -> Split:
    """The weighted mean of its members' parts."""
    weights = np.array(estimator.weights or [1.0] * len(estimator.estimators_))
    members = [make_split(each) for each in estimator.estimators_]

    def split(matrix: np.ndarray) -> Parts:
        parts = [member(matrix) for member in members]
        shares = weights / weights.sum()
        return Parts(
            sum(share * each.base for share, each in zip(shares, parts, strict=True)),
            sum(share * each.contributions for share, each in zip(shares, parts, strict=True)),
            _margin(estimator.predict, matrix),
            max(each.tolerance for each in parts),
        )

    return split


def _split_pipeline(estimator: Pipeline) -> Split:
    """Its last step's parts, of the columns that the steps before were given."""
    before, last = estimator[:-1], make_split(estimator[-1])

    def split(matrix: np.ndarray) -> Parts:
        n_columns = matrix.shape[1]
        sources = find_sources(before, list(range(n_columns)))
        parts = last(np.asarray(before.transform(matrix)))
        summed = sum_by_source(parts.contributions, sources, list(range(n_columns)))
        return Parts(parts.base, summed, parts.margin, parts.tolerance)

    return split


def _margin(predict: Callable[[Any], np.ndarray], rows: Any) -> np.ndarray:
    """What an estimator predicts, shape (n_rows, n_outputs)."""
    predicted = np.asarray(predict(rows))
    return predicted[:, None] if predicted.ndim == 1 else predicted
