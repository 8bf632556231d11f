from collections.abc import Callable

import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from {{ cookiecutter.__package_name }} import schema, training
from {{ cookiecutter.__package_name }}.config import HOME_VARIABLE, Model, Training, load_settings

from drawing import MONTH, PROJECT


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(PROJECT))


@pytest.fixture(scope="session")
def read_digits() -> Callable[[str], pd.DataFrame]:
    """Reads a month of the example, with the contract's dtypes."""

    def read(month: str) -> pd.DataFrame:
        frame = pd.read_csv(PROJECT / "data" / f"digits-{month}.csv.gz", dtype="str", keep_default_na=False)
        assert list(frame) == list(schema.DTYPES)
        return frame

    return read


@pytest.fixture(scope="session")
def digits(read_digits: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """A month; nobody may change it."""
    return read_digits(MONTH)


@pytest.fixture
def model() -> Model:
    """What pipeline.toml says of the model."""
    return load_settings().model


@pytest.fixture
def of_pixels(model: Model) -> Model:
    """The same with the encoder that has no network."""
    return model.model_copy(update={"encoder": "pixels", "weights": ""})


@pytest.fixture(scope="session")
def fitted(digits: pd.DataFrame) -> Pipeline:
    """A pipeline that has learned from most of the month."""
    return training.fit(digits.iloc[40:], Training(), load_settings().model)
