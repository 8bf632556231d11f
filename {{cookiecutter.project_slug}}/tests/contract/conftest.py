import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from {{ cookiecutter.__package_name }}.config import ENV_PREFIX, HOME_VARIABLE

from sampled import PROJECT, SMALL, read_sample


@pytest.fixture(scope="session")
def sample() -> dict[str, pd.DataFrame]:
    """Rows by month; nobody may change them."""
    return read_sample()


@pytest.fixture
def new_project(
    sample: dict[str, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_mlflow_database: Path
) -> Callable[..., Path]:
    """Make a project whose source is the sample, or the frames that are given; settings are read for it."""

    def make(months: dict[str, pd.DataFrame] = sample, **settings: str) -> Path:
        shutil.copy(PROJECT / "pipeline.toml", tmp_path)
        (tmp_path / "data").mkdir()
        if (PROJECT / "weights").is_dir():  # of a pre-trained network
            shutil.copytree(PROJECT / "weights", tmp_path / "weights")
        for month, frame in months.items():
            table = pa.Table.from_pandas(frame, preserve_index=False)
            pq.write_table(table, tmp_path / "data" / f"sample-{month}.parquet")
        (tmp_path / "var" / "mlflow").mkdir(parents=True)
        shutil.copy(new_mlflow_database, tmp_path / "var" / "mlflow")
        for name in list(os.environ):
            if name.startswith(ENV_PREFIX) or name in {"MLFLOW_TRACKING_URI", "GIT_COMMIT"}:
                monkeypatch.delenv(name)
        span = {"SOURCE__FIRST_MONTH": min(months), "SOURCE__LAST_MONTH": max(months)}
        for name, value in {**SMALL, **span, **settings}.items():
            monkeypatch.setenv(f"{ENV_PREFIX}{name}", value)
        monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
        return tmp_path

    return make
