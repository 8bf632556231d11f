"""Which columns of a sample reveal the target, beside what a model of the others reaches."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, StratifiedKFold

from modelworks.contract import Contract
from modelworks.evaluation.single_column import CERTAIN_LEAK, FOLDS, LEAK, SEED, SUSPECT, score, score_alone
from modelworks.models import pipeline
from modelworks.models.types import boosting
from modelworks.progress import track
from modelworks.project import Project
from modelworks.settings import Model, Training

TRIAL_ROWS = 10_000
TRIAL_VALUES = 1_000_000
TREES = 60


def try_model(contract: Contract, rows: pd.DataFrame, features: list[str], min_samples_leaf: int) -> float:
    """ROC-AUC or R² of gradient boosting by random cross-validation, as a column by itself is measured.

    Parameters
    ----------
    rows : with a target
    features : names of columns
    """
    frame = to_dtypes(contract, sample_rows(rows, len(features)))
    project = Project(contract=contract, model_types={"boosting": boosting.MODEL_TYPE})
    training = Training(features=features, seed=SEED, threads=1)
    parameters = {"learning_rate": 0.1, "max_iter": TREES, "min_samples_leaf": min_samples_leaf}
    model = Model(type="boosting", parameters=parameters)
    target = contract.target.encode(frame[contract.target.column])
    found = []
    with pipeline.limit_threads(training):
        for inside, outside in track(_split(contract, frame, target), "fitting a trial model", "folds", FOLDS):
            if len(np.unique(target[inside])) < 2:
                continue
            fitted = pipeline.fit(project, frame.iloc[inside], training, model)
            prediction = pipeline.predict(project, fitted, frame.iloc[outside])
            found.append(score(target[outside], _by_class(contract, prediction), len(contract.target.classes)))
    return float(np.mean(found)) if found else (0.0 if contract.target.is_regression else 0.5)


def sample_rows(rows: pd.DataFrame, n_features: int) -> pd.DataFrame:
    """As many rows as a trial model is fitted to, in their order."""
    n_rows = min(len(rows), TRIAL_ROWS, max(TRIAL_VALUES // n_features, 500))
    return rows.iloc[np.sort(np.random.default_rng(SEED).permutation(len(rows))[:n_rows])].reset_index(drop=True)


def to_dtypes(contract: Contract, rows: pd.DataFrame) -> pd.DataFrame:
    """The contract's columns, integers with gaps as floats."""
    return rows.astype({name: dtype for name, dtype in contract.dtypes.items() if name in rows})


def _by_class(contract: Contract, prediction: np.ndarray) -> np.ndarray:
    return np.stack([1 - prediction, prediction], axis=1) if contract.target.is_binary else prediction


def _split(contract: Contract, frame: pd.DataFrame, target: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions of the rows to fit on and to predict."""
    if contract.target.classes and np.unique(target, return_counts=True)[1].min() >= FOLDS:
        return StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(frame, target)
    return KFold(FOLDS, shuffle=True, random_state=SEED).split(frame, target)


def find_leaks(
    contract: Contract, rows: pd.DataFrame, features: list[str], min_samples_leaf: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Columns that reveal the target, and all that predict it well, each with what it reaches by itself.

    A strong feature is no leak: it is one if it is all but certain, or is twice as near to certainty as a model of all
    the others.
    """
    target = contract.target.encode(rows[contract.target.column])
    alone = {
        name: score_alone(rows[name], target, len(contract.target.classes))
        for name in track(features, "looking for leaks", "columns")
    }
    strong = {name: value for name, value in alone.items() if value >= LEAK}
    leaks = {name: value for name, value in strong.items() if value >= CERTAIN_LEAK}

    def is_far_ahead(name: str) -> bool:
        others = [each for each in features if each != name and each not in leaks]
        return not others or 1 - alone[name] < (1 - try_model(contract, rows, others, min_samples_leaf)) / 2

    leaks |= {name: value for name, value in strong.items() if name not in leaks and is_far_ahead(name)}
    best = max(set(alone) - set(leaks), key=lambda name: alone[name], default="")
    if best and alone[best] >= SUSPECT and is_far_ahead(best):
        strong[best] = alone[best]
    return leaks, strong
