"""Fixtures of the tests. They hold for any contract: the rows are a small sample of the project's own data.

The sample is in tests/sample, a Parquet file a period; without it, the first periods of `[source] uri` are cut down.
"""

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for a core take minutes in place of seconds

import pandas as pd
import pyarrow as pa
import pytest
from modelworks import Project, load_project, load_settings
from modelworks.airflow.run import configure_airflow
from modelworks.calendar import ANY_PATTERN, periods_between
from modelworks.data.frames import empty_frame
from modelworks.data.sources.files import read_source
from modelworks.evaluation.limits import ALL_METRICS
from modelworks.settings import ENV_PREFIX, HOME_VARIABLE, Settings, Source

HOME = Path(__file__).resolve().parents[1]
MAX_PERIODS, MAX_ROWS = 3, 2000
Sample = dict[str, pd.DataFrame]
"""Rows by period."""

SMALL = {
    "SOURCE__URI": "data/sample-{period}.parquet",
    "SOURCE__QUERY": "",
    "SOURCE__SQL_CONNECTION": "",
    "LABELS__URI": "",
    "LABELS__DELAY_PERIODS": "0",
    "LABELS__MIN_LABELLED_FRACTION": "0.01",
    "STORAGE__URI": "var/data",
    "TRACKING__URI": "",
    "VALIDATION__MAX_ROW_COUNT_CHANGE": "1000",  # a part of each period says nothing of how periods differ
    "VALIDATION__MAX_NULL_FRACTION_INCREASE": "1",
    "TRAINING__WINDOW": "0",
    "TRAINING__MAX_ROWS": "0",
    "TUNING__TRIALS": "0",
    "EVALUATION__BOOTSTRAP_RESAMPLES": "100",
    "RETRAINING__FIRST_AFTER_PERIODS": "1",
    "NOTIFICATIONS__EVENTS": "[]",
}
OPEN_GATES = {
    **{f"GATES__METRICS__{name.upper()}": '{"min": null, "max": null}' for name in ALL_METRICS},
    "GATES__FAIRNESS__COLUMNS": "[]",
    "GATES__MIN_GAIN_OVER_BASELINE": "-1000000",
    "GATES__APPROVAL": "never",
}
"""For rows so few that a good model may fail by chance."""

TEMPORARY = Path(tempfile.mkdtemp(prefix="tests-"))
atexit.register(shutil.rmtree, TEMPORARY, ignore_errors=True)
configure_airflow(TEMPORARY)  # before its first import
os.environ[HOME_VARIABLE] = str(HOME)  # where Airflow looks for DAGs


@pytest.fixture(scope="session")
def project() -> Project:
    """This project."""
    return load_project(HOME)


@pytest.fixture(scope="session")
def sample(project: Project) -> Sample:
    """Rows of some periods; no test changes them."""
    if files := sorted((HOME / "tests" / "sample").glob("*.parquet")):
        periods = [re.findall(f"(?:{ANY_PATTERN})$", file.stem)[0] for file in files]
        return {each: _read(project, file, Source(first="2000-01")) for each, file in zip(periods, files, strict=True)}
    source = load_settings(HOME).source
    periods = periods_between(source.first, source.last or source.first)[:MAX_PERIODS]
    found = {period: HOME / source.uri.replace("{period}", period) for period in periods}
    missing = [str(file) for file in found.values() if not file.is_file()]
    assert not missing, f"put some rows of some periods into tests/sample, as Parquet; there is no {missing[0]}"
    return {period: _read(project, file, source) for period, file in found.items()}


def _read(project: Project, file: Path, source: Source) -> pd.DataFrame:
    """Every n-th row of a file."""
    frame = pa.Table.from_batches(list(read_source(project.contract, file, source))).to_pandas()
    return frame.iloc[:: -(-len(frame) // MAX_ROWS)].reset_index(drop=True)


def known_parameters(project: Project, **parameters: int) -> dict[str, int]:
    """The parameters that a model type of the project has."""
    known = {name for each in project.model_types.values() for name in each.defaults}
    return {name: value for name, value in parameters.items() if name in known}


def make_sandbox(
    folder: Path, periods: Sample, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str] | None = None
) -> Settings:
    """A project in `folder` with this one's code and the given rows; the environment gets settings of a small run."""
    project = load_project(HOME)
    for name in ("pyproject.toml", "pipeline.toml"):
        shutil.copy(HOME / name, folder)
    for name in ("src", "dags", "weights"):
        if (HOME / name).is_dir():
            (folder / name).symlink_to(HOME / name)
    (folder / "data").mkdir()
    for period, frame in periods.items():
        frame.to_parquet(folder / "data" / f"sample-{period}.parquet", index=False)
    for name in list(os.environ):
        if name == "MLFLOW_TRACKING_URI" or (name.startswith(ENV_PREFIX) and "__" in name):
            monkeypatch.delenv(name)
    own = {"SOURCE__FIRST": min(periods), "SOURCE__LAST": max(periods)}
    if project.contract.time:
        own["TRAINING__HOLDOUT"] = "1"
    quick = known_parameters(project, max_iter=20, min_samples_leaf=5)
    own |= {f"MODEL__PARAMETERS__{name.upper()}": f"{value}" for name, value in quick.items()}
    for name, value in {**SMALL, **own, **(changes or {})}.items():
        monkeypatch.setenv(f"{ENV_PREFIX}{name}", value)
    monkeypatch.setenv(HOME_VARIABLE, str(folder))
    return load_settings(folder)


@pytest.fixture
def rows_of(project: Project) -> Callable[..., pd.DataFrame]:
    """Make rows of the contract's features from some of their columns; the others are null."""

    def make(**columns: list[object]) -> pd.DataFrame:
        given = pd.DataFrame(columns)
        frame = empty_frame(project.contract)[project.contract.features].reindex(given.index)
        dtypes = {name: project.contract.dtypes[name] for name in columns}
        return frame.assign(**{name: given[name].astype(dtypes[name]) for name in columns})

    return make
