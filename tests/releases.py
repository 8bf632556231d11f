"""Runs of the flights' pipeline from ingest to release, with the settings of the moment, as tests need them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlparse

import pytest
from mlflow import MlflowClient

from flights import FLIGHTS, enter_home
from modelworks import stages
from modelworks.contract import Contract
from modelworks.project import Project
from modelworks.registry.relocation import repair_locations
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHAMPION
from modelworks.settings import Settings, load_settings


def train_flights(name: str, period: str | None = None, project: Project = FLIGHTS) -> str:
    """From ingest to train; the MLflow run."""
    settings = load_settings()
    raw = stages.ingest(project, settings, period)
    clean = stages.validate(project, settings, raw.dataset_uri, name)
    return stages.train(project, settings, clean.dataset_uri, name).run_id


def evaluate_flights(name: str, period: str | None = None, project: Project = FLIGHTS) -> str:
    """From ingest to evaluate; the MLflow run."""
    return stages.evaluate(project, load_settings(), train_flights(name, period, project)).run_id


def release_flights(name: str, period: str | None = None, project: Project = FLIGHTS) -> str:
    """From ingest to deploy; the version."""
    run_id = evaluate_flights(name, period, project)
    return stages.deploy(project, load_settings(), run_id).version


def find_champion(settings: Settings) -> str | None:
    """The version that the registry's alias names."""
    found = Tracker(FLIGHTS, settings).versions.find_alias(CHAMPION)
    return found.version if found else None


def client_of(settings: Settings) -> MlflowClient:
    """MLflow as it is without our registry."""
    return MlflowClient(settings.tracking_uri, settings.tracking_uri)


def folder_of(settings: Settings, version: str) -> Path:
    """The files of a version's model, where MLflow keeps them."""
    model_uri = Tracker(FLIGHTS, settings).versions.get(version).model_uri
    logged = client_of(settings).get_logged_model(model_uri.removeprefix("models:/"))
    return Path(urlparse(logged.artifact_location).path)


def copy_home(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of one's own, made of one that several tests share."""
    enter_home(folder, monkeypatch)
    shutil.copytree(home, folder, dirs_exist_ok=True, symlinks=True)
    repair_locations(load_settings())
    return folder


@contextmanager
def tampered(file: Path, content: bytes | None) -> Iterator[None]:
    """A file with other bytes, or without the file for None; it comes back, as other tests read it too."""
    original = file.read_bytes()
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    try:
        yield
    finally:
        file.write_bytes(original)


def run_file(settings: Settings, version: str, name: str) -> Path:
    """A file of a version's run, where MLflow keeps it."""
    run_id = Tracker(FLIGHTS, settings).versions.get(version).run_id
    return Path(urlparse(client_of(settings).get_run(run_id).info.artifact_uri).path) / name


def flights_without(column: str) -> Project:
    """The flights with a contract that lacks a column."""
    contract = FLIGHTS.contract
    columns = [each for name, each in contract.columns.items() if name not in {column, contract.target.column}]
    example = {name: value for name, value in contract.example.items() if name != column}
    return replace(
        FLIGHTS,
        data_checks=[],
        contract=Contract(
            target=contract.target,
            columns=columns,
            key=contract.key,
            time=contract.time,
            slices=contract.slices,
            example=example,
        ),
    )
