"""The only user of MLflow: runs, models, and the registry's aliases.

Whatever is asked for twice is done once: a pipeline run has one MLflow run, a run one model of each name, and
a model one version. So a stage that was killed can simply be started again.
"""

import json
import logging
import os
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# MLflow's own seven retries keep a person waiting for minutes where a server is down; Airflow retries the task anyway.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")

import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, LoggedModel, Metric, Param, Run
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from sklearn.pipeline import Pipeline

from . import families, preparation, pretrained, schema, task
from .config import PACKAGE, Settings
from .errors import ReleaseError
from .storage import Dataset, file_sha256

with warnings.catch_warnings():
    # At its import skops asks every loaded module for names that Airflow answers with a thousand warnings.
    warnings.simplefilter("ignore")
    import skops.io

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHAMPION = "champion"
PREVIOUS = "previous"
PIPELINE_RUN = "pipeline_run"

# skops refuses to load what is not named here, so a tampered model file cannot run code of its own. A partial
# calls nothing when it is loaded, and the function inside it has to be named here as well.
TRUSTED_TYPES = [
    "functools.partial",
    "numpy.dtype",
    "sklearn.utils.validation.check_array",
    *preparation.TRUSTED_TYPES,
    *families.trusted_types(),
    *pretrained.trusted_types(),
    f"{PACKAGE}.features.Features",
    f"{PACKAGE}.training.Features",  # its name in models of 1.0.0
]
# What a run keeps beside its figures, as JSON.
RECIPE_FILE = "recipe.json"
EVALUATION_FILE = "evaluation.json"
PERFORMANCE_FILE = "performance.json"
PROFILE_FILE = "training_profile.json"
VERDICT_FILE = "verdict.json"
WARNINGS_FILE = "warnings.json"
DATA_WARNINGS_FILE = "data_warnings.json"
TRIAL_FILE = "trial.json"

REQUIREMENTS = ["mlflow", "numpy", "pandas", "scikit-learn", "skops"]
COLUMN_TYPES = {"str": "string", "int64": "long", "float64": "double", "datetime64[us]": "datetime"}


@dataclass(frozen=True)
class Version:
    """A registered model version and what its tags say of it."""

    version: str
    run_id: str
    model_uri: str
    created_at_ms: int
    tags: dict[str, str]


@dataclass(frozen=True)
class TrackedRun:
    """A run with what is noted of it."""

    run_id: str
    name: str
    started_at: str
    status: str
    tags: dict[str, str]
    metrics: dict[str, float]


class Tracker:
    """One experiment and one registered model, at one tracking server.

    Parameters
    ----------
    experiment : name, if it is not that of training
    """

    def __init__(self, settings: Settings, experiment: str = "") -> None:
        self._settings = settings
        self._experiment = experiment or settings.tracking.experiment
        if settings.tracking_uri.startswith("sqlite:///"):
            Path(settings.tracking_uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        logging.getLogger("mlflow").setLevel(logging.ERROR)  # it tells of its own database and of a missing pip
        mlflow.set_tracking_uri(settings.tracking_uri)
        mlflow.set_registry_uri(settings.tracking_uri)
        self._client = MlflowClient(settings.tracking_uri, settings.tracking_uri)

    @cached_property
    def experiment_id(self) -> str:
        name = self._experiment
        if found := self._find_experiment():
            return found
        # A file store keeps artifacts relative to the working folder unless it is told where.
        is_local = self._settings.tracking_uri.startswith("sqlite:")
        location = (self._settings.home / "var" / "mlflow" / "artifacts").as_uri() if is_local else None
        try:
            return str(self._client.create_experiment(name, artifact_location=location))
        except MlflowException:
            # Another process may have been first.
            if found := self._find_experiment():
                return found
            raise

    def _find_experiment(self) -> str | None:
        try:
            found = self._client.get_experiment_by_name(self._experiment)
        except MlflowException as error:
            if "API request to" not in error.message:
                raise
            raise ConnectionError(
                f"MLflow does not answer at {self._settings.tracking_uri}; start it, or change MLFLOW_TRACKING_URI"
            ) from error
        return str(found.experiment_id) if found else None

    # Runs

    def open_run(self, pipeline_run: str, month: str, tags: dict[str, str]) -> str:
        """The MLflow run of a pipeline run, made if it is the first time; returns its id.

        Parameters
        ----------
        month : the held-out one; it leads the run's name, as a list of runs shows little more
        """
        if not (runs := self._runs_of(pipeline_run)):
            tags = {**tags, PIPELINE_RUN: pipeline_run}
            made = self._client.create_run(self.experiment_id, tags=tags, run_name=f"{month} {pipeline_run}")
            # A retry beside a task that is still running may have made one at the same moment: the oldest stays.
            runs = self._runs_of(pipeline_run)
            if runs[0].info.run_id != made.info.run_id:
                self._client.delete_run(made.info.run_id)
        return str(runs[0].info.run_id)

    def find_run(self, pipeline_run: str) -> str | None:
        """The MLflow run of a pipeline run, if it has one."""
        runs = self._runs_of(pipeline_run)
        return str(runs[0].info.run_id) if runs else None

    def _runs_of(self, pipeline_run: str) -> list[Run]:
        quote = '"' if "'" in pipeline_run else "'"
        found = self._client.search_runs([self.experiment_id], f"tags.{PIPELINE_RUN} = {quote}{pipeline_run}{quote}")
        return sorted(found, key=lambda run: (run.info.start_time, run.info.run_id))

    def latest_runs(self, count: int) -> list[TrackedRun]:
        """So many runs at most, the newest first."""
        if (experiment := self._find_experiment()) is None:
            return []
        order = ["attributes.start_time DESC"]
        # Trials of a search are runs as well, and not of a pipeline.
        of_pipelines = f"tags.{PIPELINE_RUN} LIKE '%'"
        found = self._client.search_runs([experiment], of_pipelines, max_results=count, order_by=order)
        return [_describe(run) for run in found]

    def describe_run(self, pipeline_run: str) -> TrackedRun | None:
        """What is noted of a pipeline run, if it has an MLflow run."""
        runs = self._runs_of(pipeline_run)
        return _describe(runs[0]) if runs else None

    @contextmanager
    def working_on(self, run_id: str) -> Iterator[None]:
        """Mark the run as running, and as failed if the block raises."""
        self._client.update_run(run_id, status="RUNNING")
        try:
            yield
        except BaseException:
            with suppress(MlflowException):  # where MLflow is gone, that is what the error says
                self._client.update_run(run_id, status="FAILED")
            raise

    def end_run(self, run_id: str, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None:
        self._client.set_terminated(run_id, status)

    def tags(self, run_id: str) -> dict[str, str]:
        """Tags of a run.

        Raises
        ------
        ReleaseError
            If there is no such run.
        """
        return dict(self._get_run(run_id).data.tags)

    def metrics(self, run_id: str) -> dict[str, float]:
        return dict(self._get_run(run_id).data.metrics)

    def _get_run(self, run_id: str) -> Run:
        try:
            return self._client.get_run(run_id)
        except MlflowException as error:
            raise ReleaseError(f"no MLflow run {run_id!r} at {self._settings.tracking_uri}: {error.message}") from None

    def set_tags(self, run_id: str, tags: dict[str, str]) -> None:
        for name, value in tags.items():
            self._client.set_tag(run_id, name, value)

    def log_params(self, run_id: str, params: dict[str, Any]) -> None:
        self._client.log_batch(run_id, params=[Param(name, str(value)[:6000]) for name, value in params.items()])

    def log_metrics(self, run_id: str, metrics: dict[str, float]) -> None:
        now_ms = int(time.time() * 1000)
        finite = {name: value for name, value in metrics.items() if np.isfinite(value)}
        self._client.log_batch(run_id, metrics=[Metric(name, value, now_ms, 0) for name, value in finite.items()])

    def log_text(self, run_id: str, text: str, file: str) -> None:
        self._client.log_text(run_id, text, file)

    def log_json(self, run_id: str, content: Any, file: str) -> None:
        self._client.log_text(run_id, json.dumps(content, indent=1), file)

    def load_text(self, run_id: str, file: str) -> str:
        return mlflow.artifacts.load_text(f"runs:/{run_id}/{file}")

    def load_json(self, run_id: str, file: str) -> Any:
        return json.loads(self.load_text(run_id, file))

    def find_json(self, run_id: str, file: str, default: Any) -> Any:
        """A file of a run, or the default where it has none of that name."""
        found = {each.path for each in self._client.list_artifacts(run_id)}
        return self.load_json(run_id, file) if file in found else default

    def link_to(self, run_id: str, server: str = "", file: str = "") -> str:
        """Address of the run's page, or of one of its files, on the `server`, or where runs are tracked.

        Where there is no server, in words where the run is.
        """
        uri = server or self._settings.tracking_uri
        if not uri.startswith("http"):
            return f"run {run_id} at {uri}"
        page = f"{run_id}/artifacts/{file}" if file else run_id
        return f"{uri}/#/experiments/{self.experiment_id}/runs/{page}?workflowType=machine_learning"

    def log_figure(self, run_id: str, figure: "Figure", file: str) -> None:
        self._client.log_figure(run_id, figure, file)

    def log_dataset(self, run_id: str, dataset: Dataset, context: str) -> None:
        """Add the dataset to the run's inputs, under our own digest: MLflow's looks at the first rows only."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The specified dataset source can be")
            source = resolve_dataset_source(dataset.uri)
        entry = MetaDataset(  # type: ignore[abstract]
            source,
            name=f"{dataset.months[0]} to {dataset.months[-1]}",
            digest=dataset.digest[:36],
        )
        tag = InputTag("mlflow.data.context", context)
        self._client.log_inputs(run_id, [DatasetInput(entry._to_mlflow_entity(), [tag])])

    # Trials of a search, each a run below the pipeline's

    def log_trial(
        self, run_id: str, name: str, trial: dict[str, Any], params: dict[str, Any], metrics: dict[str, float]
    ) -> None:
        """Keep a trial that is finished; who is killed before the end of this has not finished it."""
        made = self._client.create_run(self.experiment_id, tags={MLFLOW_PARENT_RUN_ID: run_id}, run_name=name)
        self.log_params(made.info.run_id, params)
        self.log_metrics(made.info.run_id, metrics)
        self.log_json(made.info.run_id, trial, TRIAL_FILE)
        self.end_run(made.info.run_id, "FINISHED")

    def trials(self, run_id: str) -> list[dict[str, Any]]:
        """The trials of a run that are finished, the oldest first."""
        return [self.load_json(each.info.run_id, TRIAL_FILE) for each in self._runs_below(run_id, "FINISHED")]

    def end_killed_trials(self, run_id: str, family: str) -> None:
        """Runs of trials that a kill has cut off would else seem to run for ever.

        Where a task beside this is still keeping such a trial, it is finished when it has been kept.
        """
        for each in self._runs_below(run_id, "RUNNING"):
            if each.info.run_name.startswith(f"{family} "):
                self.end_run(each.info.run_id, "KILLED")

    def _runs_below(self, run_id: str, status: str) -> list[Run]:
        """The oldest first."""
        below = f"tags.{MLFLOW_PARENT_RUN_ID} = '{run_id}' AND attributes.status = '{status}'"
        found: list[Run] = []
        order, token = ["attributes.start_time ASC"], None
        while True:
            page = self._client.search_runs([self.experiment_id], below, order_by=order, page_token=token)
            found += page
            if not (token := page.token):
                return found

    # Models

    def save_model(self, run_id: str, name: str, model: Pipeline, example: pd.DataFrame, packages: list[str]) -> str:
        """Log a fitted pipeline with the run, or find the one that is there; returns its URI.

        Parameters
        ----------
        packages : distributions that it needs beside `REQUIREMENTS`
        """
        if logged := self._find_model(run_id, name):
            return str(logged.model_uri)
        features = list(model.feature_names_in_)
        signature = ModelSignature(
            Schema([_column_spec(feature) for feature in features]),
            Schema([ColSpec("double", column) for column in _output_columns(model)]),
        )
        with mlflow.start_run(run_id=run_id):
            info = mlflow.sklearn.log_model(
                model,
                name=name,
                signature=signature,
                input_example=example[features],
                pip_requirements=[f"{package}=={installed_version(package)}" for package in REQUIREMENTS + packages],
                pyfunc_predict_fn="predict" if task.IS_REGRESSION else "predict_proba",
                serialization_format="skops",
                skops_trusted_types=TRUSTED_TYPES,
            )
        self._client.update_run(run_id, status="RUNNING")  # the block above ended it
        sha256 = file_sha256(_model_file(info.model_uri))
        self._client.set_logged_model_tags(info.model_id, {"sha256": sha256})
        return str(info.model_uri)

    def load_model(self, model_uri: str) -> Pipeline:
        """The pipeline behind a `models:/` URI, checked as `fetch_model` and `read_model` do."""
        return read_model(self.fetch_model(model_uri))

    def fetch_model(self, model_uri: str, folder: Path | None = None) -> Path:
        """The file of a model, in `folder` if one is given, checked against the SHA-256 noted when it was saved.

        Raises
        ------
        ReleaseError
            If the file is not the one that was saved.
        """
        logged = self._client.get_logged_model(model_uri.removeprefix("models:/"))
        file = _model_file(model_uri, folder)
        if file_sha256(file) != logged.tags.get("sha256"):
            raise ReleaseError(f"{model_uri}: {file.name} is not the file that was saved: its SHA-256 differs")
        return file

    def _find_model(self, run_id: str, name: str) -> LoggedModel | None:
        found = self._client.search_logged_models(
            [self.experiment_id], filter_string=f"source_run_id = '{run_id}' AND name = '{name}'"
        )
        # One that a killed task left behind has no SHA-256 and is not used.
        return next((logged for logged in found if "sha256" in logged.tags), None)

    # Registry

    def register(self, run_id: str, model_uri: str, description: str, tags: dict[str, str]) -> Version:
        """Make a version of a model, or find the one that the run has made already."""
        name = self._settings.tracking.model_name
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        if not self._versions_of(run_id):
            made = self._client.create_model_version(
                name,
                source=model_uri,
                run_id=run_id,
                tags=tags,
                description=description,
                model_id=model_uri.removeprefix("models:/"),
            )
            # Another process may have made one of the same run at the same moment: the oldest stays.
            if int(made.version) != self._versions_of(run_id)[0]:
                self._client.delete_model_version(name, str(made.version))
        return self.get_version(str(self._versions_of(run_id)[0]))

    def _versions_of(self, run_id: str) -> list[int]:
        name = self._settings.tracking.model_name
        found = self._client.search_model_versions(f"name = '{name}' AND run_id = '{run_id}'")
        return sorted(int(each.version) for each in found)

    def get_version(self, version: str) -> Version:
        """A version by its number.

        Raises
        ------
        ReleaseError
            If the registry has none of that number.
        """
        name = self._settings.tracking.model_name
        try:
            found = self._client.get_model_version(name, version)
        except MlflowException:
            raise ReleaseError(
                f"model {name!r} has no version {version} at {self._settings.tracking_uri}; "
                "was it deleted, or does MLFLOW_TRACKING_URI point elsewhere?"
            ) from None
        return Version(
            version=str(found.version),
            run_id=str(found.run_id),
            model_uri=str(found.source),
            created_at_ms=found.creation_timestamp,
            tags=dict(found.tags),
        )

    def find_alias(self, alias: str) -> Version | None:
        """The version that an alias points to, if any."""
        name = self._settings.tracking.model_name
        try:
            found = self._client.get_model_version_by_alias(name, alias)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return self.get_version(str(found.version))

    def move_alias(self, alias: str, version: str) -> None:
        self._client.set_registered_model_alias(self._settings.tracking.model_name, alias, version)


def _describe(run: Run) -> TrackedRun:
    return TrackedRun(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        started_at=datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="seconds"),
        status=run.info.status,
        tags=dict(run.data.tags),
        metrics=dict(run.data.metrics),
    )


def _column_spec(name: str) -> ColSpec:
    return ColSpec(COLUMN_TYPES[schema.DTYPES[name]], name, required=not schema.SCHEMA.columns[name].nullable)


def metric_name(column: str) -> str:
    """A column's name with the characters only that MLflow has in names of metrics."""
    return re.sub(r"[^\w\-. /]", "_", column, flags=re.ASCII)


def _output_columns(model: Pipeline) -> list[str]:
    if task.IS_REGRESSION:
        return task.COLUMNS
    return [f"probability_{schema.CLASSES[number]}" for number in model.classes_]


def read_model(file: Path) -> Pipeline:
    """The pipeline in a file.

    Raises
    ------
    ReleaseError
        If it holds a type that is not trusted.
    """
    try:
        return skops.io.load(file, trusted=TRUSTED_TYPES)
    except skops.io.exceptions.UntrustedTypesFoundException as error:
        raise ReleaseError(f"{file}: refused to load: {error}; see TRUSTED_TYPES in tracking.py") from None


def _model_file(model_uri: str, folder: Path | None = None) -> Path:
    target = str(folder) if folder else None
    return Path(mlflow.artifacts.download_artifacts(model_uri, dst_path=target)) / "model.skops"
