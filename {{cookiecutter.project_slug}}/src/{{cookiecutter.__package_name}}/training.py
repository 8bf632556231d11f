"""The model: features and estimator in one scikit-learn pipeline, so that serving cannot differ from training."""

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from . import families, preparation, pretrained, schema, task
from .config import Model, Training
from .errors import ContractError
from .features import TIME_PARTS, Features


def build_model(features: list[str], model: Model, settings: Training) -> Pipeline:
    """An unfitted pipeline from features of the contract to the coded target.

    Raises
    ------
    ConfigError
        If there is no such family, or it cannot take one of the model's settings.
    """
    family = families.find(model.family)
    step = sort_features(features, model, settings)
    prepared = preparation.build(model, len(step.texts), len(step.get_feature_names_out()), settings.seed)
    is_native = preparation.choices(model)[0] == "native"
    estimator = family.build(families.complete(model), len(step.texts) if is_native else 0, settings)
    between = [("preparation", prepared)] if prepared else []
    return Pipeline([("features", step), *between, ("estimator", estimator)])


def sort_features(features: list[str], model: Model, settings: Training) -> Features:
    """The first step of a pipeline: which features are categories, times, dates, numbers and documents."""
    texts = [name for name in features if schema.is_category(name)]
    times = [name for name in features if name == schema.TIME]
    dates = [name for name in features if schema.is_time(name) and name not in times]
    documents = [name for name in features if name in schema.DOCUMENTS]
    numbers = [name for name in features if name not in texts + times + dates + documents]
    if not documents:
        return Features(texts, times, dates, numbers)
    return pretrained.build_features(texts, times, dates, numbers, documents, _name_encoder(model), model, settings)


def _name_encoder(model: Model) -> str:
    return families.find(model.family).encoder or model.encoder


def limit_threads(settings: Training) -> threadpool_limits:
    """A context in which fits and predictions use no more threads than configured.

    On a busy machine, as many threads as cores can take ten times as long as one.
    """
    return threadpool_limits(settings.threads or None)


def fit(frame: pd.DataFrame, settings: Training, model: Model) -> Pipeline:
    """A fitted pipeline; the same rows, settings and seed give the same predictions.

    Parameters
    ----------
    frame : clean rows whose target is known

    Raises
    ------
    ContractError
        If `settings.features` names a column that is known only afterwards, or none of the contract; or if the
        target has one value only, which leaves nothing to learn.
    ConfigError
        If the model's family cannot take one of its settings.
    """
    # A column without any value teaches nothing, and the estimator cannot bin it.
    features = [name for name in schema.select_features(settings.features) if frame[name].notna().any()]
    target = task.code(frame[schema.TARGET])
    if len(values := np.unique(target)) < 2:
        only = values.tolist() if task.IS_REGRESSION else task.label(values).tolist()
        raise ContractError(
            f"column {schema.TARGET!r}: only {only} in {len(frame)} rows of training data; a model needs "
            + ("different values" if task.IS_REGRESSION else "both classes" if task.IS_BINARY else "two classes")
        )
    if model.selected_fraction < 1:
        features = _select_features(frame, target, features, model, settings)
    return build_model(features, model, settings).fit(
        frame[features], target if task.IS_REGRESSION else target.astype("int64")
    )


def _select_features(
    frame: pd.DataFrame, target: np.ndarray, features: list[str], model: Model, settings: Training
) -> list[str]:
    """Those that say most about the target; a time is one feature, though it has two columns. Documents stay."""
    single = [name for name in features if name not in schema.DOCUMENTS]
    if not single:
        return features
    step = sort_features(single, model, settings)
    matrix = step.fit_transform(frame[single])
    fraction, seed = model.selected_fraction, settings.seed
    is_kept = preparation.select_columns(matrix, target, len(step.texts), fraction, seed)
    columns = step.get_feature_names_out()[is_kept].tolist()
    return [
        name
        for name in features
        if name in schema.DOCUMENTS or name in columns or any(f"{name}_{part}" in columns for part in TIME_PARTS)
    ]


def predict(model: Pipeline, frame: pd.DataFrame) -> np.ndarray:
    """A prediction of each row, as `task` describes it: probabilities in [0, 1], or values.

    Raises
    ------
    ContractError
        If the rows lack a column that the model was trained with.
    """
    features = list(model.feature_names_in_)
    # To select columns takes longer than to see that there is nothing to select, which counts for a single row.
    if list(frame.columns) == features:
        return _predict(model, frame)
    if missing := [name for name in features if name not in frame]:
        raise ContractError(
            f"the model needs columns that the data do not have: {', '.join(missing)}; it was trained under another "
            "contract: train and release one under this"
        )
    return _predict(model, frame[features])


def _predict(model: Pipeline, frame: pd.DataFrame) -> np.ndarray:
    if task.IS_REGRESSION:
        return model.predict(frame)
    probability = model.predict_proba(frame)
    if task.IS_BINARY:
        return probability[:, 1]
    is_known = np.isin(np.arange(len(schema.CLASSES)), model.classes_)
    if is_known.all():
        return probability
    wide = np.zeros((len(probability), len(schema.CLASSES)))
    wide[:, is_known] = probability
    return task.spread(wide, is_known)


def skip_needless_encoding(model: Pipeline) -> Pipeline:
    """The same pipeline without the estimator's own encoder, where that gives back what it gets.

    `Features` makes codes 0, 1, 2, ... already. To encode them as 0, 1, 2, ... again takes a quarter of the time of a
    single prediction. Any other pipeline is left as it is.
    """
    estimator = model.steps[-1][1]
    encoder = getattr(estimator, "_preprocessor", None)
    if not isinstance(model.steps[0][1], Features) or encoder is None:
        return model
    categorical = np.flatnonzero(estimator.is_categorical_)
    codes = encoder.named_transformers_["encoder"].categories_
    is_identity = all(np.array_equal(each[~np.isnan(each)], np.arange((~np.isnan(each)).sum())) for each in codes)
    if is_identity and np.array_equal(categorical, np.arange(len(categorical))):
        estimator._preprocessor = None
    return model


def watched(model: Pipeline, frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows with what is compared of months: a few numbers of each document, all else as it is."""
    project = getattr(model.steps[0][1], "project", None)
    return project(frame) if project else frame


def known_categories(model: Pipeline) -> dict[str, frozenset[str]]:
    """What the model has seen of each text feature; of a model without a `Features` step nothing is known."""
    step = next((step for _, step in model.steps if isinstance(step, Features)), None)
    return {name: frozenset(values) for name, values in step.codes_.items()} if step else {}


def tolerance(model: Model) -> float:
    """By how much a prediction may differ where it is computed anew, on another machine or among other rows."""
    # The sums of a network in 32 bits depend on which documents share a batch.
    return max(families.find(model.family).tolerance, 1e-5 if schema.DOCUMENT_FEATURES else 0.0)


def packages(model: Model) -> list[str]:
    """Distributions that a saved model of this kind needs, beside those that all have."""
    scaling = preparation.choices(model)[2]
    squashing = ["skrub"] if scaling == "squashing" else []
    return [*families.find(model.family).packages, *pretrained.packages(_name_encoder(model)), *squashing]
