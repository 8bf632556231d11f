"""What a model is fitted to: the target as an estimator learns it, and the parts of the time that differ."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from modelworks.errors import ContractError
from modelworks.models import columns
from modelworks.models.columns import CLOCK
from modelworks.project import Project
from modelworks.settings import Training
from modelworks.targets import Target


def choose_time_parts(
    project: Project, times: pd.Series | None, features: list[str], training: Training
) -> tuple[list[str], Sequence[str]]:
    """The features and the parts of the time; without the time, if all of its parts are the same in each row."""
    name = project.contract.time
    if name not in features or times is None:
        return features, CLOCK
    parts = columns.choose_time_parts(times, trend=training.trend)
    others = [each for each in features if each != name]
    return (features, parts or CLOCK[:1]) if parts or not others else (others, CLOCK)


def encode_target(project: Project, frame: pd.DataFrame) -> np.ndarray:
    """The target as the estimator learns it: whole numbers for classes."""
    target = project.contract.target
    encoded = target.encode(frame[target.column])
    check_target(target, np.unique(encoded), len(frame))
    return encoded if target.is_regression else encoded.astype("int64")


def check_target(target: Target, values: np.ndarray, n_rows: int) -> None:
    """Make sure that training rows have more than one value of the target.

    Raises
    ------
    ContractError
        If they have not.
    """
    if len(values) < 2:
        only = (values if target.is_regression else target.decode(values)).tolist()
        wanted = {"regression": "different values", "binary": "both classes", "multiclass": "two classes"}[target.kind]
        raise ContractError(
            f"column {target.column!r}: only {only} in {n_rows} rows of training data; a model needs {wanted}"
        )
