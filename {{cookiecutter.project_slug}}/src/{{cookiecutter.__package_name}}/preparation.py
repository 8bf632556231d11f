"""What comes between the features and an estimator that cannot take categories, gaps or scales as they are."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from . import families, task
from .config import Model
from .errors import ConfigError
from .families._encoding import make_target_encoder

SELECTION_ROWS = 5000

TRUSTED_TYPES = [
    "sklearn.model_selection._split.KFold",  # of the target's encoder, which splits when it is fitted and never again
    "skrub._squashing_scaler.SquashingScaler",
    "skrub._squashing_scaler._MinMaxScaler",  # of a column most of whose values are equal
]


def _squashing() -> Any:
    from skrub import SquashingScaler  # takes a second to import, and few models have it

    return SquashingScaler()


ENCODINGS: dict[str, Callable[[int], Any]] = {
    "native": lambda seed: "passthrough",
    # As float64, and a code that was not seen is all zeros.
    "onehot": lambda seed: OneHotEncoder(handle_unknown="ignore", sparse_output=False),
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
    "squashing": _squashing,
}


def choices(model: Model) -> tuple[str, str, str]:
    """Encoding, imputation and scaling of a model: what it names, or else its family's own.

    Raises
    ------
    ConfigError
        If its family cannot take one of them.
    """
    family = families.find(model.family)
    found = []
    for key, named, allowed in (
        ("encoding", model.encoding, family.encodings),
        ("imputation", model.imputation, family.imputations),
        ("scaling", model.scaling, family.scalings),
    ):
        if named and named not in allowed:
            raise ConfigError(
                f"[model] {key} = {named!r}: the family {model.family!r} cannot take it; allowed: {', '.join(allowed)}"
            )
        found.append(named or allowed[0])
    return found[0], found[1], found[2]


def build(model: Model, n_texts: int, n_columns: int, seed: int) -> ColumnTransformer | None:
    """The step between features and estimator; None where all is left as it is.

    Parameters
    ----------
    n_texts : how many of the columns are codes of categories; they come first
    """
    encoding, imputation, scaling = choices(model)
    if (encoding, imputation, scaling) == ("native", "native", "none"):
        return None
    numbers = Pipeline([("imputation", IMPUTATIONS[imputation]()), ("scaling", SCALINGS[scaling]())])
    steps = [
        ("categories", ENCODINGS[encoding](seed), list(range(n_texts))),
        ("numbers", numbers, list(range(n_texts, n_columns))),
    ]
    return ColumnTransformer([step for step in steps if step[2]])


def select_columns(matrix: np.ndarray, target: np.ndarray, n_texts: int, fraction: float, seed: int) -> np.ndarray:
    """Which columns say most about the target, each by itself: by mutual information; shape (n_columns,), bool.

    Parameters
    ----------
    matrix : as `Features` makes it, shape (n_rows, n_columns), the first `n_texts` of them codes
    target : coded, shape (n_rows,)
    fraction : of the columns that is kept; at least one is
    """
    rows = np.random.default_rng(seed).permutation(len(matrix))[:SELECTION_ROWS]
    is_text = np.arange(matrix.shape[1]) < n_texts
    # A gap is a value of its own, below all others.
    below = np.nan_to_num(np.nanmin(matrix, axis=0)) - 1
    filled = np.where(np.isnan(matrix[rows]), below, matrix[rows])
    measure = mutual_info_regression if task.IS_REGRESSION else mutual_info_classif
    information = measure(filled, target[rows], discrete_features=is_text, random_state=seed)
    kept = max(round(fraction * matrix.shape[1]), 1)
    return np.isin(np.arange(matrix.shape[1]), np.argsort(-information, kind="stable")[:kept])
