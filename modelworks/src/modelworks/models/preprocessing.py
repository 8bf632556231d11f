"""Steps between the columns and an estimator that cannot take categories, gaps or scales as they are."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelworks.errors import ConfigError
from modelworks.models.types._encoding import make_target_encoder
from modelworks.project import Project
from modelworks.settings import Model
from modelworks.targets import Target

SELECTION_ROWS = 5000

TRUSTED_TYPES = [
    "sklearn.model_selection._split.KFold",  # of the target encoder, which splits only when it is fitted
    "skrub._squashing_scaler.SquashingScaler",
    "skrub._squashing_scaler._MinMaxScaler",  # of a column most of whose values are equal
]


def _make_squashing_scaler() -> Any:
    from skrub import SquashingScaler  # takes a second to import, and few models use it

    return SquashingScaler()


ENCODINGS: dict[str, Callable[[Target, int], Any]] = {
    "native": lambda target, seed: "passthrough",
    # As float64; an unseen code is all zeros.
    "onehot": lambda target, seed: OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    "target": make_target_encoder,
}
IMPUTATIONS: dict[str, Callable[[], Any]] = {
    "native": lambda: "passthrough",
    "median": lambda: SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
    "mean": lambda: SimpleImputer(strategy="mean", add_indicator=True, keep_empty_features=True),
}
SCALINGS: dict[str, Callable[[], Any]] = {
    "none": lambda: "passthrough",
    "standard": StandardScaler,
    # Robust against outliers, and bounded.
    "squashing": _make_squashing_scaler,
}


def choices(project: Project, model: Model) -> tuple[str, str, str]:
    """Encoding, imputation and scaling of a model: those that it names, or else its model type's defaults.

    Raises
    ------
    ConfigError
        If its model type cannot take one of them.
    """
    model_type = project.find_model_type(model.type)
    found = []
    for key, named, allowed in (
        ("encoding", model.encoding, model_type.encodings),
        ("imputation", model.imputation, model_type.imputations),
        ("scaling", model.scaling, model_type.scalings),
    ):
        if named and named not in allowed:
            raise ConfigError(
                f"[model] {key} = {named!r}: the model type {model.type!r} cannot take it; "
                f"allowed: {', '.join(allowed)}"
            )
        found.append(named or allowed[0])
    return found[0], found[1], found[2]


def build(project: Project, model: Model, n_texts: int, n_columns: int, seed: int) -> ColumnTransformer | None:
    """The step between columns and estimator; None where nothing changes.

    Parameters
    ----------
    n_texts : how many of the columns are codes of categories; they come first
    """
    encoding, imputation, scaling = choices(project, model)
    if (encoding, imputation, scaling) == ("native", "native", "none"):
        return None
    numbers = Pipeline([("imputation", IMPUTATIONS[imputation]()), ("scaling", SCALINGS[scaling]())])
    steps = [
        ("categories", ENCODINGS[encoding](project.contract.target, seed), list(range(n_texts))),
        ("numbers", numbers, list(range(n_texts, n_columns))),
    ]
    return ColumnTransformer([step for step in steps if step[2]])


def select_columns(
    target: Target, matrix: np.ndarray, encoded: np.ndarray, n_texts: int, fraction: float, seed: int
) -> np.ndarray:
    """Columns with the highest mutual information with the target, each by itself; shape (n_columns,), bool.

    Parameters
    ----------
    matrix : as `ColumnEncoder` makes it, shape (n_rows, n_columns), the first `n_texts` of them codes
    encoded : the target, shape (n_rows,)
    fraction : of the columns that is kept; at least one is
    """
    rows = np.random.default_rng(seed).permutation(len(matrix))[:SELECTION_ROWS]
    is_text = np.arange(matrix.shape[1]) < n_texts
    # A gap is a value of its own, below all others.
    below = np.nan_to_num(np.nanmin(matrix, axis=0)) - 1
    filled = np.where(np.isnan(matrix[rows]), below, matrix[rows])
    measure = mutual_info_regression if target.is_regression else mutual_info_classif
    information = measure(filled, encoded[rows], discrete_features=is_text, random_state=seed)
    kept = max(round(fraction * matrix.shape[1]), 1)
    return np.isin(np.arange(matrix.shape[1]), np.argsort(-information, kind="stable")[:kept])
