"""Run the training DAG once, in this process, on real Airflow, and show it as a person likes to read it.

Airflow's own output goes to a log file, whose path is shown when something fails.
"""

import argparse
import gc
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]


def configure_airflow() -> None:
    """Point Airflow at this project; has to come before its first import."""
    # Its own database, whatever the shell says: an in-process run must not share one with a live scheduler.
    home = PROJECT / "var" / "airflow-run"
    os.environ["AIRFLOW_HOME"] = str(home)
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{home / 'airflow.db'}"
    os.environ["AIRFLOW_CONFIG"] = str(PROJECT / "airflow.cfg")
    os.environ["PROJECT_HOME"] = str(PROJECT)
    home.mkdir(parents=True, exist_ok=True)


def redirect_output(log_file: Path) -> None:
    """Send what this process and Airflow write to the log file, from the file descriptors up."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def run_training(params: dict[str, object]) -> Any:
    """Migrate Airflow's database if that is due, then run the DAG to its end."""
    # Before Airflow: an import of skops among them searches every loaded module.
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils import db

    import {{ cookiecutter.__package_name }}.stages  # noqa: F401
    from {{ cookiecutter.__package_name }}.config import PACKAGE

    try:
        db.check_migrations(timeout=0)
    except TimeoutError:
        db.initdb()
    sys.path.append(str(PROJECT / "dags"))  # as Airflow's own processes do, so that DAGs can share a module
    bag = DagBag(PROJECT / "dags" / "training.py")
    if bag.import_errors:
        raise RuntimeError(next(iter(bag.import_errors.values())).strip().splitlines()[-1])
    training = bag.dags[f"{PACKAGE}_training"]
    return training.test(
        logical_date=None, run_conf={name: value for name, value in params.items() if value not in {None, ""}}
    )


def main() -> int:
    """Run, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--month", help="newest month, which is held out, as YYYY-MM")
    parser.add_argument("--refresh", action="store_true", help="take a changed source as a new version")
    parser.add_argument("--trials", type=int, help="models to try of each family; 0: no search")
    parser.add_argument("--reason", help="why; goes into the ledger")
    answer = parser.add_mutually_exclusive_group()
    answer.add_argument("--approve", action="store_true", help="agree beforehand, where a person has to")
    answer.add_argument("--reject", action="store_true", help="the contrary: see all but the release")
    parser.add_argument("--verbose", action="store_true", help="show Airflow's logs here")
    arguments = parser.parse_args()
    configure_airflow()

    from {{ cookiecutter.__package_name }} import families
    from {{ cookiecutter.__package_name }}.config import load_settings
    from {{ cookiecutter.__package_name }}.console import (
        ANSWER_VARIABLE,
        new_console,
        print_run,
        show_stages,
    )
    from {{ cookiecutter.__package_name }}.errors import ConfigError

    if arguments.approve or arguments.reject:
        os.environ[ANSWER_VARIABLE] = "approve" if arguments.approve else "reject"
    console = new_console(os.dup(1))
    log_file = PROJECT / "var" / "logs" / f"run-{time.strftime('%Y%m%d-%H%M%S')}.log"
    try:
        settings = load_settings()
        families.to_search(settings, arguments.trials)  # a wrong name is told here, as no stage looks for it
    except ConfigError as error:
        console.print(f"error: {error}", markup=False, soft_wrap=True)
        return 1
    where = ""
    if not arguments.verbose:
        redirect_output(log_file)
        where = f"; Airflow's log: {log_file}"
    show_stages(console)
    console.print("Starting Airflow ...", style="dim")
    try:
        names = ("month", "refresh", "trials", "reason")
        run = run_training({name: getattr(arguments, name) for name in names})
    except Exception as error:
        traceback.print_exc()
        console.print(
            f"error: {str(error).partition(chr(10))[0] or type(error).__name__}", markup=False, soft_wrap=True
        )
        console.print(f"Airflow could not run the DAG{where}", soft_wrap=True)
        return 1
    from {{ cookiecutter.__package_name }}.status import find_run

    states = {task.task_id: task.state for task in run.get_task_instances()}
    judged = states["evaluate"] in {"success", "failed"}
    if judged and (summary := find_run(settings, run.run_id)):
        print_run(console, summary)
    if run.state == "success":
        console.print("\n  make status    the champion and its releases")
        console.print("  make up        Airflow, MLflow and the prediction API, in the background")
        return 0
    console.print(f"\nThe run failed{where}", soft_wrap=True)
    return 1


if __name__ == "__main__":
    # Airflow's start makes a great many objects that stay; searching them for garbage, also at exit, costs seconds.
    gc.disable()
    status = main()
    gc.freeze()
    sys.exit(status)
