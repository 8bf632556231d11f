"""The model: features and estimator in one scikit-learn pipeline, so that serving cannot differ from training."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from threadpoolctl import threadpool_limits

from . import contract
from .config import Model, Training
from .errors import ContractError

# The estimator takes at most 255 categories; rarer ones share a code, and so do unseen ones with missing ones.
MAX_CATEGORIES = 250


class DateParts(TransformerMixin, BaseEstimator):
    """Minute of the day (0 to 1439) and day of the week (0 = Monday) of one column of times."""

    def fit(self, X: pd.DataFrame, y: pd.Series | None = None) -> "DateParts":
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Parts of each time; shape (n_rows, 2)."""
        time = X.iloc[:, 0].dt
        return np.column_stack([time.hour * 60 + time.minute, time.day_of_week]).astype("float64")

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        return np.array(["minute_of_day", "day_of_week"], dtype=object)


def build_model(features: list[str], model: Model, seed: int) -> Pipeline:
    """An unfitted pipeline from features of the contract to the probability of the target."""
    texts = [name for name in features if contract.is_text(name)]
    times = [name for name in features if name == contract.TIME]
    numbers = [name for name in features if name not in texts + times]
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        max_categories=MAX_CATEGORIES,
    )
    # Categories come first, so that their positions are known before the fit.
    columns = ColumnTransformer(
        [("category", encoder, texts), ("time", DateParts(), times), ("number", "passthrough", numbers)],
        verbose_feature_names_out=False,
    )
    estimator = HistGradientBoostingClassifier(
        learning_rate=model.learning_rate,
        max_iter=model.max_iter,
        min_samples_leaf=model.min_samples_leaf,
        l2_regularization=model.l2_regularization,
        categorical_features=list(range(len(texts))),
        early_stopping=False,
        random_state=seed,
    )
    return Pipeline([("features", columns), ("estimator", estimator)])


def limit_threads(settings: Training) -> threadpool_limits:
    """A context in which fits and predictions use no more threads than configured.

    On a busy machine, as many threads as cores can take ten times as long as one.
    """
    return threadpool_limits(settings.threads or None)


def fit(frame: pd.DataFrame, settings: Training, model: Model) -> Pipeline:
    """A fitted pipeline; the same rows, settings and seed give the same predictions.

    Parameters
    ----------
    frame : clean rows, with features and target

    Raises
    ------
    ContractError
        If `settings.features` names a column that is known only afterwards, or none of the contract; or if the
        target has one class only, which leaves nothing to learn.
    """
    # A column without any value teaches nothing, and the estimator cannot bin it.
    features = [name for name in contract.select_features(settings.features) if frame[name].notna().any()]
    target = frame[contract.TARGET]
    if target.nunique() < 2:
        raise ContractError(
            f"column {contract.TARGET!r}: only {target.unique().tolist()} in {len(frame)} rows of training data; "
            "a model needs both classes"
        )
    return build_model(features, model, settings.seed).fit(frame[features], target)


def predict(model: Pipeline, frame: pd.DataFrame) -> np.ndarray:
    """Probability that the target is 1; shape (n_rows,), each in [0, 1]."""
    return model.predict_proba(frame[list(model.feature_names_in_)])[:, 1]
