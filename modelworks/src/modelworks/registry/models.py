"""Fitted pipelines in MLflow's format, saved in skops files that only listed types are loaded from."""

import shutil
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import mlflow.sklearn
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelStatus
from mlflow.models import Model as MlflowModel
from mlflow.models import ModelSignature
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.types.schema import ColSpec, Schema
from sklearn.pipeline import Pipeline

from modelworks.data.files import file_sha256
from modelworks.errors import ReleaseError
from modelworks.models import pipeline
from modelworks.project import Project
from modelworks.registry.runs import Runs
from modelworks.registry.signatures import Keys
from modelworks.registry.skops_files import make_reproducible
from modelworks.settings import Settings

with warnings.catch_warnings():
    # At its import skops asks every loaded module for names that Airflow answers with a thousand warnings.
    warnings.simplefilter("ignore")
    import skops.io

REQUIREMENTS = ["mlflow", "numpy", "pandas", "scikit-learn", "skops"]
"""Distributions that every saved model needs."""
FILE = "model.skops"
SIGNATURE = "model.sig"
COLUMN_TYPES = {"str": "string", "int64": "long", "float64": "double", "datetime64[us]": "datetime"}


def read_model(project: Project, file: Path) -> Pipeline:
    """The pipeline in a file; types that `pipeline.trusted_types` does not list are not loaded, and so run no code.

    Raises
    ------
    ReleaseError
        If it holds a type that is not trusted.
    """
    try:
        return skops.io.load(file, trusted=pipeline.trusted_types(project))
    except skops.io.exceptions.UntrustedTypesFoundException as error:
        raise ReleaseError(
            f"{file.name}: refused to load: {error}; a type that you trust belongs into `trusted_types` of its model "
            "type, and a feature function stays `features` of project.py as long as a model uses it"
        ) from None


class Models:
    """Models that are saved with runs."""

    def __init__(self, client: MlflowClient, project: Project, runs: Runs, settings: Settings) -> None:
        self._client = client
        self._project = project
        self._runs = runs
        self._keys = Keys(settings)

    def save(self, run_id: str, name: str, model: Pipeline, example: pd.DataFrame, packages: list[str]) -> str:
        """Save a fitted pipeline with the run, or find the one that is there; returns its URI.

        Parameters
        ----------
        packages : distributions that it needs beside `REQUIREMENTS`
        """
        return self._make(run_id, name, lambda created: self._upload(created, run_id, model, example, packages))

    def save_files(self, run_id: str, name: str, folder: Path) -> str:
        """Save the files of a model of another server with the run, or find the one that is there; returns its URI."""

        def upload(created: LoggedModel) -> str:
            self._client.log_model_artifacts(created.model_id, str(folder))
            return file_sha256(folder / FILE)

        return self._make(run_id, name, upload)

    def sha256(self, model_uri: str) -> str:
        """SHA-256 of the file of a model, as it was noted at its saving."""
        return str(self._client.get_logged_model(model_uri.removeprefix("models:/")).tags.get("sha256", ""))

    def _make(self, run_id: str, name: str, upload: Callable[[LoggedModel], str]) -> str:
        """Make a model of a run, or find it.

        Parameters
        ----------
        upload : uploads the files, and returns the SHA-256 of the one that the model is loaded from
        """
        if saved := self._find(run_id, name):
            return str(saved.model_uri)
        run = self._client.get_run(run_id)
        created = self._client.create_logged_model(
            run.info.experiment_id, name=name, source_run_id=run_id, params=dict(run.data.params)
        )
        try:
            sha256 = upload(created)
        except BaseException:
            self._client.finalize_logged_model(created.model_id, LoggedModelStatus.FAILED)
            raise
        self._client.finalize_logged_model(created.model_id, LoggedModelStatus.READY)
        self._runs.link_model(run_id, created.model_id)
        # Last: a model without this tag was left behind by a killed task, and is not used.
        self._client.set_logged_model_tags(created.model_id, {"sha256": sha256})
        return str(created.model_uri)

    def load(self, model_uri: str) -> Pipeline:
        """The pipeline behind a `models:/` URI, checked as `fetch` and `read_model` do."""
        with tempfile.TemporaryDirectory(prefix="model-") as folder:
            return read_model(self._project, self.fetch(model_uri, Path(folder)))

    def fetch(self, model_uri: str, folder: Path) -> Path:
        """The file of a model, copied into a folder and checked against the SHA-256 that was noted at its saving.

        Where `[tracking] verification_key` is set, its signature is checked as well.

        Raises
        ------
        ReleaseError
            If it is not the file that was saved, or not signed by the key.
        """
        saved = self._client.get_logged_model(model_uri.removeprefix("models:/"))
        uri = self._client.tracking_uri
        artifacts = get_artifact_repository(saved.artifact_location, tracking_uri=uri, registry_uri=uri)
        file = Path(artifacts.download_artifacts(FILE, dst_path=str(folder)))  # type: ignore[no-untyped-call]
        if file_sha256(file) != saved.tags.get("sha256"):
            raise ReleaseError(f"{model_uri}: {file.name} is not the file that was saved: its SHA-256 differs")
        if self._keys.verifies:
            self._keys.verify(file, _find_signature(artifacts, folder), model_uri)
        return file

    def _find(self, run_id: str, name: str) -> LoggedModel | None:
        found = self._client.search_logged_models(
            [self._runs.experiment_id], filter_string=f"source_run_id = '{run_id}' AND name = '{name}'"
        )
        return next((each for each in found if "sha256" in each.tags), None)

    def _upload(
        self, created: LoggedModel, run_id: str, model: Pipeline, example: pd.DataFrame, packages: list[str]
    ) -> str:
        """Write the folder that MLflow serves a model from, and upload it; returns the SHA-256 of the model's file."""
        with tempfile.TemporaryDirectory(prefix="model-") as parent:
            folder = Path(parent) / "model"
            mlflow.sklearn.save_model(
                model,
                str(folder),
                mlflow_model=MlflowModel(
                    artifact_path=created.artifact_location,
                    model_uuid=created.model_id,
                    run_id=run_id,
                    model_id=created.model_id,
                ),
                signature=_signature(self._project, model),
                input_example=example[list(model.feature_names_in_)],
                pip_requirements=[f"{package}=={installed_version(package)}" for package in REQUIREMENTS + packages],
                pyfunc_predict_fn="predict" if self._project.contract.target.is_regression else "predict_proba",
                serialization_format="skops",
                skops_trusted_types=pipeline.trusted_types(self._project),
            )
            make_reproducible(folder / FILE)
            for cache in folder.rglob("__pycache__"):
                shutil.rmtree(cache, ignore_errors=True)
            self._keys.sign(folder / FILE, folder / SIGNATURE)
            self._client.log_model_artifacts(created.model_id, str(folder))
            return file_sha256(folder / FILE)


def _find_signature(artifacts: Any, folder: Path) -> Path | None:
    """The signature beside a model's file, copied into a folder, if there is one."""
    if not any(each.path == SIGNATURE for each in artifacts.list_artifacts()):
        return None
    return Path(artifacts.download_artifacts(SIGNATURE, dst_path=str(folder)))


def _signature(project: Project, model: Pipeline) -> ModelSignature:
    """Columns that a model takes and gives, with their types."""
    return ModelSignature(
        Schema([_column_spec(project, name) for name in model.feature_names_in_]),
        Schema([ColSpec("double", name) for name in _output_columns(project, model)]),
    )


def _column_spec(project: Project, name: str) -> ColSpec:
    column = project.contract.columns[name]
    return ColSpec(COLUMN_TYPES[column.dtype], name, required=not column.nullable)


def _output_columns(project: Project, model: Pipeline) -> list[str]:
    target = project.contract.target
    if target.is_regression:
        return target.prediction_columns
    return [f"probability_{target.classes[number]}" for number in model.classes_]
