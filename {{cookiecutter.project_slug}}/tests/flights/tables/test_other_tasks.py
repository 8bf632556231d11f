"""Every kind of target, with and without a time column: how it is split, learned, measured and watched."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, r2_score, roc_auc_score

from {{ cookiecutter.__package_name }} import (
    drift,
    evaluation,
    figures,
    performance,
    releases,
    schema,
    split,
    stages,
    status,
    storage,
    task,
    training,
)
from {{ cookiecutter.__package_name }}.config import (
    ENV_PREFIX,
    Evaluation,
    Gates,
    Model,
    Training,
    load_settings,
)
from {{ cookiecutter.__package_name }}.errors import QualityGateError, SourceError
from {{ cookiecutter.__package_name }}.tracking import Tracker

from other_contract import CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME, TWO_TEXTS_BY_GROUP, make_rows, run_under

SMALL = Model(max_iter=30, min_samples_leaf=5)
SETTINGS = Evaluation(bootstrap_resamples=100)


def fit_and_measure(n_rows: int = 600) -> tuple[pd.DataFrame, np.ndarray, evaluation.Report]:
    """Rows that a model has not seen, its predictions, and what is measured."""
    rows = make_rows(n_rows).sample(frac=1, random_state=0, ignore_index=True)
    learned, held_out = rows[: n_rows // 2], rows[n_rows // 2 :].reset_index(drop=True)
    model = training.fit(learned, Training(), SMALL)
    prediction = training.predict(model, held_out)
    baseline = task.fit_baseline(task.code(learned[schema.TARGET]))
    return held_out, prediction, evaluation.evaluate(held_out, prediction, baseline, None, SETTINGS, seed=0)


EVERY_PLOT = {"permutation_importance.png", "slices.png"}


def plots_of(held_out: pd.DataFrame, report: evaluation.Report) -> set[str]:
    """Names of the plots that are drawn."""
    return set(figures.draw_figures(training.fit(held_out, Training(), SMALL), held_out, report, 20, seed=0))


def names_of_failures(report: evaluation.Report) -> list[str]:
    gates = Gates(max_roc_auc=1.0, max_r2=1.0, max_calibration_error=0.3)
    return [check.name for check in evaluation.judge(report, gates, SETTINGS) if not check.passed]


def check_classes() -> None:
    held_out, prediction, report = fit_and_measure()
    target = task.code(held_out["species"])
    assert prediction.shape == (300, 3)
    assert prediction.sum(axis=1) == pytest.approx(1)
    assert report.metrics["roc_auc"].value == pytest.approx(roc_auc_score(target, prediction, multi_class="ovr"))
    assert report.metrics["log_loss"].value == pytest.approx(log_loss(target, prediction))
    assert report.metrics["accuracy"].value == pytest.approx(accuracy_score(target, prediction.argmax(axis=1)))
    assert report.metrics["accuracy"].value > 0.9
    assert [each.name for each in report.slices] == ["species = größte", "species = se tosa", 'species = vers"icolor']
    assert names_of_failures(report) == []
    assert plots_of(held_out, report) == {"roc.png", "confusion.png", "calibration.png", *EVERY_PLOT}


def check_numbers() -> None:
    held_out, prediction, report = fit_and_measure()
    assert report.metrics["mae"].value == pytest.approx(mean_absolute_error(held_out["price"], prediction))
    assert report.metrics["r2"].value == pytest.approx(r2_score(held_out["price"], prediction), abs=0.01)
    assert report.metrics["r2"].value > 0.9
    assert report.loss.value == pytest.approx(1 - report.metrics["r2"].value, abs=0.1)
    assert names_of_failures(report) == []
    assert plots_of(held_out, report) == {"predicted_observed.png", "residuals.png", *EVERY_PLOT}
    biased = evaluation.evaluate(
        held_out, prediction + 1e6, task.fit_baseline(task.code(held_out["price"])), None, SETTINGS, seed=0
    )
    assert "bias" in names_of_failures(biased)


def check_model_that_has_learned_nothing_is_refused_with_advice() -> None:
    held_out, prediction, _ = fit_and_measure()
    baseline = task.fit_baseline(task.code(held_out[schema.TARGET]))
    shuffled = np.random.default_rng(0).permutation(prediction)
    report = evaluation.evaluate(held_out, shuffled, baseline, None, SETTINGS, seed=0)
    [beats, *_] = evaluation.judge(report, Gates(), SETTINGS)
    assert not beats.passed
    assert "look at permutation_importance.png" in beats.detail
    few = replace(report, loss_over_baseline=replace(report.loss_over_baseline, value=-0.1, high=0.1))
    [beats, *_] = evaluation.judge(few, Gates(), SETTINGS)
    assert "300 held-out rows are too few to be sure" in beats.detail


def check_class_that_comes_later_keeps_the_loss_finite() -> None:
    rows = make_rows(300)
    known = rows[rows["species"] != schema.CLASSES[2]]
    model = training.fit(known, Training(), SMALL)
    prediction = training.predict(model, rows)
    assert prediction.sum(axis=1) == pytest.approx(1)
    assert prediction[:, 2] == pytest.approx(task.UNSEEN_CLASS)
    baseline = task.fit_baseline(task.code(known["species"]))
    assert baseline.prediction[2] == pytest.approx(task.UNSEEN_CLASS)
    losses = task.row_losses(task.code(rows["species"]), prediction)
    assert losses.max() == pytest.approx(-np.log(task.UNSEEN_CLASS))


def check_forecast_that_fitted_and_does_not_now_has_decayed() -> None:
    held_out, prediction, _ = fit_and_measure(1200)
    target = task.code(held_out[schema.TARGET])
    scale = task.fit_baseline(target).scale
    worse = prediction * 1.5 if task.IS_REGRESSION else prediction[:, [1, 2, 0]]
    then = performance.tally([(held_out, target, prediction)], scale)
    for served, is_alarm in ((prediction, False), (worse, True)):
        found = performance.measure(performance.tally([(held_out, target, served)], scale), then, SETTINGS, seed=1)
        assert found.loss.value == pytest.approx(task.row_losses(target, served, scale).mean())
        assert performance.is_alarm(found, margin=0.01) == is_alarm


def check_constant_is_the_best_one_prediction() -> None:
    rows = make_rows(400)
    target = task.code(rows[schema.TARGET])
    baseline = task.fit_baseline(target)
    tallied = performance.tally([(rows, target, baseline.predict(400))], baseline.scale)
    found = performance.measure(tallied, None, SETTINGS, seed=1)
    assert found.skill.value == pytest.approx(0, abs=1e-9)
    assert found.gain.value == pytest.approx(0, abs=1e-6)


def check_same_groups_are_held_out_whatever_comes_with_them() -> None:
    visits = pd.DataFrame({"visit": range(5000), "patient": np.arange(5000) // 5})
    is_held_out = split.is_held_out(visits, 0.2)
    assert 0.15 < is_held_out.mean() < 0.25
    assert visits.assign(held=is_held_out).groupby("patient")["held"].nunique().max() == 1
    part = visits.iloc[1234:1300]
    np.testing.assert_array_equal(split.is_held_out(part, 0.2), is_held_out[1234:1300])
    assert is_held_out[split.is_held_out(visits, 0.1)].all()


def check_deliveries_are_compared_with_each_other() -> None:
    rows = make_rows(3000)
    features = ["class", "a.b, c", "first seen"]
    binning = drift.choose_binning(rows[features])
    reference = drift.count([("2024-01", rows[:1000]), ("2024-02", rows[1000:2000])], binning)
    same = drift.measure(reference, drift.count([("2024-03", rows[2000:])], binning), 0.99)
    assert {each.column: each.drifted for each in same}["class"] is False
    shifted = rows[2000:].assign(**{"class": rows["class"][2000:] + 0.5})
    assert next(iter(drift.measure(reference, drift.count([("2024-03", shifted)], binning), 0.99))).column == "class"


def write_months(rows: pd.DataFrame, months: list[str]) -> None:
    """A file for each month, in which its rows lie if they have a time; settings that name them."""
    folder = Path("data")
    folder.mkdir(exist_ok=True)
    for month, at in zip(months, np.array_split(np.arange(len(rows)), len(months)), strict=True):
        frame = rows.iloc[at].reset_index(drop=True)
        if schema.TIME:
            hours = pd.to_timedelta(np.arange(len(frame)) % 600, unit="h")
            frame[schema.TIME] = (pd.Timestamp(f"{month}-01") + hours).astype("datetime64[us]")
        frame.to_parquet(folder / f"own-{month}.parquet", index=False)
    knobs = {
        "SOURCE__URI": "data/own-{month}.parquet",
        "SOURCE__FIRST_MONTH": months[0],
        "SOURCE__LAST_MONTH": months[-1],
        "MODEL__MAX_ITER": "30",
        "MODEL__MIN_SAMPLES_LEAF": "5",
        "EVALUATION__BOOTSTRAP_RESAMPLES": "100",
        "GATES__MAX_ROC_AUC": "1",
        "GATES__MAX_R2": "1",
        "GATES__MAX_CALIBRATION_ERROR": "0.5",
        "RETRAINING__FIRST_AFTER_MONTHS": "1",
    }
    os.environ |= {f"{ENV_PREFIX}{name}": value for name, value in knobs.items()}


def run_once(name: str, month: str | None = None) -> str:
    """From ingest to deploy; the MLflow run."""
    clean = stages.validate(stages.ingest(month)["dataset_uri"], name)
    run_id = stages.train(clean["dataset_uri"], name)["run_id"]
    stages.deploy(stages.evaluate(run_id)["run_id"])
    return run_id


def check_pipeline() -> None:
    """Two releases, each monitored and scored, the second judged against the first on rows that neither has seen."""
    months = ["2024-01", "2024-02", "2024-03"]
    write_months(make_rows(1800), months)
    run_once("first", months[1])
    tracker, settings = Tracker(load_settings()), load_settings()
    stages.validate(stages.ingest(labelled=False)["dataset_uri"], "ingestion", for_training=False)
    scores = stages.score(months[2])
    monitored = stages.monitor("monitoring", months[2])
    assert scores["rows"] == 600
    assert monitored["alarms"] == []
    second = run_once("second")
    assert tracker.tags(second)["compared_with"] == "1"
    assert tracker.metrics(second)["loss_over_champion"] == pytest.approx(0, abs=0.05)
    found = status.find_run(settings, "second")
    assert found is not None
    assert found["held_out"] == {"": "20% of the rows, by chance"}.get(schema.TIME + schema.GROUP, found["held_out"])
    stages.rollback()
    assert releases.read_ledger(settings)[-1].to_version == "1"
    stages.reproduce("2")
    rows = pd.concat(storage.read_batches(storage.find_partitions(settings.storage_uri, "scores", months[2])[0]))
    assert task.from_columns(rows).shape[0] == 600


def check_pipeline_of_nothing_to_learn() -> None:
    months = ["2024-01", "2024-02", "2024-03"]
    rows = make_rows(900)
    shuffled = rows[schema.TARGET].sample(frac=1, random_state=1, ignore_index=True)
    write_months(rows.assign(**{schema.TARGET: shuffled}), months)
    with pytest.raises(QualityGateError, match=r"beats the baseline: .*raise \[model\] min_samples_leaf"):
        run_once("of nothing")


def check_months_held_out() -> None:
    months = ["2024-01", "2024-02", "2024-03", "2024-04"]
    write_months(make_rows(1200), months)
    os.environ[f"{ENV_PREFIX}TRAINING__HOLDOUT_MONTHS"] = "2"
    tags = Tracker(load_settings()).tags(run_once("two held out"))
    assert (tags["held_out"], tags["trained_on"]) == ("2024-03 to 2024-04", "2 months 2024-01 to 2024-02")
    run_once("again")
    with pytest.raises(SourceError, match="month 2024-02: one of the first 2"):
        stages.ingest("2024-02")


def check_what_is_held_out_is_not_learned_from() -> None:
    rows = make_rows(1500)
    write_months(rows, ["2024-01", "2024-02", "2024-03"])
    clean = stages.validate(stages.ingest(None)["dataset_uri"], "split")["dataset_uri"]
    settings, dataset = load_settings(), storage.load_dataset(clean)
    learned, held_out = (stages.rows.read_rows(settings, dataset, held_out=each)[0] for each in (False, True))
    assert len(learned) + len(held_out) == len(rows)
    assert 0.15 < len(held_out) / len(rows) < 0.25
    assert learned.merge(held_out, on=schema.GROUP or schema.KEY).empty
    trained = stages.train(clean, "split")
    assert f" {len(learned):,} rows of 3 months" in trained["result"]
    assert stages.evaluate(trained["run_id"])
    assert Tracker(settings).metrics(trained["run_id"])["holdout_rows"] == len(held_out)


def check_sample_of_rows() -> None:
    write_months(make_rows(1800), ["2024-01", "2024-02", "2024-03"])
    os.environ[f"{ENV_PREFIX}TRAINING__MAX_ROWS"] = "600"
    settings = load_settings()
    run_id = run_once("few rows")
    dataset = storage.load_dataset(Tracker(settings).tags(run_id)["dataset_uri"])
    taken, _ = stages.rows.read_rows(settings, dataset)
    assert 500 < len(taken) < 700
    pd.testing.assert_frame_equal(taken, stages.rows.read_rows(settings, dataset)[0])


def test_classes(tmp_path: Path) -> None:
    run_under(
        CLASSES_WITHOUT_TIME,
        tmp_path,
        check_classes,
        check_model_that_has_learned_nothing_is_refused_with_advice,
        check_class_that_comes_later_keeps_the_loss_finite,
        check_forecast_that_fitted_and_does_not_now_has_decayed,
        check_constant_is_the_best_one_prediction,
        check_deliveries_are_compared_with_each_other,
    )


def test_numbers(tmp_path: Path) -> None:
    run_under(
        NUMBER_WITH_TIME,
        tmp_path,
        check_numbers,
        check_model_that_has_learned_nothing_is_refused_with_advice,
        check_forecast_that_fitted_and_does_not_now_has_decayed,
        check_constant_is_the_best_one_prediction,
    )


def test_groups(tmp_path: Path) -> None:
    run_under(TWO_TEXTS_BY_GROUP, tmp_path, check_same_groups_are_held_out_whatever_comes_with_them)


@pytest.mark.parametrize("contract", [CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME, TWO_TEXTS_BY_GROUP])
def test_from_files_to_two_releases_and_back(tmp_path: Path, contract: str) -> None:
    run_under(contract, tmp_path, check_pipeline)


@pytest.mark.parametrize("contract", [CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME])
def test_model_of_shuffled_labels_is_refused(tmp_path: Path, contract: str) -> None:
    run_under(contract, tmp_path, check_pipeline_of_nothing_to_learn)


@pytest.mark.parametrize("contract", [CLASSES_WITHOUT_TIME, TWO_TEXTS_BY_GROUP])
def test_what_is_held_out_is_not_learned_from(tmp_path: Path, contract: str) -> None:
    run_under(contract, tmp_path, check_what_is_held_out_is_not_learned_from)


def test_months_held_out(tmp_path: Path) -> None:
    run_under(NUMBER_WITH_TIME, tmp_path, check_months_held_out)


def test_rows_drawn_from_many(tmp_path: Path) -> None:
    run_under(CLASSES_WITHOUT_TIME, tmp_path, check_sample_of_rows)
