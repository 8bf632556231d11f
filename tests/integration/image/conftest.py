from collections.abc import Callable, Iterator

import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from examples import IMAGE, model_with
from modelworks.models import pipeline
from modelworks.settings import HOME_VARIABLE, Model, Training


@pytest.fixture(scope="package", autouse=True)
def home() -> Iterator[None]:
    """The example's folder, from which its weights are found."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(HOME_VARIABLE, str(IMAGE.home))
        yield


@pytest.fixture(scope="package")
def read_digits() -> Callable[[str], pd.DataFrame]:
    """Reads a period of the example, with the contract's dtypes."""
    return IMAGE.read


@pytest.fixture(scope="package")
def digits(read_digits: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """A period; nobody may change it."""
    return read_digits(IMAGE.period)


@pytest.fixture
def model() -> Model:
    """What pipeline.toml says of the model."""
    return IMAGE.model


@pytest.fixture
def of_pixels(model: Model) -> Model:
    """The same with the encoder that has no network."""
    return model_with(model, encoder="pixels")


@pytest.fixture(scope="package")
def fitted(digits: pd.DataFrame) -> Pipeline:
    """A pipeline trained on most of the period."""
    return pipeline.fit(IMAGE.project, digits.iloc[40:], Training(), IMAGE.model)
