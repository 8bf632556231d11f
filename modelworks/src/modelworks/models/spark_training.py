"""A pipeline trained on all rows by a Spark cluster; what comes of it is the pipeline that one process would fit.

The encoding is fitted to counts of all parts. Then each worker of XGBoost reads, derives and encodes the rows of its
own parts, and the trees are taken over into the estimator that trains in one process.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from modelworks.data import splits
from modelworks.data.execution import map_parts
from modelworks.data.manifests import Partition
from modelworks.data.spark_address import read_address
from modelworks.errors import ConfigError
from modelworks.models import derived, pipeline, preprocessing
from modelworks.models.columns import ColumnEncoder
from modelworks.models.derived import Derived
from modelworks.models.model_type import ModelType
from modelworks.models.part_columns import (
    FEATURES,
    LABEL,
    SCHEMA,
    ColumnCounts,
    PartsToEncode,
    PartToTrain,
    assign_parts,
    count_columns,
    encode_parts,
    merge_counts,
)
from modelworks.models.training_columns import check_target, choose_time_parts, encode_target
from modelworks.project import Project
from modelworks.settings import Model, Settings, Training


@dataclass(frozen=True)
class SparkFit:
    """A fitted pipeline, and the rows that it was fitted to; `unlabelled` ones were left out."""

    model: Pipeline
    rows: int
    unlabelled: int
    workers: int


def check_settings(project: Project, settings: Settings) -> None:
    """Refuse what cannot be trained on Spark; without effect where [training] spark_workers is 0.

    Raises
    ------
    ConfigError
        If the session is no classic one, or the model needs more than counts of the rows.
    """
    if not settings.training.spark_workers:
        return
    setting = f"[training] spark_workers = {settings.training.spark_workers}"
    check_model(project, settings.model, setting)
    if project.contract.document_features:
        raise ConfigError(f"{setting}: texts and images are encoded in one process; set it to 0")
    address = read_address(settings.compute.spark_url)
    if address.is_connect:
        raise ConfigError(
            f"{setting}: XGBoost cannot train over Spark Connect, and [compute] spark_url is {address.shown}; set "
            "spark_url to a master (spark://..., yarn, k8s://... or local[n]), or spark_workers to 0"
        )


def check_model(project: Project, model: Model, setting: str) -> None:
    """Refuse a model that cannot be trained on Spark.

    Raises
    ------
    ConfigError
        If it is of another model type than XGBoost's, or has preprocessing that is fitted to rows.
    """
    if not project.find_model_type(model.type).trains_on_spark:
        able = ", ".join(sorted(name for name, each in project.model_types.items() if each.trains_on_spark))
        raise ConfigError(
            f"{setting}: [model] type = {model.type!r} is trained in one process; set spark_workers to 0, or type to "
            f"one of: {able or 'xgboost, once models.py has it'}"
        )
    chosen = preprocessing.choices(project, model)
    for key, value in zip(("encoding", "imputation"), chosen[:2], strict=True):
        if value != "native":
            raise ConfigError(f'{setting}: [model] {key} = {value!r} is fitted in one process; leave it at "native"')


def restrict_to_spark(model_type: ModelType) -> ModelType:
    """The same without the preprocessing that is fitted to rows, and without points to try that have it."""
    points = [each for each in model_type.initial_points if not {"encoding", "imputation"} & each.keys()]
    return replace(model_type, encodings=("native",), imputations=("native",), initial_points=points)


@dataclass(frozen=True)
class Plan:
    """What there is before the trees: an encoding of all rows, and the parts of each worker.

    Attributes
    ----------
    rows : the sample, with the step that derives features
    estimator : unfitted
    """

    rows: Derived
    features: list[str]
    encoder: ColumnEncoder
    estimator: Any
    tasks: list[PartsToEncode]
    counts: ColumnCounts


def fit(
    project: Project,
    settings: Settings,
    model: Model,
    sample: pd.DataFrame,
    partitions: Sequence[Partition],
    *,
    held_out: bool | None,
) -> SparkFit:
    """A pipeline fitted to all labelled rows of some partitions.

    Parameters
    ----------
    sample : some of these rows, from which the kinds of derived columns and [model] selected_fraction follow
    held_out : train on the held-out rows, or on the others; None: on both

    Raises
    ------
    ConfigError, ContractError
        As `pipeline.fit` does.
    """
    check_model(project, model, f"[training] spark_workers = {settings.training.spark_workers}")
    made = plan(project, settings, model, sample, partitions, held_out=held_out)
    estimator = _train(made, settings.compute.spark_url, project.find_model_type(model.type).packages)
    fitted = pipeline.add_derived(
        made.rows, made.features, Pipeline([("columns", made.encoder), ("estimator", estimator)])
    )
    return SparkFit(fitted, made.counts.rows, made.counts.unlabelled, len(made.tasks))


def plan(
    project: Project,
    settings: Settings,
    model: Model,
    sample: pd.DataFrame,
    partitions: Sequence[Partition],
    *,
    held_out: bool | None,
) -> Plan:
    """Count all rows, part by part, and fit the encoding to the counts; parameters and errors are those of `fit`."""
    training, target = settings.training, project.contract.target
    rows = derived.derive(project, sample, training)
    parts = _list_parts(project, training, rows, partitions, held_out)
    counted = map_parts(count_columns, parts, settings.compute, "counting")
    counts = merge_counts(counted)
    check_target(target, counts.targets, counts.rows)
    unfitted, features = _build(project, training, model, rows, counts)
    encoder = unfitted.named_steps["columns"].fit_counts(features, counts.categories)
    classes = np.array([]) if target.is_regression else counts.targets
    assigned = assign_parts(parts, [each.rows for each in counted], training.spark_workers)
    tasks = [PartsToEncode(each, encoder, features, classes) for each in assigned]
    return Plan(rows, features, encoder, unfitted.named_steps["estimator"], tasks, counts)


def _list_parts(
    project: Project, training: Training, rows: Derived, partitions: Sequence[Partition], held_out: bool | None
) -> list[PartToTrain]:
    contract = project.contract
    texts = [
        name
        for name in rows.features
        if rows.kinds.get(name) == "category" or (name not in rows.kinds and contract.is_category(name))
    ]
    n_rows = sum(partition.rows for partition in partitions)
    # All rows, whatever [training] max_rows is: that is what Spark is for.
    selection = replace(splits.choose_rows(contract, training, n_rows, held_out=held_out), sample=1.0)
    make = partial(PartToTrain, project=project, selection=selection, step=rows.step, names=rows.features, texts=texts)
    return [
        make(where=located.where or partition.files[0], folder=partition.uri, part=located.part)
        for partition in partitions
        for located in partition.located
    ]


def _build(
    project: Project, training: Training, model: Model, rows: Derived, counts: ColumnCounts
) -> tuple[Pipeline, list[str]]:
    """The unfitted pipeline and its features, by the rules of `pipeline.fit`."""
    features = [name for name in rows.features if name in counts.known]
    features, time_parts = choose_time_parts(project, counts.times, features, training)
    if model.selected_fraction < 1:
        target = encode_target(project, rows.frame)
        in_sample = [name for name in features if rows.frame[name].notna().any()]
        features = pipeline.select_features(project, rows, target, in_sample, time_parts, model, training)
    return pipeline.build_model(project, features, model, training, rows.kinds, time_parts), features


def _train(made: Plan, spark_url: str, libraries: list[str]) -> Any:
    """The estimator, fitted to the rows of all tasks, one of each worker."""
    from modelworks.data.spark import rows_on_spark

    n_columns, classes = len(made.encoder.get_feature_names_out()), made.tasks[0].classes
    with rows_on_spark(encode_parts, made.tasks, SCHEMA, spark_url, libraries) as rows:
        return made.estimator.fit_on_spark(rows, FEATURES, LABEL, n_columns, classes, len(made.tasks))
