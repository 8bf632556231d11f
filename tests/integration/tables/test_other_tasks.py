"""Every kind of target, with and without a time column: how it is split, trained on, measured and monitored."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, r2_score, roc_auc_score

from modelworks import stages, targets
from modelworks.contract import Contract
from modelworks.data import partitions, splits
from modelworks.errors import QualityGateError, SourceError
from modelworks.evaluation import gates, plots
from modelworks.evaluation.holdout import HoldoutEvaluation, evaluate_holdout
from modelworks.evaluation.metrics import Report
from modelworks.evaluation.plot_data import PlotData, measure_plots
from modelworks.models import pipeline
from modelworks.monitoring import calibration, drift
from modelworks.project import Project
from modelworks.registry import ledger
from modelworks.registry.tracker import Tracker
from modelworks.settings import Evaluation, Gates, Limits, Model, Settings, Training
from modelworks.stages.rows import read_rows
from modelworks.state import status
from tables import (
    CLASSES_WITHOUT_TIME,
    NUMBER_WITH_TIME,
    TWO_TEXTS_BY_GROUP,
    make_rows,
    project_of,
    write_periods,
)

SMALL = Model(parameters={"max_iter": 30, "min_samples_leaf": 5})
SETTINGS = Evaluation(bootstrap_resamples=100)
PERIODS = ["2024-01", "2024-02", "2024-03"]
EVERY_PLOT = {"permutation_importance.png", "slices.png"}

classes_and_numbers = pytest.mark.parametrize(
    "contract", [CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME], ids=["classes", "numbers"]
)


def encode(contract: Contract, rows: pd.DataFrame) -> np.ndarray:
    return contract.target.encode(rows[contract.target.column])


def fit_and_measure(contract: Contract, n_rows: int = 600) -> HoldoutEvaluation:
    """A model of one half of the rows, measured on the other."""
    rows = make_rows(contract, n_rows).sample(frac=1, random_state=0, ignore_index=True)
    train, held_out = rows[: n_rows // 2], rows[n_rows // 2 :].reset_index(drop=True)
    model = pipeline.fit(project_of(contract), train, Training(), SMALL)
    prediction = pipeline.predict(project_of(contract), model, held_out)
    return measure(contract, held_out, prediction, contract.target.fit_baseline(encode(contract, train)))


def measure(
    contract: Contract, rows: pd.DataFrame, prediction: np.ndarray, baseline: targets.Baseline
) -> HoldoutEvaluation:
    return evaluate_holdout(contract, rows, prediction, baseline, None, SETTINGS, seed=0)


def plots_of(contract: Contract, evaluation: HoldoutEvaluation) -> set[str]:
    """Names of the plots that are drawn."""
    model = pipeline.fit(project_of(contract), evaluation.rows, Training(), SMALL)
    data = measure_plots(project_of(contract), model, evaluation, 20, seed=0)
    kept = TypeAdapter(PlotData).validate_python(json.loads(json.dumps(asdict(data))))
    return set(plots.draw_figures(contract.target, kept))


def names_of_failures(contract: Contract, report: Report) -> list[str]:
    of_classes = {"roc_auc": Limits(min=0.6), "calibration_error": Limits(max=0.3)}
    limits = Gates(metrics={"r2": Limits(min=0.0)} if contract.target.is_regression else of_classes)
    return [check.name for check in gates.judge(contract, report, limits, SETTINGS) if not check.passed]


def test_classes_are_measured_as_scikit_learn_does() -> None:
    contract = CLASSES_WITHOUT_TIME
    evaluation = fit_and_measure(contract)
    report, prediction, target = evaluation.report, evaluation.prediction, evaluation.target
    assert prediction.shape == (300, 3)
    assert prediction.sum(axis=1) == pytest.approx(1)
    assert report.metrics["roc_auc"].value == pytest.approx(roc_auc_score(target, prediction, multi_class="ovr"))
    assert report.metrics["log_loss"].value == pytest.approx(log_loss(target, prediction))
    assert report.metrics["accuracy"].value == pytest.approx(accuracy_score(target, prediction.argmax(axis=1)))
    assert report.metrics["accuracy"].value > 0.9
    assert [each.name for each in report.slices] == ["species = größte", "species = se tosa", 'species = vers"icolor']
    assert names_of_failures(contract, report) == []
    assert plots_of(contract, evaluation) == {"roc.png", "confusion.png", "calibration.png", *EVERY_PLOT}


def test_numbers_are_measured_as_scikit_learn_does() -> None:
    contract = NUMBER_WITH_TIME
    evaluation = fit_and_measure(contract)
    report, prediction, held_out = evaluation.report, evaluation.prediction, evaluation.rows
    assert report.metrics["mae"].value == pytest.approx(mean_absolute_error(held_out["price"], prediction))
    assert report.metrics["r2"].value == pytest.approx(r2_score(held_out["price"], prediction), abs=0.01)
    assert report.metrics["r2"].value > 0.9
    assert evaluation.loss().value == pytest.approx(1 - report.metrics["r2"].value, abs=0.1)
    assert names_of_failures(contract, report) == []
    assert plots_of(contract, evaluation) == {"predicted_observed.png", "residuals.png", *EVERY_PLOT}
    biased = measure(contract, held_out, prediction + 1e6, contract.target.fit_baseline(evaluation.target))
    assert "bias ceiling" in names_of_failures(contract, biased.report)


@classes_and_numbers
def test_model_that_learned_nothing_is_refused_with_advice(contract: Contract) -> None:
    evaluation = fit_and_measure(contract)
    baseline = contract.target.fit_baseline(evaluation.target)
    shuffled = np.random.default_rng(0).permutation(evaluation.prediction)
    report = measure(contract, evaluation.rows, shuffled, baseline).report
    [beats, *_] = gates.judge(contract, report, Gates(), SETTINGS)
    assert not beats.passed
    assert "look at permutation_importance.png" in beats.detail
    few = replace(report, gain_over_baseline=replace(report.gain_over_baseline, value=0.1, low=-0.1))
    [beats, *_] = gates.judge(contract, few, Gates(), SETTINGS)
    assert "300 held-out rows are too few to be sure" in beats.detail


def test_class_that_comes_later_keeps_the_loss_finite() -> None:
    contract = CLASSES_WITHOUT_TIME
    rows, target = make_rows(contract, 300), contract.target
    known = rows[rows["species"] != target.classes[2]]
    model = pipeline.fit(project_of(contract), known, Training(), SMALL)
    prediction = pipeline.predict(project_of(contract), model, rows)
    assert prediction.sum(axis=1) == pytest.approx(1)
    assert prediction[:, 2] == pytest.approx(targets.UNSEEN_CLASS)
    baseline = target.fit_baseline(encode(contract, known))
    assert baseline.prediction[2] == pytest.approx(targets.UNSEEN_CLASS)
    losses = target.row_losses(encode(contract, rows), prediction)
    assert losses.max() == pytest.approx(-np.log(targets.UNSEEN_CLASS))


@classes_and_numbers
def test_forecast_that_fitted_and_does_not_now_is_calibration_drift(contract: Contract) -> None:
    evaluation = fit_and_measure(contract, 1200)
    held_out, prediction, target = evaluation.rows, evaluation.prediction, evaluation.target
    scale = contract.target.fit_baseline(target).scale
    worse = prediction * 1.5 if contract.target.is_regression else prediction[:, [1, 2, 0]]
    then = calibration.accumulate(contract, [(held_out, target, prediction)], scale)
    for served, is_alarm in ((prediction, False), (worse, True)):
        now = calibration.accumulate(contract, [(held_out, target, served)], scale)
        found = calibration.measure(now, then, SETTINGS, seed=1)
        assert found.loss.value == pytest.approx(contract.target.row_losses(target, served, scale).mean())
        assert calibration.is_alarm(found, max_calibration_drift=0.01) == is_alarm


@classes_and_numbers
def test_constant_is_the_best_one_prediction(contract: Contract) -> None:
    rows = make_rows(contract, 400)
    target = encode(contract, rows)
    baseline = contract.target.fit_baseline(target)
    by_block = calibration.accumulate(contract, [(rows, target, baseline.predict(400))], baseline.scale)
    found = calibration.measure(by_block, None, SETTINGS, seed=1)
    assert found.skill.value == pytest.approx(0, abs=1e-9)
    assert found.gain.value == pytest.approx(0, abs=1e-6)


def test_same_groups_are_held_out_whatever_comes_with_them() -> None:
    contract = TWO_TEXTS_BY_GROUP
    visits = pd.DataFrame({"visit": range(5000), "patient": np.arange(5000) // 5})
    is_held_out = splits.is_held_out(contract, visits, 0.2)
    assert 0.15 < is_held_out.mean() < 0.25
    assert visits.assign(held=is_held_out).groupby("patient")["held"].nunique().max() == 1
    part = visits.iloc[1234:1300]
    np.testing.assert_array_equal(splits.is_held_out(contract, part, 0.2), is_held_out[1234:1300])
    assert is_held_out[splits.is_held_out(contract, visits, 0.1)].all()


def test_deliveries_are_compared_with_each_other() -> None:
    contract = CLASSES_WITHOUT_TIME
    rows = make_rows(contract, 3000)
    binning = drift.choose_binning(contract, rows[["class", "a.b, c", "first seen"]])
    reference = drift.count(contract, [("2024-01", rows[:1000]), ("2024-02", rows[1000:2000])], binning)

    def measured(delivery: pd.DataFrame) -> list[drift.ColumnDrift]:
        return drift.measure(contract, reference, drift.count(contract, [("2024-03", delivery)], binning), 0.99)

    same = measured(rows[2000:])
    assert {each.column: each.drifted for each in same}["class"] is False
    shifted = measured(rows[2000:].assign(**{"class": rows["class"][2000:] + 0.5}))
    assert shifted[0].column == "class"


def clean(project: Project, settings: Settings, name: str, period: str | None = None) -> str:
    """Ingest and validate; the clean dataset."""
    raw = stages.ingest(project, settings, period)
    return stages.validate(project, settings, raw.dataset_uri, name).dataset_uri


def run_once(project: Project, settings: Settings, name: str, period: str | None = None) -> str:
    """From ingest to deploy; the MLflow run."""
    run_id = stages.train(project, settings, clean(project, settings, name, period), name).run_id
    stages.deploy(project, settings, stages.evaluate(project, settings, run_id).run_id)
    return run_id


@pytest.mark.parametrize(
    "contract", [CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME, TWO_TEXTS_BY_GROUP], ids=["classes", "numbers", "groups"]
)
def test_from_files_to_two_releases_and_back(tmp_path: Path, contract: Contract) -> None:
    """Two releases, each monitored and scored, the second judged against the first on rows that neither has seen."""
    project, settings = project_of(contract), write_periods(tmp_path, contract, make_rows(contract, 1800), PERIODS)
    run_once(project, settings, "first", PERIODS[1])
    tracker = Tracker(project, settings)
    raw = stages.ingest(project, settings, for_training=False)
    stages.validate(project, settings, raw.dataset_uri, "ingestion", for_training=False)
    scored = stages.score(project, settings, PERIODS[2])
    monitored = stages.monitor(project, settings, "monitoring", PERIODS[2])
    assert scored.rows == 600
    assert monitored.alarms == []
    second = run_once(project, settings, "second")
    assert tracker.runs.tags(second)["compared_with"] == "1"
    assert tracker.runs.metrics(second)["gain_over_champion"] == pytest.approx(0, abs=0.05)
    found = status.find_run(project, settings, "second")
    assert found is not None
    if not contract.time and not contract.group:
        assert found.held_out == "20% of the rows, by chance"
    stages.rollback(project, settings)
    assert ledger.read_ledger(settings)[-1].to_version == "1"
    stages.reproduce(project, settings, "2")
    rows = pd.concat(partitions.read_batches(partitions.find_partitions(settings.storage_uri, "scores", PERIODS[2])[0]))
    assert contract.target.from_columns(rows).shape[0] == 600


@classes_and_numbers
def test_model_of_shuffled_labels_is_refused(tmp_path: Path, contract: Contract) -> None:
    rows, target = make_rows(contract, 900), contract.target.column
    shuffled = rows[target].sample(frac=1, random_state=1, ignore_index=True)
    settings = write_periods(tmp_path, contract, rows.assign(**{target: shuffled}), PERIODS)
    with pytest.raises(QualityGateError, match=r"beats the baseline: .*regularize it by \[model.parameters\]"):
        run_once(project_of(contract), settings, "of nothing")


@pytest.mark.parametrize("contract", [CLASSES_WITHOUT_TIME, TWO_TEXTS_BY_GROUP], ids=["classes", "groups"])
def test_held_out_rows_are_not_trained_on(tmp_path: Path, contract: Contract) -> None:
    project, rows = project_of(contract), make_rows(contract, 1500)
    settings = write_periods(tmp_path, contract, rows, PERIODS)
    dataset_uri = clean(project, settings, "split")
    dataset = partitions.load_dataset(dataset_uri)
    train, held_out = (read_rows(project, settings, dataset, held_out=each)[0] for each in (False, True))
    assert len(train) + len(held_out) == len(rows)
    assert 0.15 < len(held_out) / len(rows) < 0.25
    assert train.merge(held_out, on=contract.group or contract.key).empty
    trained = stages.train(project, settings, dataset_uri, "split")
    assert f" {len(train):,} rows of 3 periods" in trained.summary
    assert stages.evaluate(project, settings, trained.run_id)
    assert Tracker(project, settings).runs.metrics(trained.run_id)["holdout_rows"] == len(held_out)


def test_several_periods_are_held_out(tmp_path: Path) -> None:
    periods, project = [*PERIODS, "2024-04"], project_of(NUMBER_WITH_TIME)
    rows = make_rows(NUMBER_WITH_TIME, 1200)
    settings = write_periods(tmp_path, NUMBER_WITH_TIME, rows, periods, training={"holdout": 2})
    tags = Tracker(project, settings).runs.tags(run_once(project, settings, "two held out"))
    assert (tags["held_out"], tags["trained_on"]) == ("2024-03 to 2024-04", "2 periods 2024-01 to 2024-02")
    assert (tags["holdout_from"], tags["holdout_period"]) == ("2024-03", "2024-04")
    assert (tags["first_period"], tags["last_period"]) == ("2024-01", "2024-04")
    run_once(project, settings, "again")
    with pytest.raises(SourceError, match="period 2024-02: one of the first 2"):
        stages.ingest(project, settings, "2024-02")


def test_rows_are_sampled_from_many(tmp_path: Path) -> None:
    project, rows = project_of(CLASSES_WITHOUT_TIME), make_rows(CLASSES_WITHOUT_TIME, 1800)
    settings = write_periods(tmp_path, CLASSES_WITHOUT_TIME, rows, PERIODS, training={"max_rows": 600})
    run_id = run_once(project, settings, "few rows")
    dataset = partitions.load_dataset(settings.absolute(Tracker(project, settings).runs.tags(run_id)["dataset_uri"]))
    taken, _ = read_rows(project, settings, dataset)
    assert 500 < len(taken) < 700
    pd.testing.assert_frame_equal(taken, read_rows(project, settings, dataset)[0])
