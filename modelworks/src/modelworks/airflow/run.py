"""Run the training DAG once, in this process, on real Airflow.

Airflow's own output goes to a log file, whose path is part of the outcome.
"""

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelworks.progress import STAGES_LOGGER
from modelworks.settings import HOME_VARIABLE, Settings
from modelworks.stack.environment import find_ignored_variables

AIRFLOW_CONFIG = Path(__file__).parents[1] / "stack" / "airflow.cfg"


@dataclass(frozen=True)
class DagOutcome:
    """How a run of the training DAG ended.

    Attributes
    ----------
    run_name : Airflow's id of the run; "" if Airflow could not run the DAG
    is_evaluated : whether there is a verdict
    error : why Airflow could not run the DAG
    log_file : of Airflow; None if its log was shown
    """

    run_name: str
    succeeded: bool
    is_evaluated: bool
    error: str = ""
    log_file: Path | None = None


def configure_airflow(home: Path) -> None:
    """Point Airflow at a project; has to come before its first import."""
    # Its own database, whatever the shell says: an in-process run must not share one with a live scheduler.
    folder = home / "var" / "airflow-run"
    os.environ["AIRFLOW_HOME"] = str(folder)
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{folder / 'airflow.db'}"
    os.environ["AIRFLOW_CONFIG"] = str(AIRFLOW_CONFIG)
    for name in find_ignored_variables():
        del os.environ[name]
    os.environ[HOME_VARIABLE] = str(home)
    folder.mkdir(parents=True, exist_ok=True)


def run_once(settings: Settings, params: dict[str, object], *, verbose: bool = False) -> DagOutcome:
    """Run the training DAG; meanwhile all output of this process goes to Airflow's log file, unless `verbose`.

    Parameters
    ----------
    params : of the trigger form, by name
    """
    configure_airflow(settings.home)
    log_file = None if verbose else settings.home / "var" / "logs" / f"run-{time.strftime('%Y%m%d-%H%M%S')}.log"
    with output_to(log_file) if log_file else nullcontext():
        _leave_logging_to_airflow()
        try:
            with raising_interrupts():
                run = run_training(settings, params)
        except Exception as error:
            with suppress(OSError):  # the log's disk is full
                traceback.print_exc()
            return DagOutcome("", False, False, str(error).partition("\n")[0] or type(error).__name__, log_file)
        states = {task.task_id: task.state for task in run.get_task_instances()}
    is_evaluated = states["evaluate"] in {"success", "failed"}
    return DagOutcome(run.run_id, run.state == "success", is_evaluated, log_file=log_file)


@contextmanager
def raising_interrupts() -> Iterator[None]:
    """A context that Ctrl-C ends: Airflow takes what it raises for the failure of a task, and ends the run as failed.

    Raises
    ------
    KeyboardInterrupt
    """
    interrupts: list[int] = []

    def interrupt(signal_number: int, _: object) -> None:
        interrupts.append(signal_number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if interrupts:
            raise KeyboardInterrupt


@contextmanager
def output_to(log_file: Path) -> Iterator[None]:
    """A context in which what this process and Airflow write goes to a file, from the file descriptors up."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, before = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), [os.dup(1), os.dup(2)]
    _redirect(descriptor, descriptor)
    try:
        yield
    finally:
        _redirect(*before)
        for each in (descriptor, *before):
            os.close(each)


def _redirect(to_output: int, to_errors: int) -> None:
    for stream, descriptor, target in ((sys.stdout, 1, to_output), (sys.stderr, 2, to_errors)):
        try:
            stream.flush()
        except OSError:  # the log's disk is full: what found no room there is not for where the output goes next
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), descriptor)
            stream.flush()
        os.dup2(target, descriptor)


def _leave_logging_to_airflow() -> None:
    """Take back what the command line has set, so that the log of a task has the lines of its stage."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(STAGES_LOGGER).propagate = True


def run_training(settings: Settings, params: dict[str, object]) -> Any:
    """Migrate Airflow's database if that is due, then run the DAG to its end; returns Airflow's run."""
    # Before Airflow: an import of skops among them searches every loaded module.
    import modelworks.stages  # noqa: F401 isort: skip

    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils import db

    try:
        db.check_migrations(timeout=0)  # type: ignore[no-untyped-call]
    except TimeoutError:
        db.initdb()
    bag = DagBag(settings.home / "dags" / "training.py")
    if bag.import_errors:
        raise RuntimeError(next(iter(bag.import_errors.values())).strip().splitlines()[-1])
    conf = {name: value for name, value in params.items() if value not in {None, ""}}
    return bag.dags[f"{settings.prefix}_training"].test(logical_date=None, run_conf=conf)
