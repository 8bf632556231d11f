"""Evaluate: measure the candidate on the held-out rows, against the baseline and the champion, and judge it."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial

import pandas as pd
from pydantic import TypeAdapter
from sklearn.pipeline import Pipeline

from modelworks.checks import Check, explain, failures
from modelworks.data import partitions
from modelworks.data.partitions import Dataset
from modelworks.errors import ContractError, QualityGateError, ReleaseError, WeightsError
from modelworks.evaluation import gates, plots
from modelworks.evaluation.holdout import HoldoutEvaluation, evaluate_holdout
from modelworks.evaluation.metrics import Report, summarise
from modelworks.evaluation.plot_data import measure_plots
from modelworks.models import pipeline
from modelworks.monitoring import calibration
from modelworks.progress import waiting
from modelworks.project import Project
from modelworks.registry import ledger, promotion
from modelworks.registry.files import (
    DATA_WARNINGS_FILE,
    EVALUATION_FILE,
    ORIGIN_FILE,
    PERFORMANCE_FILE,
    PLOT_DATA_FILE,
    SAMPLE_FILE,
    VERDICT_FILE,
    WARNINGS_FILE,
)
from modelworks.registry.runs import metric_name
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import Version
from modelworks.reporting import documents
from modelworks.settings import Settings
from modelworks.stages.common import ACCEPTED, GATES_DIGEST, NOT_NEEDED, PENDING, REFUSED, log, stage, stage_tag
from modelworks.stages.facts import Evaluated
from modelworks.stages.held_out import predict_held_out, read_held_out
from modelworks.stages.rows import check_labelled, split_dataset
from modelworks.targets import Baseline, Target
from modelworks.wording import count

MAX_REFUSAL = 5000  # characters of a tag


@dataclass(frozen=True)
class Verdict:
    """Every gate's result, the remarks for a person, and whether that person has to agree to a release."""

    checks: list[Check]
    warnings: list[str]
    is_asked: bool

    @property
    def broken(self) -> list[Check]:
        """The gates that refuse the model."""
        return failures(self.checks)


@stage
def evaluate(project: Project, settings: Settings, run_id: str) -> Evaluated:
    """Measure the candidate on the held-out rows, run the gates, and put the verdict on record.

    Raises
    ------
    QualityGateError
        If it fails a gate: it will not be released, and the run says so.
    """
    tracker = Tracker(project, settings)
    tags = tracker.runs.tags(run_id)
    with tracker.runs.working_on(run_id), pipeline.limit_threads(settings.training):
        holdout = _find_holdout(project, settings, settings.absolute(stage_tag(tags, "dataset_uri", run_id)))
        candidate = tracker.models.load(tags["candidate_uri"])
        champion = ledger.find_champion(tracker, ledger.reconcile(settings, tracker))
        rival = (_load_champion(project, tracker, champion, tags), champion.version) if champion else None
        predicted = predict_held_out(project, settings, holdout, candidate, rival)
        evaluation = evaluate_holdout(
            project.contract,
            predicted.rows,
            predicted.candidate,
            Baseline(**json.loads(tags["baseline"])),
            predicted.champion,
            settings.evaluation,
            settings.training.seed,
            predicted.unlabelled,
            settings.gates.fairness.columns,
            partial(read_held_out, project, settings, holdout, predicted.part_rows),
        )
        remarks = tracker.runs.find_json(run_id, DATA_WARNINGS_FILE, [])
        remarks += tracker.runs.find_json(run_id, ORIGIN_FILE, {}).get("warnings", [])
        verdict = _judge(project, settings, evaluation, remarks)
        summary = f"{summarise(project.contract, evaluation.report)} on {tags['held_out']}"
        _log_evaluation(project, settings, tracker, run_id, candidate, evaluation, predicted.rows)
        _log_verdict(settings, tracker, run_id, verdict, champion, summary)
        if verdict.broken:
            _refuse(verdict)
    instead = f"instead of version {champion.version}" if champion else "the first of all"
    return Evaluated(
        run_id=run_id,
        asks_for_approval=verdict.is_asked,
        question=f"Release{settings.within} the model that was measured on {tags['held_out']}, {instead}?",
        about=_describe(project, tracker, run_id, evaluation.report, verdict, champion),
        summary=f"{summary}; {len(verdict.checks)} of {count(len(verdict.checks), 'check')} passed",
    )


def _find_holdout(project: Project, settings: Settings, dataset_uri: str) -> Dataset:
    """The periods that the held-out rows are in."""
    _, holdout = split_dataset(project, settings, partitions.load_dataset(dataset_uri))
    for partition in holdout.partitions:
        check_labelled(settings, partition)
    return holdout


def _load_champion(project: Project, tracker: Tracker, champion: Version, run_tags: dict[str, str]) -> Pipeline:
    """The champion's model that the candidate is compared with.

    Raises
    ------
    QualityGateError
        If it cannot be compared with.
    """
    uri = ledger.find_comparable_model(project, champion, run_tags)
    try:
        model = tracker.models.load(uri)
        if missing := [name for name in model.feature_names_in_ if name not in project.contract.dtypes]:
            raise QualityGateError(
                f"the champion needs columns that the contract no longer has: {', '.join(missing)}; other data want "
                "another [tracking] model_name, where the first model is compared with the baseline only"
            )
        # A feature function that was changed in place would give the champion other inputs than it was trained with.
        released = model if uri == champion.model_uri else tracker.models.load(champion.model_uri)
        ledger.check_sample(project, released, tracker.runs.load_json(champion.run_id, SAMPLE_FILE), champion.version)
    except (ContractError, ReleaseError) as error:
        raise QualityGateError(f"the champion, version {champion.version}, cannot be compared with: {error}") from None
    except WeightsError as error:
        raise QualityGateError(
            f"the champion, version {champion.version}, cannot be compared with: {error}; without its weights start "
            "anew, with another [tracking] model_name"
        ) from None
    return model


def _judge(project: Project, settings: Settings, evaluation: HoldoutEvaluation, remarks: list[str]) -> Verdict:
    """Run the engine's gates, then the project's own."""
    contract, report = project.contract, evaluation.report
    checks = [
        *gates.judge(contract, report, settings.gates, settings.evaluation),
        *gates.run_release_gates(project.release_gates, evaluation),
    ]
    warnings = [
        *gates.find_warnings(contract, report, settings.gates, settings.evaluation),
        *(f"{check.name}: {check.detail}" for check in checks if not check.passed and not check.fatal),
        *remarks,
    ]
    return Verdict(checks, warnings, promotion.needs_approval(settings.gates.approval, warnings))


def _log_evaluation(
    project: Project,
    settings: Settings,
    tracker: Tracker,
    run_id: str,
    candidate: Pipeline,
    evaluation: HoldoutEvaluation,
    rows: pd.DataFrame,
) -> None:
    tracker.runs.log_metrics(run_id, _metrics(project.contract.target, evaluation.report))
    tracker.runs.log_json(run_id, TypeAdapter(Report).dump_python(evaluation.report), EVALUATION_FILE)
    with suppress(ValueError):  # of a target with one class only: the checks say more about it
        batch = (rows, evaluation.target, evaluation.prediction)
        performance = calibration.accumulate(project.contract, [batch], evaluation.baseline.scale)
        tracker.runs.log_json(run_id, asdict(performance), PERFORMANCE_FILE)
    few, seed = settings.evaluation.min_slice_rows, settings.training.seed
    with waiting("drawing the plots"):
        data = measure_plots(project, candidate, evaluation, few, seed)
        figures = plots.draw_figures(project.contract.target, data)
    tracker.runs.log_json(run_id, asdict(data), PLOT_DATA_FILE)
    for file, figure in figures.items():
        tracker.runs.log_figure(run_id, figure, file)


def _log_verdict(
    settings: Settings, tracker: Tracker, run_id: str, verdict: Verdict, champion: Version | None, summary: str
) -> None:
    word = REFUSED if verdict.broken else ACCEPTED
    tracker.runs.log_json(run_id, [asdict(check) for check in verdict.checks], VERDICT_FILE)
    tracker.runs.log_json(run_id, verdict.warnings, WARNINGS_FILE)
    tags = {
        "verdict": word,
        GATES_DIGEST: settings.gates_digest,
        "compared_with": ledger.name_of(champion),
        "approval": PENDING if verdict.is_asked else NOT_NEEDED,
        "mlflow.note.content": f"{summary}; {word}",
        "refusal": explain(verdict.broken)[:MAX_REFUSAL],
    }
    tracker.runs.set_tags(run_id, tags)


def _refuse(verdict: Verdict) -> None:
    refused = "the model is refused, the champion stays"
    for check in verdict.broken:
        log.warning("evaluate: %s: %s", check.name, check.detail)
    counted = f"{len(verdict.broken)} of {len(verdict.checks)} checks failed"
    raise QualityGateError(f"{refused}: {explain(verdict.broken)}", f"{refused}: {counted}")


def _describe(
    project: Project, tracker: Tracker, run_id: str, report: Report, verdict: Verdict, champion: Version | None
) -> str:
    """The text of the request for approval."""
    links = {"this run": tracker.runs.link_to(run_id)}
    if champion:
        links["the champion's run"] = tracker.runs.link_to(champion.run_id)
    version = champion.version if champion else None
    return documents.approval_request(project.contract, report, verdict.checks, verdict.warnings, version, links)


def _metrics(target: Target, report: Report) -> dict[str, float]:
    """Every figure as an MLflow metric, with the ends of its interval beside it."""
    estimates = {**report.metrics, "gain_over_baseline": report.gain_over_baseline}
    if report.gain_over_champion:
        estimates["gain_over_champion"] = report.gain_over_champion
    for result in report.fairness:
        by_column = f"by_{metric_name(result.column)}"
        estimates |= {f"{name}_{by_column}": estimate for name, estimate in result.disparities.items()}
    metrics = {f"baseline_{target.loss}": report.baseline_loss, "holdout_rows": float(report.rows)}
    for name, estimate in estimates.items():
        metrics |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return metrics
