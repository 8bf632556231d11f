"""MLflow's runs: one of each pipeline run, and one of each trial of a tuning below it."""

import json
import re
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlparse

import numpy as np
from mlflow import MlflowClient
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, LoggedModelOutput, Metric, Param, Run
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from modelworks.data.partitions import Dataset
from modelworks.errors import ReleaseError
from modelworks.registry.files import TRIAL_FILE
from modelworks.settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIPELINE_RUN = "pipeline_run"
"""Tag with the name of the pipeline run that a run belongs to."""


@dataclass(frozen=True)
class TrackedRun:
    """A run as MLflow lists it."""

    run_id: str
    name: str
    started_at: str
    status: str
    tags: dict[str, str]
    metrics: dict[str, float]


class Runs:
    """Runs of one experiment."""

    def __init__(self, client: MlflowClient, settings: Settings, experiment: str) -> None:
        self._client = client
        self._settings = settings
        self._experiment = experiment

    @cached_property
    def experiment_id(self) -> str:
        """MLflow's id of the experiment, made if it is the first time."""
        if found := self._find_experiment():
            return found
        # A file store keeps artifacts relative to the working folder unless it is given a location.
        is_local = self._settings.tracking_uri.startswith("sqlite:")
        location = self._settings.local_artifacts_uri if is_local else None
        try:
            return str(self._client.create_experiment(self._experiment, artifact_location=location))
        except MlflowException:
            # Another process may have been first.
            if found := self._find_experiment():
                return found
            raise

    def open(self, pipeline_run: str, period: str, tags: dict[str, str]) -> str:
        """The MLflow run of a pipeline run, made if it is the first time; returns its id.

        Parameters
        ----------
        period : leads the run's name, since a list of runs shows little more
        """
        if not (runs := self._runs_of(pipeline_run)):
            tags = {**tags, PIPELINE_RUN: pipeline_run}
            made = self._client.create_run(self.experiment_id, tags=tags, run_name=f"{period} {pipeline_run}")
            # A retry beside a task that is still running may have made one at the same moment: the oldest stays.
            runs = self._runs_of(pipeline_run)
            if runs[0].info.run_id != made.info.run_id:
                self._client.delete_run(made.info.run_id)
        return str(runs[0].info.run_id)

    def find(self, pipeline_run: str) -> str | None:
        """The MLflow run of a pipeline run, if it has one."""
        described = self.describe(pipeline_run)
        return described.run_id if described else None

    def describe(self, pipeline_run: str) -> TrackedRun | None:
        """Tags and metrics of a pipeline run, if it has an MLflow run."""
        runs = self._runs_of(pipeline_run) if self._find_experiment() else []
        return _describe(runs[0]) if runs else None

    def latest(self, count: int) -> list[TrackedRun]:
        """At most `count` runs of pipelines, the newest first; trials are left out."""
        if (experiment := self._find_experiment()) is None:
            return []
        order = ["attributes.start_time DESC"]
        of_pipelines = f"tags.{PIPELINE_RUN} LIKE '%'"
        found = self._client.search_runs([experiment], of_pipelines, max_results=count, order_by=order)
        return [_describe(run) for run in found]

    @contextmanager
    def working_on(self, run_id: str) -> Iterator[None]:
        """Mark the run as running, and as failed if the block raises."""
        self._client.update_run(run_id, status="RUNNING")
        try:
            yield
        except BaseException:
            with suppress(MlflowException):  # where MLflow is gone, the first error says so
                self._client.update_run(run_id, status="FAILED")
            raise

    def end(self, run_id: str, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None:
        """Mark the run as ended."""
        self._client.set_terminated(run_id, status)

    def tags(self, run_id: str) -> dict[str, str]:
        """Tags of a run.

        Raises
        ------
        ReleaseError
            If there is no such run.
        """
        return dict(self._get(run_id).data.tags)

    def metrics(self, run_id: str) -> dict[str, float]:
        """Metrics of a run, the last value of each.

        Raises
        ------
        ReleaseError
            If there is no such run.
        """
        return dict(self._get(run_id).data.metrics)

    def set_tags(self, run_id: str, tags: dict[str, str]) -> None:
        """Set tags of a run."""
        for name, value in tags.items():
            self._client.set_tag(run_id, name, value)

    def log_params(self, run_id: str, params: dict[str, Any]) -> None:
        """Log parameters, each as text of at most as many characters as MLflow takes."""
        self._client.log_batch(run_id, params=[Param(name, str(value)[:6000]) for name, value in params.items()])

    def log_metrics(self, run_id: str, metrics: dict[str, float]) -> None:
        """Log the metrics that are finite."""
        now_ms = int(time.time() * 1000)
        finite = {name: value for name, value in metrics.items() if np.isfinite(value)}
        self._client.log_batch(run_id, metrics=[Metric(name, value, now_ms, 0) for name, value in finite.items()])

    def log_text(self, run_id: str, text: str, file: str) -> None:
        """Log a text as a file of the run."""
        self._client.log_text(run_id, text, file)

    def log_json(self, run_id: str, content: Any, file: str) -> None:
        """Log JSON as a file of the run."""
        self._client.log_text(run_id, json.dumps(content, indent=1), file)

    def load_text(self, run_id: str, file: str) -> str:
        """The text of a file of the run."""
        with tempfile.TemporaryDirectory(prefix="run-") as folder:
            return Path(self._client.download_artifacts(run_id, file, folder)).read_text(encoding="utf-8")

    def load_json(self, run_id: str, file: str) -> Any:
        """The JSON of a file of the run."""
        return json.loads(self.load_text(run_id, file))

    def find_json(self, run_id: str, file: str, default: Any) -> Any:
        """The JSON of a file of the run, or the default if there is none of that name."""
        found = {each.path for each in self._client.list_artifacts(run_id)}
        return self.load_json(run_id, file) if file in found else default

    def link_to(self, run_id: str, server: str = "", file: str = "") -> str:
        """Address of the run's page, or of one of its files; where there is no server, the folder of its files.

        Parameters
        ----------
        server : whose pages are linked; "" for that of the tracking URI
        """
        uri = server or self._settings.tracking_address
        if not uri.startswith("http"):
            return f"run {run_id}, its reports and plots in {self._find_files(run_id)}{f'/{file}' if file else ''}"
        page = f"{run_id}/artifacts/{file}" if file else run_id
        return f"{uri}/#/experiments/{self.experiment_id}/runs/{page}?workflowType=machine_learning"

    def _find_files(self, run_id: str) -> str:
        """Where a run's files are: a folder, below the home if it is there, or an address."""
        uri = str(self._client.get_run(run_id).info.artifact_uri)
        if urlparse(uri).scheme not in {"", "file"}:
            return uri
        folder = Path(local_file_uri_to_path(uri))  # type: ignore[no-untyped-call]
        home = self._settings.home
        return str(folder.relative_to(home) if folder.is_relative_to(home) else folder)

    def log_figure(self, run_id: str, figure: "Figure", file: str) -> None:
        """Log a plot as a file of the run."""
        self._client.log_figure(run_id, figure, file)

    def log_dataset(self, run_id: str, dataset: Dataset, context: str) -> None:
        """Add the dataset to the run's inputs, under our own digest: MLflow's covers the first rows only."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The specified dataset source can be")
            source = resolve_dataset_source(dataset.uri)
        name = f"{dataset.periods[0]} to {dataset.periods[-1]}"
        entry = MetaDataset(source, name=name, digest=dataset.digest[:36])  # type: ignore[abstract]
        tag = InputTag("mlflow.data.context", context)
        self._client.log_inputs(run_id, [DatasetInput(entry._to_mlflow_entity(), [tag])])

    def link_model(self, run_id: str, model_id: str) -> None:
        """Show a saved model among the run's outputs, and the run's metrics on the model's page."""
        self._client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
        now_ms = int(time.time() * 1000)
        metrics = [
            Metric(name, value, now_ms, 0, model_id=model_id, run_id=run_id)
            for name, value in self.metrics(run_id).items()
        ]
        self._client.log_batch(run_id, metrics=metrics)

    def log_trial(
        self, run_id: str, name: str, trial: dict[str, Any], params: dict[str, Any], metrics: dict[str, float]
    ) -> None:
        """Keep a finished trial as a run below `run_id`; it counts as finished when all of it is kept."""
        made = self._client.create_run(self.experiment_id, tags={MLFLOW_PARENT_RUN_ID: run_id}, run_name=name)
        self.log_params(made.info.run_id, params)
        self.log_metrics(made.info.run_id, metrics)
        self.log_json(made.info.run_id, trial, TRIAL_FILE)
        self.end(made.info.run_id, "FINISHED")

    def trials(self, run_id: str) -> list[dict[str, Any]]:
        """The finished trials of a run, the oldest first."""
        return [self.load_json(each.info.run_id, TRIAL_FILE) for each in self._runs_below(run_id, "FINISHED")]

    def end_killed_trials(self, run_id: str, model_type: str) -> None:
        """End the runs of trials that a kill cut off; they would seem to run for ever.

        A trial that a task beside this one is still keeping becomes finished when it has been kept.
        """
        for each in self._runs_below(run_id, "RUNNING"):
            if each.info.run_name.startswith(f"{model_type} "):
                self.end(each.info.run_id, "KILLED")

    def _find_experiment(self) -> str | None:
        try:
            found = self._client.get_experiment_by_name(self._experiment)
        except MlflowException as error:
            if "API request to" not in error.message:
                raise
            raise ConnectionError(
                f"MLflow does not answer at {self._settings.tracking_address}; start it, or change MLFLOW_TRACKING_URI"
            ) from error
        return str(found.experiment_id) if found else None

    def _get(self, run_id: str) -> Run:
        try:
            return self._client.get_run(run_id)
        except MlflowException as error:
            raise ReleaseError(
                f"no MLflow run {run_id!r} at {self._settings.tracking_address}: {error.message}"
            ) from None

    def _runs_of(self, pipeline_run: str) -> list[Run]:
        quote = '"' if "'" in pipeline_run else "'"
        found = self._client.search_runs([self.experiment_id], f"tags.{PIPELINE_RUN} = {quote}{pipeline_run}{quote}")
        return sorted(found, key=lambda run: (run.info.start_time, run.info.run_id))

    def _runs_below(self, run_id: str, status: str) -> list[Run]:
        """Runs of trials, the oldest first."""
        below = f"tags.{MLFLOW_PARENT_RUN_ID} = '{run_id}' AND attributes.status = '{status}'"
        found: list[Run] = []
        order, token = ["attributes.start_time ASC"], None
        while True:
            page = self._client.search_runs([self.experiment_id], below, order_by=order, page_token=token)
            found += page
            if not (token := page.token):
                return found


def metric_name(column: str) -> str:
    """A column's name with only the characters that MLflow allows in the name of a metric."""
    return re.sub(r"[^\w\-. /]", "_", column, flags=re.ASCII)


def _describe(run: Run) -> TrackedRun:
    return TrackedRun(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        started_at=datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="seconds"),
        status=run.info.status,
        tags=dict(run.data.tags),
        metrics=dict(run.data.metrics),
    )
