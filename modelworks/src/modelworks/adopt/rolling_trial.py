"""What a model reaches on rows that it has not seen, as the gates will measure it: where their limits come from."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from modelworks.adopt.trial import sample_rows, to_dtypes
from modelworks.calendar import Frequency
from modelworks.contract import Contract
from modelworks.data.periods import number_periods
from modelworks.evaluation.baseline import choose_baseline, compare_baselines
from modelworks.evaluation.bootstrap import Estimate
from modelworks.evaluation.holdout import HoldoutEvaluation, evaluate_holdout
from modelworks.evaluation.single_column import FOLDS, SEED
from modelworks.models import pipeline
from modelworks.models.types import boosting, linear, tfidf
from modelworks.progress import track
from modelworks.project import Project
from modelworks.settings import Evaluation, Model, Training

MODEL_TYPES = {"boosting": boosting.MODEL_TYPE, "linear": linear.MODEL_TYPE, tfidf.NAME: tfidf.MODEL_TYPE}
TREES = (boosting.MODEL_TYPE.defaults["max_iter"], 40)
"""Numbers of trees that are tried: fewer learn less by heart where rows, or those of a class, are few."""
MEASURING = Evaluation(bootstrap_resamples=200)
MIN_SHARE = 2 / 3
"""Of the rows that the newest fold is fitted to: a model of far fewer says little of the project's own."""
Positions = tuple[np.ndarray, np.ndarray]
"""Of the rows to fit on, and of those to measure on."""


@dataclass(frozen=True)
class TrialResult:
    """The better of the tried models on the folds.

    Attributes
    ----------
    metrics : by name: the mean over the folds, the lowest and the highest end of their intervals
    baseline_r2 : of a number, R² of the baseline, the mean over the folds
    folds : how many
    is_level_moving : the newest periods are a better baseline than all rows
    model_type : of the better model
    trend : it has the time itself as a feature
    trees : of boosting
    """

    metrics: dict[str, Estimate] = field(default_factory=dict)
    baseline_r2: float = 0.0
    folds: int = 0
    is_level_moving: bool = False
    model_type: str = "boosting"
    trend: bool = False
    trees: int = TREES[0]


def run_trial(
    contract: Contract,
    rows: pd.DataFrame,
    features: list[str],
    min_samples_leaf: int,
    holdout: int,
    frequency: Frequency,
) -> TrialResult:
    """Fit and measure on folds like the hold-out.

    With a time the folds are of a rolling origin, each as long as the hold-out. Boosted trees are tried in two numbers.
    Where the level of the target moves, models that have the time as a feature are tried as well, and where features
    are texts, one of their words. The one with the lowest loss counts.

    Parameters
    ----------
    rows : with a target; in order of time where the contract has one
    features : names of columns
    holdout : periods; 0 where rows have no time
    frequency : what a period is
    """
    frame = _complete_key(contract, to_dtypes(contract, sample_rows(rows, len(features))))
    is_level_moving = compare_baselines(contract, frame, holdout, frequency).is_level_moving
    by_trees = [
        Model(type="boosting", parameters={"max_iter": trees, "min_samples_leaf": min_samples_leaf}) for trees in TREES
    ]
    others = [name for name in features if name not in contract.documents]
    tried = [(model, False, others) for model in by_trees if others]
    if others and is_level_moving:
        tried += [(model, True, others) for model in (*by_trees, Model(type="linear"))]
    if others != features:
        tried.append((Model(type=tfidf.NAME), False, features))
        # Beside a linear model without them, so that the texts are what makes the difference.
        tried += [(Model(type="linear"), False, others)] if others else []
    project = Project(contract=contract, model_types=MODEL_TYPES)
    folds = [each for each in _split(contract, frame, holdout, frequency) if _has_two_values(contract, frame, each)]
    measured = []
    for model, trend, names in tried:
        training = Training(features=names, seed=SEED, threads=1, trend=trend)
        with pipeline.limit_threads(training):
            found = [
                _measure(project, frame, fold, training, model, holdout, frequency)
                for fold in track(folds, "fitting a trial model", "folds")
            ]
        measured.append((model, trend, found))
    if not folds:
        return TrialResult()
    model, trend, best = min(measured, key=lambda each: np.mean([found.loss().value for found in each[2]]))
    return TrialResult(
        metrics=_pool([each.report.metrics for each in best]),
        baseline_r2=_measure_baseline(best) if contract.target.is_regression else 0.0,
        folds=len(folds),
        is_level_moving=is_level_moving,
        model_type=model.type,
        trend=trend,
        trees=int(model.parameters.get("max_iter") or TREES[0]),
    )


def _complete_key(contract: Contract, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with their numbers, where these are the key: they are no column of the file."""
    missing = {name: np.arange(len(frame)) for name in contract.key if name not in frame}
    return pd.concat([frame, pd.DataFrame(missing)], axis=1) if missing else frame


def _has_two_values(contract: Contract, frame: pd.DataFrame, fold: Positions) -> bool:
    values = frame[contract.target.column].iloc[fold[0]]
    return bool((values != values.iloc[0]).any())


def _measure(
    project: Project,
    frame: pd.DataFrame,
    fold: Positions,
    training: Training,
    model: Model,
    holdout: int,
    frequency: Frequency,
) -> HoldoutEvaluation:
    inside, outside = frame.iloc[fold[0]], frame.iloc[fold[1]].reset_index(drop=True)
    prediction = pipeline.predict(project, pipeline.fit(project, inside, training, model), outside)
    baseline = choose_baseline(project.contract, inside, holdout, frequency)
    return evaluate_holdout(project.contract, outside, prediction, baseline, None, MEASURING, SEED)


def _measure_baseline(found: list[HoldoutEvaluation]) -> float:
    """R² of the baseline, the mean over the folds of more than one row."""
    measured = [r2_score(each.target, each.baseline.predict(len(each.target))) for each in found if len(each.rows) > 1]
    return float(np.mean(measured)) if measured else 0.0


def _pool(found: list[dict[str, Estimate]]) -> dict[str, Estimate]:
    """The mean of each metric over the folds, and the farthest ends of its intervals.

    What is unknown, since a fold has one class only for instance, does not count.
    """
    pooled = {}
    for name in found[0]:
        of_folds = [each[name] for each in found if not np.isnan(each[name].value)]
        if of_folds:
            values = [each.value for each in of_folds]
            low = np.nanmin([*(each.low for each in of_folds), *values])
            high = np.nanmax([*(each.high for each in of_folds), *values])
            pooled[name] = Estimate(float(np.mean(values)), float(low), float(high))
    return pooled


def _split(contract: Contract, frame: pd.DataFrame, holdout: int, frequency: Frequency) -> Iterator[Positions]:
    if contract.time and holdout:
        return _roll(number_periods(frame[contract.time].to_numpy(), frequency), holdout)
    groups = frame[contract.group].astype("str").to_numpy() if contract.group else None
    if groups is not None and len(np.unique(groups)) >= FOLDS:
        return GroupKFold(FOLDS).split(frame, groups=groups)
    target = frame[contract.target.column]
    if contract.target.classes and target.value_counts().min() >= FOLDS:
        return StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(frame, target)
    return KFold(FOLDS, shuffle=True, random_state=SEED).split(frame)


def _roll(periods: np.ndarray, holdout: int) -> Iterator[Positions]:
    """The newest fold is the hold-out itself; an older one has nearly as many rows to fit on."""
    numbers = np.unique(periods, return_inverse=True)[1]
    n_newest = int((numbers <= numbers.max() - holdout).sum())
    for at in range(FOLDS):
        origin = int(numbers.max()) + 1 - (at + 1) * holdout
        inside = np.flatnonzero(numbers < origin)
        outside = np.flatnonzero((numbers >= origin) & (numbers < origin + holdout))
        if len(inside) and len(inside) >= MIN_SHARE * n_newest:
            yield inside, outside
