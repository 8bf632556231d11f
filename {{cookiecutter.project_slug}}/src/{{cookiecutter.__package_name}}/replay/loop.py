"""The months one by one, without Airflow: the same stages, in the order in which the DAGs call them."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

from ..config import load_settings
from ..console import hide_stages
from ..errors import ContractError, NoChampionError, QualityGateError, ReleaseError
from .perturbation import Perturbation, perturb_month
from .policies import Policy
from .twin import enter_twin, make_twin

POLL_S = 0.5


def replay(months: list[str], change: Perturbation | None = None) -> None:
    """Live through the months, with the settings of this process.

    A model that is refused is on the record in MLflow and stops nothing.

    Parameters
    ----------
    change : of one of the months, when it arrives
    """
    from .. import stages

    for month in months:
        raw = stages.ingest(month, labelled=False)
        if change and change.month == month:
            perturb_month(load_settings(), change)
            raw = stages.ingest(month, labelled=False)
        stages.validate(raw["dataset_uri"], f"ingestion {month}", for_training=False)
        with suppress(NoChampionError):
            stages.score(month)
        found = stages.monitor(f"monitoring {month}", month)
        if found["retrain"]:
            with suppress(QualityGateError, ReleaseError, ContractError):
                train(month)


def train(month: str) -> None:
    """Take up what monitoring has asked for."""
    from .. import families, stages

    name = f"training {month}"
    if asked := stages.claim_retraining(month, name):
        raw = stages.ingest(asked["month"])
        clean = stages.validate(raw["dataset_uri"], name, reason=asked["reason"])
        for family in families.to_search(load_settings()):
            stages.search(clean["dataset_uri"], name, family)
        trained = stages.train(clean["dataset_uri"], name)
        stages.deploy(stages.evaluate(trained["run_id"])["run_id"])


def replay_all(
    home: Path,
    folder: Path,
    policies: list[Policy],
    months: list[str],
    show: Callable[[dict[str, int]], None],
) -> None:
    """Live through the months once for each policy, in processes side by side, each in a twin of its own.

    Parameters
    ----------
    folder : where the twins are made, each under its policy's name
    show : is told now and then how many months each policy has come through
    """
    # A fork would share what MLflow and the thread pools of the libraries hold.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: set[Future[None]] = {
            pool.submit(_replay_one, home, folder / each.folder, each, months) for each in policies
        }
        while waiting:
            done, waiting = wait(waiting, POLL_S)
            show({each.name: count_months(folder / each.folder) for each in policies})
            for each in done:
                each.result()


def _replay_one(home: Path, folder: Path, policy: Policy, months: list[str]) -> None:
    hide_stages()
    make_twin(home, folder)
    enter_twin(folder, policy.overrides)
    replay(months, policy.change)


def count_months(twin: Path) -> int:
    """How many months have been monitored in a twin."""
    return len(list((twin / "var" / "data" / "monitoring").glob("*/*.json")))
