"""Fit a model to the rows of a dataset: in this process, or on Spark."""

from dataclasses import dataclass

import pandas as pd
from sklearn.pipeline import Pipeline

from modelworks.data.partitions import Dataset
from modelworks.models import pipeline, spark_training
from modelworks.progress import waiting
from modelworks.project import Project
from modelworks.settings import Model, Settings
from modelworks.wording import count


@dataclass(frozen=True)
class Fitted:
    """A model, and the rows that it was fitted to.

    Attributes
    ----------
    unlabelled : rows that were left out since their target is unknown
    trained_by : what has fitted it, if not this process
    """

    model: Pipeline
    rows: int
    unlabelled: int
    trained_by: str = ""


def fit(
    project: Project,
    settings: Settings,
    chosen: Model,
    dataset: Dataset,
    frame: pd.DataFrame,
    unlabelled: int,
    *,
    held_out: bool | None = None,
) -> Fitted:
    """A model fitted to a frame, or to all rows of the dataset by the Spark cluster of [training] spark_workers.

    Parameters
    ----------
    frame, unlabelled : of the dataset, as `read_rows` gives them
    held_out : as for `read_rows`
    """
    if not settings.training.spark_workers:
        with waiting(f"fitting {chosen.type} to {len(frame):,} rows"):
            return Fitted(pipeline.fit(project, frame, settings.training, chosen), len(frame), unlabelled)
    with waiting(f"fitting {chosen.type} to {dataset.rows:,} rows on Spark"):
        made = spark_training.fit(project, settings, chosen, frame, dataset.partitions, held_out=held_out)
    return Fitted(made.model, made.rows, made.unlabelled, f"{count(made.workers, 'worker')} of XGBoost on Spark")
