from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from {{ cookiecutter.__package_name }} import schema, training
from {{ cookiecutter.__package_name }}.config import HOME_VARIABLE, Model, Training, load_settings

PROJECT = Path(__file__).resolve().parents[2]
MONTH = "2022-09"


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv(HOME_VARIABLE, str(PROJECT))


@pytest.fixture(scope="session")
def read_changes() -> Callable[[str], pd.DataFrame]:
    """Reads a month of the example, with the contract's dtypes."""

    def read(month: str) -> pd.DataFrame:
        frame = pd.read_csv(PROJECT / "data" / f"changes-{month}.csv.gz", dtype="str", keep_default_na=False)
        assert list(frame) == list(schema.DTYPES)
        return frame

    return read


@pytest.fixture(scope="session")
def changes(read_changes: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """A month; nobody may change it."""
    return read_changes(MONTH)


@pytest.fixture
def model() -> Model:
    """What pipeline.toml says of the model."""
    return load_settings().model


@pytest.fixture(scope="session")
def fitted(changes: pd.DataFrame) -> Pipeline:
    """A pipeline that has learned from most of the month."""
    return training.fit(changes.iloc[40:], Training(), load_settings().model)
