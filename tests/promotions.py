"""A project with two environments, each with a registry and a storage of its own, as tests of promotions need it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flights import FLIGHTS, enter_home, make_home, read_sample, write_source
from modelworks import stages
from modelworks.backtest.sandbox import to_toml
from modelworks.settings import ENV_PREFIX, ENVIRONMENT_VARIABLE, Settings, load_settings
from modelworks.settings.environments import merge_tables, read_toml
from servers import Server, running

SMALL = {
    "source": {"uri": "data/flights-{period}.csv.gz", "first": "2013-05", "last": "2013-06"},
    "evaluation": {"bootstrap_resamples": 200},
    "model": {"parameters": {"max_iter": 40}},
    "gates": {"approval": "always"},
    "policy": {"require_remote_storage": False},
}


@contextmanager
def mlflow_server(folder: Path) -> Iterator[Server]:
    """A server with a store of its own, up until the block ends."""
    folder.mkdir(parents=True)
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")]
    command = ["modelworks.registry.mlflow_server", "server", *store, "--workers", "1"]
    with running(command, "/health", folder, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false") as server:
        yield server


def make_staged_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project whose settings are all in files, since variables are those of one environment only."""
    enter_home(home, monkeypatch)
    leave_variables(monkeypatch)
    make_home(home)
    for period in ("2013-05", "2013-06", "2013-07"):
        write_source(home, period, read_sample(period).iloc[::3])
    tables = merge_tables(read_toml(home / "pipeline.toml"), SMALL)
    (home / "pipeline.toml").write_text(to_toml(tables), encoding="utf-8")
    (home / "environments").mkdir()


def leave_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable is a setting."""
    import os

    for name in list(os.environ):
        if name.startswith(ENV_PREFIX) and "__" in name:
            monkeypatch.delenv(name)


def write_environment(home: Path, name: str, tracking_uri: str, **tables: dict[str, object]) -> None:
    """An environment with a storage of its own."""
    own = {"storage": {"uri": f"var/{name}"}, "tracking": {"uri": tracking_uri}}
    file = home / "environments" / f"{name}.toml"
    file.write_text(to_toml(merge_tables(own, tables)), encoding="utf-8")


def enter(environment: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of an environment, which is the chosen one from now on."""
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, environment)
    monkeypatch.setenv("GIT_COMMIT", "abc")
    return load_settings()


def train_here(settings: Settings, name: str) -> str:
    """From ingest to train; the MLflow run."""
    raw = stages.ingest(FLIGHTS, settings, None)
    clean = stages.validate(FLIGHTS, settings, raw.dataset_uri, name)
    return stages.train(FLIGHTS, settings, clean.dataset_uri, name).run_id


def release_here(settings: Settings, name: str) -> str:
    """From ingest to deploy, approved; the version."""
    run_id = stages.evaluate(FLIGHTS, settings, train_here(settings, name)).run_id
    if settings.gates.approval != "never":
        stages.approve(FLIGHTS, settings, run_id, True, by="Ada")
    return stages.deploy(FLIGHTS, settings, run_id).version


def copy_here(settings: Settings, version: str = "1", source: str = "staging", name: str = "promotion") -> str:
    """From ingest to promote; the MLflow run."""
    raw = stages.ingest(FLIGHTS, settings, None)
    clean = stages.validate(FLIGHTS, settings, raw.dataset_uri, name)
    return stages.promote(FLIGHTS, settings, clean.dataset_uri, name, version, source).run_id
