"""The model: derived features, columns and estimator in one scikit-learn pipeline, the same in training and serving."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from modelworks.errors import ContractError
from modelworks.models import derived, encoders, model_type, parameters, preprocessing
from modelworks.models.columns import CLOCK, TIME_PARTS, ColumnEncoder
from modelworks.models.derived import Derived, Kind
from modelworks.models.training_columns import choose_time_parts, encode_target
from modelworks.project import Project
from modelworks.settings import Model, Training
from modelworks.targets import Target, reserve_unseen

DOCUMENT_TOLERANCE = 1e-5  # sums of a network in 32 bits depend on which documents share a batch

TRUSTED_TYPES = [
    "functools.partial",  # calls nothing when it is loaded, and skops asks for the function inside it as well
    "numpy.dtype",
    "sklearn.utils.validation.check_array",
    "modelworks.models.columns.ColumnEncoder",
    *preprocessing.TRUSTED_TYPES,
]


def build_model(
    project: Project,
    features: list[str],
    model: Model,
    training: Training,
    kinds: Mapping[str, Kind] | None = None,
    time_parts: Sequence[str] = CLOCK,
) -> Pipeline:
    """An unfitted pipeline from features to the encoded target.

    Parameters
    ----------
    features : of the contract, or derived
    kinds : of the derived features, by name
    time_parts : of the time that the rows have, of `columns.TIME_PARTS`

    Raises
    ------
    ConfigError
        If there is no such model type, it cannot take one of the model's settings, or its library is not installed.
    """
    own = project.find_model_type(model.type)
    complete = parameters.complete_parameters(project, model)
    model_type.require_packages(f"[model] type = {model.type!r}", own.packages)
    step = make_column_encoder(project, features, model, training, kinds or {}, time_parts)
    prepared = preprocessing.build(project, model, len(step.texts), len(step.get_feature_names_out()), training.seed)
    is_native = preprocessing.choices(project, model)[0] == "native"
    n_categorical = len(step.texts) if is_native else 0
    estimator = own.build(project.contract.target, complete, n_categorical, training)
    if own.encoder:
        estimator.set_params(n_documents=len(getattr(step, "documents", [])))
    between = [("preprocessing", prepared)] if prepared else []
    return Pipeline([("columns", step), *between, ("estimator", estimator)])


def make_column_encoder(
    project: Project,
    features: list[str],
    model: Model,
    training: Training,
    kinds: Mapping[str, Kind],
    time_parts: Sequence[str] = CLOCK,
) -> ColumnEncoder:
    """The step that encodes columns, by which features are categories, times, dates, numbers and documents."""
    contract = project.contract
    own = [name for name in features if name not in kinds]
    documents = [name for name in own if name in contract.documents]
    times = [name for name in own if name == contract.time]
    texts = [name for name in features if kinds.get(name) == "category" or (name in own and contract.is_category(name))]
    dates = [
        name
        for name in features
        if kinds.get(name) == "date" or (name in own and contract.is_time(name) and name not in times)
    ]
    numbers = [name for name in features if name not in {*texts, *times, *dates, *documents}]
    if not documents:
        return ColumnEncoder(texts, times, dates, numbers, time_parts)
    from modelworks.models.encoders.documents import DocumentEncoder

    of_encoder = parameters.encoder_parameters(project, model)
    unfitted = encoders.build(contract, parameters.name_encoder(project, model), documents, of_encoder, training)
    return DocumentEncoder(texts, times, dates, numbers, documents, unfitted, time_parts)


def limit_threads(training: Training) -> threadpool_limits:
    """A context in which fits and predictions use no more threads than configured.

    On a busy machine, as many threads as cores can take ten times as long as one.
    """
    return threadpool_limits(training.threads or None)


def fit(project: Project, frame: pd.DataFrame, training: Training, model: Model) -> Pipeline:
    """A fitted pipeline; the same rows, settings and seed give the same predictions.

    Parameters
    ----------
    frame : clean rows whose target is known

    Raises
    ------
    ContractError
        If `training.features` names an outcome or an unknown column; if the target has one value only; or if the
        project's feature function breaks its rules.
    ConfigError
        If the model type cannot take one of the model's settings, or its library is not installed.
    """
    target = encode_target(project, frame)
    rows = derived.derive(project, frame, training)
    # A column without any value teaches nothing, and the estimator cannot bin it.
    features = [name for name in rows.features if rows.frame[name].notna().any()]
    features, parts = choose_time_parts(project, rows.frame.get(project.contract.time), features, training)
    if model.selected_fraction < 1:
        features = select_features(project, rows, target, features, parts, model, training)
    rest = build_model(project, features, model, training, rows.kinds, parts).fit(rows.frame[features], target)
    return add_derived(rows, features, rest)


def add_derived(rows: Derived, features: list[str], rest: Pipeline) -> Pipeline:
    """A fitted pipeline with the step before it that derives the features which it uses."""
    used = [name for name in features if name in rows.kinds]
    if rows.step is None or not used:
        return rest
    rows.step.keep(used)
    return Pipeline([("derived", rows.step), *rest.steps])


def select_features(
    project: Project,
    rows: Derived,
    target: np.ndarray,
    features: list[str],
    time_parts: Sequence[str],
    model: Model,
    training: Training,
) -> list[str]:
    """The features that say most about the target; a time is one feature with several columns. Documents stay."""
    documents = project.contract.documents
    single = [name for name in features if name not in documents]
    if not single:
        return features
    step = make_column_encoder(project, single, model, training, rows.kinds, time_parts)
    matrix = step.fit_transform(rows.frame[single])
    fraction, seed = model.selected_fraction, training.seed
    is_kept = preprocessing.select_columns(project.contract.target, matrix, target, len(step.texts), fraction, seed)
    columns = step.get_feature_names_out()[is_kept].tolist()
    return [
        name
        for name in features
        if name in documents or name in columns or any(f"{name}_{part}" in columns for part in TIME_PARTS)
    ]


def predict(project: Project, model: Pipeline, frame: pd.DataFrame) -> np.ndarray:
    """A prediction of each row, as `modelworks.targets` describes it: probabilities in [0, 1], or values.

    Raises
    ------
    ContractError
        If the rows lack a column that the model was trained with, or the feature function breaks its rules.
    """
    features = list(model.feature_names_in_)
    # To select columns takes longer than to see that there is nothing to select, which counts for a single row.
    if list(frame.columns) == features:
        return _predict(project, model, frame)
    if missing := [name for name in features if name not in frame]:
        raise ContractError(
            f"the model needs columns that the data do not have: {', '.join(missing)}; it was trained under another "
            "contract: train and release one under this"
        )
    return _predict(project, model, frame[features])


def _predict(project: Project, model: Pipeline, frame: pd.DataFrame) -> np.ndarray:
    target = project.contract.target
    if target.is_regression:
        return np.asarray(model.predict(frame))
    return to_prediction(target, model.predict_proba(frame), model.classes_)


def to_prediction(target: Target, probability: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """What an estimator gives, as `modelworks.targets` describes it; of a number, it is that already.

    Parameters
    ----------
    probability : shape (n_rows, n_classes)
    classes : those of the estimator, which lack the ones without rows in training
    """
    if target.is_regression:
        return probability
    if target.is_binary:
        return probability[:, 1]
    is_known = np.isin(np.arange(len(target.classes)), classes)
    if is_known.all():
        return probability
    wide = np.zeros((len(probability), len(target.classes)))
    wide[:, is_known] = probability
    return reserve_unseen(wide, is_known)


def find_column_encoder(model: Pipeline) -> ColumnEncoder | None:
    """The step that encodes columns; None if the pipeline has none, since somebody else made it."""
    return next((step for _, step in model.steps[:2] if isinstance(step, ColumnEncoder)), None)


def used_features(model: Pipeline) -> list[str]:
    """The columns that the estimator sees, the contract's and derived."""
    step = find_column_encoder(model)
    return [str(name) for name in (step or model).feature_names_in_]


def skip_needless_encoding(model: Pipeline) -> Pipeline:
    """The same pipeline without the estimator's own encoder, where that returns its input.

    `ColumnEncoder` makes codes 0, 1, 2, ... already. To encode them as 0, 1, 2, ... again takes a quarter of the time
    of a single prediction. Any other pipeline is left as it is.
    """
    estimator = model.steps[-1][1]
    encoder = getattr(estimator, "_preprocessor", None)
    if len(model.steps) < 2 or model.steps[-2][1] is not find_column_encoder(model) or encoder is None:
        return model
    categorical = np.flatnonzero(estimator.is_categorical_)
    codes = encoder.named_transformers_["encoder"].categories_
    is_identity = all(np.array_equal(each[~np.isnan(each)], np.arange((~np.isnan(each)).sum())) for each in codes)
    if is_identity and np.array_equal(categorical, np.arange(len(categorical))):
        estimator._preprocessor = None
    return model


def watched(model: Pipeline, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows as monitoring compares periods: a few numbers in place of each document, all else as it is."""
    project = getattr(find_column_encoder(model), "project", None)
    return project(frame) if project else frame


def known_categories(model: Pipeline) -> dict[str, frozenset[str]]:
    """The values of each category among the contract's columns in the training rows; {} if the model has none."""
    step = find_column_encoder(model)
    return {
        name: frozenset(values)
        for name, values in (step.codes_.items() if step else ())
        if name in model.feature_names_in_
    }


def tolerance(project: Project, model: Model) -> float:
    """By how much a prediction may differ when it is computed again, on another machine or among other rows."""
    of_documents = DOCUMENT_TOLERANCE if project.contract.document_features else 0.0
    return max(project.find_model_type(model.type).tolerance, of_documents)


def packages(project: Project, model: Model) -> list[str]:
    """Distributions that a saved model of this kind needs, beside those that all have."""
    scaling = preprocessing.choices(project, model)[2]
    squashing = ["skrub"] if scaling == "squashing" else []
    return [
        *project.find_model_type(model.type).packages,
        *encoders.packages(project.contract, parameters.name_encoder(project, model)),
        *squashing,
    ]


def trusted_types(project: Project) -> list[str]:
    """Everything that skops may load of a model of this project, beside its own list."""
    return [
        *TRUSTED_TYPES,
        *model_type.trusted_types(project),
        *encoders.trusted_types(project.contract),
        *derived.trusted_types(project),
    ]
