import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from flights import FLIGHTS
from modelworks.errors import ConfigError, ContractError
from modelworks.models import pipeline
from modelworks.models.tuning import folds, pruning
from modelworks.models.tuning.trial import Trial, collect, default_model
from modelworks.models.tuning.tune import tune_model_type
from modelworks.models.types import boosting
from modelworks.project import Project
from modelworks.settings import Model, Training, Tuning

pytestmark = pytest.mark.slow

FEATURES = Training(features=["recent_delay", "carrier", "temp", "humidity"])
SMALL = Model(parameters={"max_iter": 5, "min_samples_leaf": 5})
SIX = Tuning(trials=6)
FIFTEEN = Tuning(trials=15)


@pytest.fixture(scope="module")
def learnable(rows) -> pd.DataFrame:
    """300 flights of a quarter; those after a long delay are late, but for some."""
    random = np.random.default_rng(0)
    delay = random.choice([0.0, 30.0, 90.0], 300)
    carrier = random.choice(["AA", "B6", "UA"], 300)
    late = (delay + 20 * (carrier == "B6") + random.normal(0, 20, 300) > 50).astype("int64")
    return rows(300, recent_delay=delay, carrier=carrier, temp=random.normal(60, 9, 300), delayed=late)


OTHER = SMALL.model_copy(update={"type": "forest"})
"""A section [model] of another model type, so that boosting and linear are no reference."""


def tuned(
    frame: pd.DataFrame,
    model_type: str = "boosting",
    tuning: Tuning = SIX,
    found: list[Trial] | None = None,
    model: Model = SMALL,
    training: Training = FEATURES,
) -> list[Trial]:
    """The trials of a model type."""
    rows = folds.arrange(FLIGHTS, frame, tuning, training, "month")
    return tune_model_type(FLIGHTS, rows, model_type, model, training, tuning, found or [], lambda _: None)


@pytest.fixture(scope="module")
def fifteen(learnable: pd.DataFrame) -> list[Trial]:
    """Trials, some of them pruned."""
    return tuned(learnable, tuning=FIFTEEN)


def without_clock(found: list[Trial]) -> list[Trial]:
    return [replace(trial, fit_seconds=0, seconds=0) for trial in found]


def test_first_trial_is_what_is_configured(learnable: pd.DataFrame) -> None:
    first = tuned(learnable, tuning=Tuning(trials=1))[0]
    assert Model(**first.model) == SMALL
    assert (first.state, first.number, first.params) == ("complete", 0, {})


def test_other_model_types_begin_with_their_defaults_and_the_parameters_that_they_share() -> None:
    own = Model(encoding="native", parameters={"min_samples_leaf": 7, "max_leaf_nodes": 5})
    assert default_model(FLIGHTS, "boosting", own) is own
    assert default_model(FLIGHTS, "forest", own) == Model(type="forest", parameters={"min_samples_leaf": 7})


def test_loss_is_the_mean_over_all_measured_rows(learnable: pd.DataFrame) -> None:
    rows = folds.arrange(FLIGHTS, learnable, SIX, FEATURES, "month")
    [first, *_] = tuned(learnable)
    assert sum(first.block_rows) == sum(len(fold.test) for fold in rows.folds)
    assert first.loss == pytest.approx(sum(first.block_losses) / sum(first.block_rows))
    baseline = folds.measure_baseline(FLIGHTS, rows)
    assert first.loss < baseline < 0.7


def test_same_seed_gives_the_same_trials(learnable: pd.DataFrame) -> None:
    first, second = (tuned(learnable) for _ in range(2))
    assert without_clock(first) == without_clock(second)
    assert len({str(trial.model) for trial in first}) == len(first)


def test_continued_tuning_makes_the_trials_that_it_would_have_made(learnable: pd.DataFrame) -> None:
    whole = tuned(learnable)
    assert [trial.number for trial in whole] == [0, 1, 2, 3, 4, 5]
    again = tuned(learnable, found=whole[:3])
    assert without_clock(again) == without_clock(whole)
    assert again[:3] == whole[:3]  # not measured anew, which would have taken another time


@pytest.mark.parametrize("n_found", [1, 6, 9, 12])
def test_continued_tuning_prunes_what_it_would_have_pruned(
    learnable: pd.DataFrame, fifteen: list[Trial], n_found: int
) -> None:
    assert {trial.state for trial in fifteen} == {"complete", "pruned"}
    again = tuned(learnable, tuning=FIFTEEN, found=fifteen[:n_found])
    assert without_clock(again) == without_clock(fifteen)


def test_trial_is_compared_with_the_best_on_the_blocks_that_both_were_measured_on() -> None:
    """The first days are easier than the last, for all."""
    losses, rows = np.repeat([0.4, 0.8], 20), np.ones(40)
    best = Trial("boosting", 0, {}, "complete", 0.6, block_losses=losses.tolist(), block_rows=[1] * 40)
    first_half = rows * (np.arange(40) < 20)
    worse = np.random.default_rng(0).normal(0.05, 0.02, 40)
    assert pruning.is_behind((losses + worse) * first_half, first_half, best)
    assert not pruning.is_behind((losses - worse) * first_half, first_half, best)
    assert not pruning.is_behind(losses * first_half, first_half, best)


def test_trial_that_falls_behind_is_pruned_and_its_loss_estimated(fifteen: list[Trial]) -> None:
    pruned = [trial for trial in fifteen if trial.state == "pruned"]
    assert pruned
    for trial in pruned:
        assert sum(trial.block_rows) < sum(fifteen[0].block_rows)
        assert trial.loss >= min(each.loss for each in fifteen if each.state == "complete")


def test_pruned_trial_is_no_better_than_the_best(learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "estimate_loss", lambda trial, default: 0.0)
    found = tuned(learnable, tuning=FIFTEEN)
    pruned = {trial.loss for trial in found if trial.state == "pruned"}
    assert pruned
    assert min(pruned) >= min(trial.loss for trial in found if trial.state == "complete")


def test_no_trial_begins_when_the_time_is_up(learnable: pd.DataFrame) -> None:
    late = [replace(trial, seconds=400.0) for trial in tuned(learnable, tuning=Tuning(trials=1))]
    assert tuned(learnable, tuning=Tuning(trials=6, seconds=300), found=late) == late


def test_no_trial_begins_that_would_not_be_finished_in_time(learnable: pd.DataFrame) -> None:
    first = tuned(learnable, tuning=Tuning(trials=2))
    slow = [replace(trial, seconds=100.0) for trial in first]
    assert tuned(learnable, tuning=Tuning(trials=6, seconds=299), found=slow) == slow
    assert len(tuned(learnable, tuning=Tuning(trials=3, seconds=301), found=slow)) == 3


@dataclass
class Processor:
    """A clock of the processor, which goes on only when it works."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds

    def work(self) -> None:
        self.seconds += 0.5


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Processor:
    clock = Processor()
    monkeypatch.setattr(time, "process_time", clock)
    return clock


def fit_after(wait: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let each fit wait before; returns a list that gets the rows of each."""
    fit, fitted = pipeline.fit, []

    def slow(project: Project, frame: pd.DataFrame, training: Training, model: Model) -> Pipeline:
        fitted.append(len(frame))
        wait()
        return fit(project, frame, training, model)

    monkeypatch.setattr(pipeline, "fit", slow)
    return fitted


def test_first_trial_that_would_not_be_finished_in_time_is_abandoned(
    learnable: pd.DataFrame, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = fit_after(processor.work, monkeypatch)
    assert tuned(learnable, tuning=Tuning(trials=3, seconds=1), model=OTHER) == []
    assert len(fitted) == 1


def test_model_that_all_are_compared_with_is_measured_however_long_it_takes(
    learnable: pd.DataFrame, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_after(processor.work, monkeypatch)
    [only] = tuned(learnable, tuning=Tuning(trials=3, seconds=1))
    assert (only.number, only.state) == (0, "complete")
    assert only.seconds == only.fit_seconds == 1.5  # of three folds


def test_seconds_are_those_of_the_processor(learnable: pd.DataFrame, processor: Processor) -> None:
    """What else a busy machine does takes no time from tuning: here the processor does nothing for it."""
    found = tuned(learnable, tuning=Tuning(trials=2, seconds=1))
    assert [(trial.number, trial.seconds, trial.fit_seconds) for trial in found] == [(0, 0.0, 0.0), (1, 0.0, 0.0)]


def test_initial_points_of_a_model_type_are_tried_after_its_default(learnable: pd.DataFrame) -> None:
    found = tuned(learnable, tuning=Tuning(trials=7))
    points = boosting.MODEL_TYPE.initial_points
    assert len(points) == 4
    # The rows of a leaf depend on the number of rows, so they are those of [model].
    own = {"imputation": "native", "selected_fraction": 1.0, "min_samples_leaf": 5}
    for trial, point in zip(found[1:], points, strict=False):
        assert trial.params == {"encoding": "native", **own, **point}
    assert found[5].params not in [trial.params for trial in found[1:5]]


def test_encoding_is_not_tuned_where_there_are_no_categories(learnable: pd.DataFrame) -> None:
    numbers = FEATURES.model_copy(update={"features": ["recent_delay", "temp", "humidity", "visibility"]})
    rows = folds.arrange(FLIGHTS, learnable.assign(visibility=1.0), SIX, FEATURES, "month")
    found = tune_model_type(FLIGHTS, rows, "boosting", SMALL, numbers, SIX, [], lambda _: None)
    assert not any("encoding" in trial.params for trial in found)
    assert len({str(trial.model) for trial in found}) == len(found)


def test_default_may_have_leaves_of_any_size(learnable: pd.DataFrame) -> None:
    default = Model(parameters={"max_iter": 5, "min_samples_leaf": 1000})
    found = tuned(learnable, tuning=Tuning(trials=2), model=default)
    assert found[1].model["parameters"]["min_samples_leaf"] == 300


def test_largest_seed_can_be_tuned_with(learnable: pd.DataFrame) -> None:
    largest = FEATURES.model_copy(update={"seed": 2**32 - 1})
    assert len(tuned(learnable, tuning=Tuning(trials=3), training=largest)) == 3


def test_model_type_that_cannot_take_the_rows_is_one_failed_trial(
    learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*given: object) -> None:
        raise ValueError("the rows are odd")

    monkeypatch.setattr(pipeline, "fit", breaks)
    [only] = tuned(learnable, "linear")
    assert (only.name, only.state, only.error) == ("linear 0", "failed", "ValueError: the rows are odd")
    with pytest.raises(ValueError, match="the rows are odd"):
        tuned(learnable)
    monkeypatch.undo()  # such as weights that are there again
    again = tuned(learnable, "linear", tuning=Tuning(trials=2), found=[only])
    assert [trial.name for trial in again] == ["linear 0", "linear 1"]
    assert again[0].state == "complete"
    kept = [asdict(trial) for trial in (only, *again)]
    assert collect(kept) == collect(kept[::-1]) == again


def test_dropped_connection_is_no_failed_trial(learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    default = tuned(learnable, tuning=Tuning(trials=1))

    def drops(*given: object) -> None:
        raise ConnectionError("no answer")

    monkeypatch.setattr(pipeline, "fit", drops)
    for found in ([], default):
        with pytest.raises(ConnectionError):
            tuned(learnable, found=found, model=OTHER)


def test_fold_without_two_classes_is_named_in_the_error(learnable: pd.DataFrame) -> None:
    later = learnable.assign(delayed=(learnable["scheduled_departure"] >= "2013-07-01").astype("int64"))
    with pytest.raises(
        ContractError, match=r"^fold 1 of \[tuning\] folds = 3: column 'delayed': only \[0\] in \d+ rows"
    ):
        tuned(later)


def test_each_choice_is_tried_in_time(learnable: pd.DataFrame) -> None:
    found = tuned(learnable, "linear", Tuning(trials=25))
    tried = {(trial.model["encoding"], trial.model["scaling"]) for trial in found[1:] if trial.state != "failed"}
    assert tried == {(encoding, scaling) for encoding in ("onehot", "target") for scaling in ("standard", "squashing")}
    assert {trial.model["selected_fraction"] for trial in found} == {1.0, 0.75, 0.5}


def test_trial_that_cannot_be_fitted_is_a_failed_one_and_tuning_continues(
    learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pipeline.fit

    def breaks_at_target_encoding(project: Project, frame: pd.DataFrame, training: Training, model: Model) -> Pipeline:
        if model.encoding == "target":
            raise ValueError("the rows are odd")
        return whole(project, frame, training, model)

    monkeypatch.setattr(pipeline, "fit", breaks_at_target_encoding)
    found = tuned(learnable, tuning=Tuning(trials=10))
    failed = [trial for trial in found if trial.state == "failed"]
    assert failed
    assert {trial.error for trial in failed} == {"ValueError: the rows are odd"}
    assert np.isnan([trial.loss for trial in failed]).all()
    assert len(found) == 10


def test_trials_that_fail_use_up_the_seconds(
    learnable: pd.DataFrame, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, tried = pipeline.fit, list[Model]()

    def breaks_late(project: Project, frame: pd.DataFrame, training: Training, model: Model) -> Pipeline:
        tried.append(model)
        if model == tried[0]:
            return whole(project, frame, training, model)
        processor.work()
        raise ValueError("the rows are odd")

    monkeypatch.setattr(pipeline, "fit", breaks_late)
    found = tuned(learnable, tuning=Tuning(trials=50, seconds=3))
    assert {trial.state for trial in found[1:]} == {"failed"}
    assert len(found) == 7  # the default, and six of half a second


def test_default_that_cannot_be_measured_stops_tuning(learnable: pd.DataFrame) -> None:
    wrong = Model(parameters={"no_such": 1})
    with pytest.raises(
        ConfigError, match=r"\[model.parameters\] no_such: the model type 'boosting' has no such parameter"
    ):
        tuned(learnable, model=wrong)
