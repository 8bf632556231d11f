"""A run of the training DAG on the Airflow that `make up` runs, followed as `make run` shows it."""

import time
from datetime import datetime
from typing import Any

from rich.console import Console

from .. import stages
from ..config import PACKAGE, Settings
from ..console import print_ended, print_started, print_waiting
from ..errors import PartitionError, ReleaseError, StackError
from ..tracking import PIPELINE_RUN, Tracker
from .airflow_api import FINISHED, TRAINING_DAG, AirflowApi

POLL_S = 0.5
PATIENCE_S = 60
STAGES_LOGGER = f"{PACKAGE}.stages"
APPROVAL = "approve"
NOTHING_WAITS = "no run waits for an answer on Airflow (`make up` starts it); name one that was run by hand with --run"
Shown = set[tuple[tuple[str, int], int, str]]
"""Task and number among those of its name, attempt, and state, each of which is told once."""
BEGUN = {"running", "awaiting_input", "success", "failed", "up_for_retry"}


def trigger(api: AirflowApi, console: Console, conf: dict[str, Any]) -> tuple[str, str]:
    """Start the training DAG and follow it to its end; returns the run's id and how it ended."""
    run_id = api.trigger(TRAINING_DAG, {name: value for name, value in conf.items() if value not in {None, ""}})
    console.print(f"[bold]Airflow[/]    {api.run_url(TRAINING_DAG, run_id)}", soft_wrap=True)
    return run_id, follow(api, console, run_id)


def answer(settings: Settings, approved: bool, run: str | None, reason: str) -> str:
    """Answer a question whether to release: Airflow's, or, where none waits there, that of a run by hand.

    Parameters
    ----------
    run : id of the run, Airflow's or MLflow's; None for the only one that waits

    Returns
    -------
    What was answered and what comes next, for a person.

    Raises
    ------
    PipelineError
        If none or several wait, or the run is not one of them.
    """
    waiting = _waiting(settings)
    if run is None and len(waiting) != 1:
        listed = "".join(f"\n  --run {name}    {each['subject']}" for name, each in waiting.items())
        raise ReleaseError(f"several runs wait for an answer: name one{listed}" if waiting else NOTHING_WAITS)
    run = run or next(iter(waiting))
    tracker = Tracker(settings)
    run_id = tracker.find_run(run) or run
    name = tracker.tags(run_id)[PIPELINE_RUN]
    if approval := waiting.get(name):
        AirflowApi(settings).respond(approval, "Approve" if approved else "Reject", {"reason": reason})
        return f"{'approved' if approved else 'rejected'}: {name}; Airflow goes on with it"
    answered = stages.record_answer(run_id, approved, reason=reason)
    return f"{answered}; to release it: deploy --run {run_id}" if approved else answered


def rollback(settings: Settings, version: str | None, reason: str) -> str:
    """Go back to a former release, and let Airflow, where it is up, score the newest month with it."""
    facts = stages.rollback(version, reason=reason)
    try:
        month = stages.newest_clean(settings).month
        AirflowApi(settings).emit(f"{PACKAGE}_model", month, facts)
    except (PartitionError, StackError) as error:  # which changes nothing about what has been done
        return f"{facts['result']}\nno month has been scored with it yet: {error}"
    return f"{facts['result']}\nAirflow scores {month} with it"


def _waiting(settings: Settings) -> dict[str, dict[str, Any]]:
    """What waits in Airflow, by the name of its run; nothing does where Airflow is down."""
    try:
        pending = AirflowApi(settings).pending_approvals()
    except StackError:
        return {}
    return {each["task_instance"]["dag_run_id"]: each for each in pending}


def follow(api: AirflowApi, console: Console, run_id: str) -> str:
    """Show each stage when it starts and ends, until the run has ended; returns its state."""
    shown: Shown = set()
    answered = time.monotonic()
    while True:
        try:
            state = _look(api, console, run_id, shown)
        except StackError:
            # An API server that died is started again within this time.
            if time.monotonic() - answered > PATIENCE_S:
                raise
        else:
            answered = time.monotonic()
            if state in FINISHED:
                return state
        time.sleep(POLL_S)


def _look(api: AirflowApi, console: Console, run_id: str, shown: Shown) -> str:
    # Asked for first: what the tasks say after that is all there is to say.
    state = api.run_state(TRAINING_DAG, run_id)
    tasks = api.task_instances(TRAINING_DAG, run_id)
    for task in sorted(tasks, key=lambda each: each["start_date"] or "~"):
        if task["state"] in BEGUN and task["start_date"]:
            _show(api, console, task, shown)
    return state


def _show(api: AirflowApi, console: Console, task: dict[str, Any], shown: Shown) -> None:
    """Print what is new about one task: that it has started, waits for a person, or has ended."""
    name, attempt, state = task["task_id"], task["try_number"], task["state"]
    one = (name, task["map_index"])
    waited = any((each[0], what) == (APPROVAL, "awaiting_input") for each, _, what in shown)
    if name == APPROVAL and state in {"running", "success"} and not waited:
        return  # nobody is asked, or not yet
    is_new = [(one, attempt, each) not in shown for each in ("running", state)]
    shown |= {(one, attempt, "running"), (one, attempt, state)}
    if is_new[0]:
        print_started(console, name, _clock(task["start_date"]))
    if not is_new[1]:
        return
    if state == "awaiting_input":
        print_waiting(console, name, api.answer_url(task))
    elif state == "success":
        facts = api.result(task["dag_id"], task["dag_run_id"], name, task["map_index"])
        result = facts.get("result", "") if isinstance(facts, dict) else ""
        print_ended(console, name, "done", _clock(task["end_date"]), task["duration"], result)
    elif state in {"failed", "up_for_retry"}:
        again = "; will be tried again" if state == "up_for_retry" else ""
        reason = _reason(api, task) + again
        print_ended(console, name, "failed", _clock(task["end_date"]), task["duration"] or 0.0, reason)


def _reason(api: AirflowApi, task: dict[str, Any]) -> str:
    """Why a task failed: what the stage said, else the last error of its log."""
    log = api.task_log(task["dag_id"], task["dag_run_id"], task["task_id"], task["try_number"], task["map_index"])
    for record in log:
        if record.get("logger") == STAGES_LOGGER and record.get("level") == "error":
            return str(record["event"]).removeprefix(f"{task['task_id']}: failed: ")
    errors = [record for record in log if record.get("level") in {"error", "critical"}]
    for record in reversed(errors):
        if details := record.get("error_detail"):
            return f"{details[0]['exc_type']}: {details[0]['exc_value']}"
    return str(errors[-1]["event"]) if errors else "the task's process ended without a word"


def _clock(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
