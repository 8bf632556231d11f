import time
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import families
from {{ cookiecutter.__package_name }}.automl import trials
from {{ cookiecutter.__package_name }}.automl.trials import Trial
from {{ cookiecutter.__package_name }}.config import Model, Search, Training
from {{ cookiecutter.__package_name }}.errors import ConfigError, ContractError

FEATURES = Training(features=["recent_delay", "carrier", "temp", "humidity"])
SMALL = Model(max_iter=5, min_samples_leaf=5)
SIX = Search(trials=6)


@pytest.fixture
def learnable(rows) -> pd.DataFrame:
    """300 flights of a quarter, of which those after a long delay are late, but for some."""
    random = np.random.default_rng(0)
    delay = random.choice([0.0, 30.0, 90.0], 300)
    carrier = random.choice(["AA", "B6", "UA"], 300)
    late = (delay + 20 * (carrier == "B6") + random.normal(0, 20, 300) > 50).astype("int64")
    return rows(300, recent_delay=delay, carrier=carrier, temp=random.normal(60, 9, 300), delayed=late)


def searched(
    frame: pd.DataFrame, family: str = "boosting", search: Search = SIX, found: list[Trial] | None = None, **more: bool
):
    default = trials.default_model(family, SMALL)
    rows = trials.arrange(frame, search)
    return trials.search_family(rows, default, FEATURES, search, found or [], lambda _: None, **more)


def without_clock(found: list[Trial]) -> list[Trial]:
    return [replace(trial, fit_seconds=0, seconds=0) for trial in found]


def test_first_trial_is_what_is_configured(learnable: pd.DataFrame) -> None:
    first = searched(learnable, search=Search(trials=1))[0]
    assert Model(**first.model) == SMALL
    assert (first.state, first.number, first.tried) == ("complete", 0, {})


def test_other_families_begin_with_their_defaults_and_the_keys_that_they_share() -> None:
    own = Model(min_samples_leaf=7, encoding="native", parameters={"max_leaf_nodes": 5})
    assert trials.default_model("boosting", own) is own
    assert trials.default_model("forest", own) == Model(family="forest", min_samples_leaf=7)


def test_loss_is_the_mean_over_all_measured_rows(learnable: pd.DataFrame) -> None:
    rows = trials.arrange(learnable, SIX)
    [first, *_] = searched(learnable)
    assert sum(first.block_rows) == sum(len(fold.measured) for fold in rows.folds)
    assert first.loss == pytest.approx(sum(first.block_losses) / sum(first.block_rows))
    baseline = trials.measure_baseline(rows, learnable["delayed"].to_numpy("float64"))
    assert first.loss < baseline < 0.7


def test_same_seed_gives_the_same_trials(learnable: pd.DataFrame) -> None:
    first, second = (searched(learnable) for _ in range(2))
    assert without_clock(first) == without_clock(second)
    assert len({str(trial.model) for trial in first}) == len(first)


def test_search_that_goes_on_makes_the_trials_that_it_would_have_made(learnable: pd.DataFrame) -> None:
    whole = searched(learnable)
    assert [trial.number for trial in whole] == [0, 1, 2, 3, 4, 5]
    again = searched(learnable, found=whole[:3])
    assert without_clock(again) == without_clock(whole)
    assert again[:3] == whole[:3]  # not measured anew, which would have taken another time


@pytest.mark.parametrize("n_found", [1, 6, 9, 12])
def test_search_that_goes_on_gives_up_what_it_would_have_given_up(learnable: pd.DataFrame, n_found: int) -> None:
    search = Search(trials=15)
    whole = searched(learnable, search=search)
    assert {trial.state for trial in whole} == {"complete", "pruned"}
    assert without_clock(searched(learnable, search=search, found=whole[:n_found])) == without_clock(whole)


def test_trial_is_compared_with_the_best_on_the_blocks_that_both_were_measured_on() -> None:
    """The first days are easier than the last, for all."""
    losses, rows = np.repeat([0.4, 0.8], 20), np.ones(40)
    best = Trial("boosting", 0, {}, "complete", 0.6, block_losses=losses.tolist(), block_rows=[1] * 40)
    first_half = rows * (np.arange(40) < 20)
    worse = np.random.default_rng(0).normal(0.05, 0.02, 40)
    assert trials._is_worse((losses + worse) * first_half, first_half, best)
    assert not trials._is_worse((losses - worse) * first_half, first_half, best)
    assert not trials._is_worse(losses * first_half, first_half, best)


def test_trial_that_falls_behind_is_given_up_and_its_loss_estimated(learnable: pd.DataFrame) -> None:
    found = searched(learnable, search=Search(trials=15))
    given_up = [trial for trial in found if trial.state == "pruned"]
    assert given_up
    for trial in given_up:
        assert sum(trial.block_rows) < sum(found[0].block_rows)
        assert trial.loss >= min(each.loss for each in found if each.state == "complete")


def test_trial_that_was_given_up_is_no_better_than_the_best(
    learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "_estimate", lambda trial, default: 0.0)
    found = searched(learnable, search=Search(trials=15))
    given_up = {trial.loss for trial in found if trial.state == "pruned"}
    assert given_up
    assert min(given_up) >= min(trial.loss for trial in found if trial.state == "complete")


def test_no_trial_begins_when_the_time_is_up(learnable: pd.DataFrame) -> None:
    late = [replace(trial, seconds=400.0) for trial in searched(learnable, search=Search(trials=1))]
    assert searched(learnable, search=Search(trials=6, seconds=300), found=late) == late


def test_no_trial_begins_that_would_not_be_finished_in_time(learnable: pd.DataFrame) -> None:
    first = searched(learnable, search=Search(trials=2))
    slow = [replace(trial, seconds=100.0) for trial in first]
    assert searched(learnable, search=Search(trials=6, seconds=299), found=slow) == slow
    assert len(searched(learnable, search=Search(trials=3, seconds=301), found=slow)) == 3


def fit_after(wait: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let each fit wait before; returns a list that gets the rows of each."""
    fit, fitted = trials.training.fit, []

    def slow(frame: pd.DataFrame, settings: Training, model: Model):
        fitted.append(len(frame))
        wait()
        return fit(frame, settings, model)

    monkeypatch.setattr(trials.training, "fit", slow)
    return fitted


def compute() -> None:
    until = time.process_time() + 0.5
    while time.process_time() < until:
        pass


def test_first_trial_that_will_not_be_finished_in_time_is_left_on_the_way(
    learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = fit_after(compute, monkeypatch)
    assert searched(learnable, search=Search(trials=3, seconds=1), is_compared_with=False) == []
    assert len(fitted) == 1


def test_model_that_all_are_compared_with_is_measured_whatever_it_takes(
    learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_after(compute, monkeypatch)
    [only] = searched(learnable, search=Search(trials=3, seconds=1))
    assert (only.number, only.state) == (0, "complete")
    assert only.seconds > 1.5


def test_seconds_are_those_of_the_processor(learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """What else a busy machine does takes nothing from a search."""
    fitted = fit_after(lambda: time.sleep(0.5), monkeypatch)
    found = searched(learnable, search=Search(trials=2, seconds=1))
    assert [trial.number for trial in found] == [0, 1]
    assert len(fitted) > 3
    assert sum(trial.seconds for trial in found) < 1


def test_points_of_a_family_are_tried_after_its_default(learnable: pd.DataFrame) -> None:
    found = searched(learnable, search=Search(trials=7))
    points = families.find("boosting").points
    assert len(points) == 4
    # How many rows a leaf needs goes with the number of rows, so that it is that of [model].
    own = {"imputation": "native", "selected_fraction": 1.0, "min_samples_leaf": SMALL.min_samples_leaf}
    for trial, point in zip(found[1:], points, strict=False):
        assert trial.tried == {"encoding": "native", **own, **point}
    assert found[5].tried not in [trial.tried for trial in found[1:5]]


def test_encoding_is_no_question_where_there_are_no_categories(learnable: pd.DataFrame) -> None:
    numbers = FEATURES.model_copy(update={"features": ["recent_delay", "temp", "humidity", "visibility"]})
    rows = trials.arrange(learnable.assign(visibility=1.0), SIX)
    found = trials.search_family(rows, SMALL, numbers, SIX, [], lambda _: None)
    assert not any("encoding" in trial.tried for trial in found)
    assert len({str(trial.model) for trial in found}) == len(found)


def test_leaf_of_any_size_can_be_where_a_search_begins(learnable: pd.DataFrame) -> None:
    rows = trials.arrange(learnable, SIX)
    default = SMALL.model_copy(update={"min_samples_leaf": 1000})
    found = trials.search_family(rows, default, FEATURES, Search(trials=2), [], lambda _: None)
    assert found[1].model["min_samples_leaf"] == 300


def test_largest_seed_is_one_to_search_with(learnable: pd.DataFrame) -> None:
    largest = FEATURES.model_copy(update={"seed": 2**32 - 1})
    rows = trials.arrange(learnable, SIX)
    assert len(trials.search_family(rows, SMALL, largest, Search(trials=3), [], lambda _: None)) == 3


def test_family_that_cannot_take_the_rows_is_one_failed_trial(
    learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*given: object) -> None:
        raise ValueError("the rows are odd")

    monkeypatch.setattr(trials.training, "fit", breaks)
    [only] = searched(learnable, "linear", is_compared_with=False)
    assert (only.name, only.state, only.error) == ("linear 0", "failed", "ValueError: the rows are odd")
    with pytest.raises(ValueError, match="the rows are odd"):
        searched(learnable, is_compared_with=True)
    monkeypatch.undo()  # such as weights that are there again
    again = searched(learnable, "linear", search=Search(trials=2), found=[only], is_compared_with=False)
    assert [trial.name for trial in again] == ["linear 0", "linear 1"]
    assert again[0].state == "complete"
    kept = [asdict(trial) for trial in (only, *again)]
    assert trials.collect(kept) == trials.collect(kept[::-1]) == again


def test_connection_that_drops_is_no_failed_trial(learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    default = searched(learnable, search=Search(trials=1))

    def drops(*given: object) -> None:
        raise ConnectionError("no answer")

    monkeypatch.setattr(trials.training, "fit", drops)
    for found in ([], default):
        with pytest.raises(ConnectionError):
            searched(learnable, found=found, is_compared_with=False)


def test_fold_without_two_classes_is_named(learnable: pd.DataFrame) -> None:
    later = learnable.assign(delayed=(learnable["scheduled_departure"] >= "2013-07-01").astype("int64"))
    with pytest.raises(
        ContractError, match=r"^fold 1 of \[search\] folds = 3: column 'delayed': only \[0\] in \d+ rows"
    ):
        searched(later)


def test_each_choice_is_tried_in_time(learnable: pd.DataFrame) -> None:
    found = searched(learnable, "linear", Search(trials=25))
    tried = {(trial.model["encoding"], trial.model["scaling"]) for trial in found[1:] if trial.state != "failed"}
    assert tried == {(encoding, scaling) for encoding in ("onehot", "target") for scaling in ("standard", "squashing")}
    assert {trial.model["selected_fraction"] for trial in found} == {1.0, 0.75, 0.5}


def test_what_cannot_be_fitted_is_a_failed_trial_and_the_search_goes_on(
    learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trials.training.fit

    def breaks_at_target_encoding(frame: pd.DataFrame, settings: Training, model: Model):
        if model.encoding == "target":
            raise ValueError("the rows are odd")
        return whole(frame, settings, model)

    monkeypatch.setattr(trials.training, "fit", breaks_at_target_encoding)
    found = searched(learnable, search=Search(trials=10))
    failed = [trial for trial in found if trial.state == "failed"]
    assert failed
    assert {trial.error for trial in failed} == {"ValueError: the rows are odd"}
    assert np.isnan([trial.loss for trial in failed]).all()
    assert len(found) == 10


def test_trials_that_fail_use_up_the_seconds(learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, tried = trials.training.fit, list[Model]()

    def breaks_late(frame: pd.DataFrame, settings: Training, model: Model):
        tried.append(model)
        if model == tried[0]:
            return whole(frame, settings, model)
        begun = time.process_time()
        while time.process_time() < begun + 0.5:
            pass
        raise ValueError("the rows are odd")

    monkeypatch.setattr(trials.training, "fit", breaks_late)
    found = searched(learnable, search=Search(trials=50, seconds=3))
    assert {trial.state for trial in found[1:]} == {"failed"}
    assert len(found) <= 7  # the default, and six of half a second


def test_default_that_cannot_be_tried_stops_the_search(learnable: pd.DataFrame) -> None:
    wrong = Model(parameters={"no_such": 1})
    with pytest.raises(ConfigError, match=r"\[model.parameters\] no_such: the family 'boosting' has no such parameter"):
        trials.search_family(trials.arrange(learnable, SIX), wrong, FEATURES, SIX, [], lambda _: None)
