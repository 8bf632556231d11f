from collections.abc import Callable, Iterator

import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from examples import TEXT
from modelworks.models import pipeline
from modelworks.settings import HOME_VARIABLE, Model, Training


@pytest.fixture(scope="package", autouse=True)
def home() -> Iterator[None]:
    """The example's folder, and no hub; the hub's library reads its variable when it is imported."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.setenv(HOME_VARIABLE, str(TEXT.home))
        yield


@pytest.fixture(scope="package")
def read_changes() -> Callable[[str], pd.DataFrame]:
    """Reads a period of the example, with the contract's dtypes."""
    return TEXT.read


@pytest.fixture(scope="package")
def changes(read_changes: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """A period; nobody may change it."""
    return read_changes(TEXT.period)


@pytest.fixture
def model() -> Model:
    """What pipeline.toml says of the model."""
    return TEXT.model


@pytest.fixture(scope="package")
def fitted(changes: pd.DataFrame) -> Pipeline:
    """A pipeline trained on most of the period."""
    return pipeline.fit(TEXT.project, changes.iloc[40:], Training(), TEXT.model)
