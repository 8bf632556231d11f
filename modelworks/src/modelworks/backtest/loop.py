"""A replay without Airflow: the same stages, in the order in which the DAGs call them."""

import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from modelworks import stages
from modelworks.backtest.perturbation import Perturbation, perturb_period
from modelworks.backtest.policies import Policy
from modelworks.backtest.sandbox import open_sandbox
from modelworks.errors import ContractError, NoChampionError, NoRowsError, QualityGateError, ReleaseError
from modelworks.models.model_type import model_types_to_tune
from modelworks.project import Project, load_project
from modelworks.registry import set_mlflow_defaults
from modelworks.reporting.console import hide_stages
from modelworks.settings import Settings

POLL_S = 0.5


def replay(project: Project, settings: Settings, periods: list[str], change: Perturbation | None = None) -> None:
    """Ingest, validate, score and monitor each period, and retrain where monitoring requests it.

    A model that is refused is recorded in MLflow, and the replay goes on.

    Parameters
    ----------
    change : of one of the periods, when it arrives
    """
    for period in periods:
        try:
            raw = stages.ingest(project, settings, period, for_training=False)
        except NoRowsError:
            if not settings.source.gaps:
                raise
            continue
        if change and change.period == period:
            perturb_period(project, settings, change)
            raw = stages.ingest(project, settings, period, for_training=False)
        stages.validate(project, settings, raw.dataset_uri, f"ingestion {period}", for_training=False)
        with suppress(NoChampionError):
            stages.score(project, settings, period)
        if stages.monitor(project, settings, f"monitoring {period}", period).retrain:
            with suppress(QualityGateError, ReleaseError, ContractError):
                retrain(project, settings, period)


def retrain(project: Project, settings: Settings, period: str) -> None:
    """Train and release the model that monitoring of a period requested.

    Nothing is done where another run has claimed the request, or a version has the same data, code and settings.
    """
    name = f"training {period}"
    request = stages.claim_retraining(project, settings, period, name)
    if request is None:
        return
    raw = stages.ingest(project, settings, request.period)
    clean = stages.validate(project, settings, raw.dataset_uri, name, reason=request.reason)
    if stages.compare(project, settings, clean.dataset_uri, name).unchanged:
        return
    for model_type in model_types_to_tune(project, settings):
        stages.tune(project, settings, clean.dataset_uri, name, model_type)
    trained = stages.train(project, settings, clean.dataset_uri, name)
    evaluated = stages.evaluate(project, settings, trained.run_id)
    stages.deploy(project, settings, evaluated.run_id)


def replay_all(sandboxes: Mapping[Path, Policy], periods: list[str]) -> Iterator[dict[Path, int]]:
    """Replay the periods by each policy in its own sandbox and process, side by side.

    Yields
    ------
    Now and then, how many periods are finished in each sandbox; one that has not begun is left out.
    """
    # A fork would share what MLflow and the thread pools of the libraries hold.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: set[Future[None]] = {
            pool.submit(_replay_one, folder, policy, periods) for folder, policy in sandboxes.items()
        }
        while waiting:
            done, waiting = wait(waiting, POLL_S)
            yield {folder: count_periods(folder) for folder in sandboxes if any((folder / "var").iterdir())}
            for each in done:
                each.result()


def _replay_one(folder: Path, policy: Policy, periods: list[str]) -> None:
    """Replay in a process of its own, which loads project and settings itself."""
    set_mlflow_defaults()
    hide_stages()
    project = load_project(folder)
    if not policy.has_own_gates:
        project = replace(project, release_gates=[])
    replay(project, open_sandbox(folder, policy.overrides), periods, policy.change)


def count_periods(sandbox: Path) -> int:
    """How many periods have been monitored in a sandbox."""
    return len(list((sandbox / "var" / "data" / "monitoring").glob("*/*.json")))
