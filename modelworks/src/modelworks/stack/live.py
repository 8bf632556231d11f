"""A run of the training DAG on the Airflow of `make up`, followed as `make run` shows it; answers and rollbacks."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Console

from modelworks import stages
from modelworks.errors import PartitionError, ReleaseError, StackError
from modelworks.progress import STAGES_LOGGER
from modelworks.project import Project
from modelworks.registry.runs import PIPELINE_RUN
from modelworks.registry.tracker import Tracker
from modelworks.reporting.console import print_ended, print_started, print_waiting
from modelworks.settings import Settings
from modelworks.stack.airflow_api import FINISHED, AirflowApi
from modelworks.stages.facts import RolledBack, RolloutFacts

POLL_S = 0.5
PATIENCE_S = 60
APPROVAL, WAITS = "approve", "awaiting_input"
NOTHING_WAITS = "no run waits for an answer on Airflow (`make up` starts it); name one that was run by hand with --run"
STARTED = {"running", WAITS, "success", "failed", "up_for_retry"}


def trigger(api: AirflowApi, console: Console, conf: dict[str, Any]) -> tuple[str, str]:
    """Start the training DAG and follow it to its end; returns the run's id and final state."""
    dag_id = api.dag_id("training")
    run_id = api.trigger(dag_id, {name: value for name, value in conf.items() if value not in {None, ""}})
    console.print(f"[bold]Airflow[/]    {api.run_url(dag_id, run_id)}", soft_wrap=True)
    return run_id, follow(api, console, run_id)


def answer(project: Project, settings: Settings, approved: bool, run: str | None, reason: str) -> str:
    """Answer a question whether to release: Airflow's, or, where none waits there, that of a run by hand.

    Parameters
    ----------
    run : id of the run, Airflow's or MLflow's; None for the only one that waits

    Returns
    -------
    The answer and what comes next, for a person.

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
    tracker = Tracker(project, settings)
    run_id = tracker.runs.find(run) or run
    name = tracker.runs.tags(run_id)[PIPELINE_RUN]
    if approval := waiting.get(name):
        AirflowApi(settings).respond(approval, "Approve" if approved else "Reject", {"reason": reason})
        return f"{'approved' if approved else 'rejected'}: {name}; Airflow continues it"
    answered = stages.record_answer(project, settings, run_id, approved, reason=reason)
    return f"{answered}; to release it: deploy --run {run_id}" if approved else answered


def rollback(project: Project, settings: Settings, version: str | None, reason: str) -> tuple[RolledBack, str]:
    """Roll back to an earlier release, and let Airflow, where it is up, score the newest period with it.

    Returns
    -------
    The facts of the stage, and whether the period is scored, for a person.
    """
    facts = stages.rollback(project, settings, version, reason=reason)
    return facts, score_newest(settings, facts)


def score_newest(settings: Settings, facts: RolledBack | RolloutFacts) -> str:
    """Let Airflow, where it is up, score the newest period with the new champion; says whether it does."""
    try:
        period = stages.newest_clean(settings).period
        AirflowApi(settings).emit(f"{settings.prefix}_model", period, facts.to_json())
    except PartitionError as error:
        return f"nothing was scored with it: {error}"
    except StackError:  # which changes nothing about the champion
        return "nothing was scored with it, since Airflow is not up; `make score` scores the newest period"
    return f"Airflow scores {period} with it"


def _waiting(settings: Settings) -> dict[str, dict[str, Any]]:
    """The questions that wait in Airflow, by the name of their run; none where Airflow is down."""
    try:
        pending = AirflowApi(settings).pending_approvals()
    except StackError:
        return {}
    return {each["task_instance"]["dag_run_id"]: each for each in pending}


@dataclass(frozen=True)
class Change:
    """A state that an attempt of a task has reached, which is shown once."""

    task_id: str
    map_index: int
    attempt: int
    state: str
    task: dict[str, Any] = field(compare=False)  # as Airflow describes it


def follow(api: AirflowApi, console: Console, run_id: str) -> str:
    """Show each stage when it starts and ends, until the run has ended; returns its state."""
    shown: frozenset[Change] = frozenset()
    answered = time.monotonic()
    while True:
        try:
            # Before the tasks: what they show after the run's end is complete.
            state = api.run_state(api.dag_id("training"), run_id)
            tasks = api.task_instances(api.dag_id("training"), run_id)
            for change in changes_of(tasks, shown):
                _show(api, console, change)
                shown |= {change}
        except StackError:
            # An API server that died is started again within this time.
            if time.monotonic() - answered > PATIENCE_S:
                raise
        else:
            answered = time.monotonic()
            if state in FINISHED:
                return state
        time.sleep(POLL_S)


def changes_of(tasks: list[dict[str, Any]], shown: frozenset[Change]) -> Iterator[Change]:
    """The states that tasks have reached and that were not shown yet, in the order in which the tasks started."""
    started = [task for task in tasks if task["state"] in STARTED and task["start_date"]]
    for task in sorted(started, key=lambda each: each["start_date"]):
        for change in _reached(task, shown):
            if change not in shown:
                yield change


def _reached(task: dict[str, Any], shown: frozenset[Change]) -> list[Change]:
    name, state = task["task_id"], task["state"]
    has_waited = any((each.task_id, each.state) == (APPROVAL, WAITS) for each in shown)
    if name == APPROVAL and state in {"running", "success"} and not has_waited:
        return []  # nobody is asked, or not yet
    states = dict.fromkeys(("running", state))
    return [Change(name, task["map_index"], task["try_number"], each, task) for each in states]


def _show(api: AirflowApi, console: Console, change: Change) -> None:
    """Print that a task has started, waits for a person, or has ended."""
    name, task = change.task_id, change.task
    if change.state == "running":
        print_started(console, name, _clock(task["start_date"]))
    elif change.state == WAITS:
        print_waiting(console, name, api.answer_url(task))
    elif change.state == "success":
        facts = api.result(task["dag_id"], task["dag_run_id"], name, task["map_index"])
        summary = facts.get("summary", "") if isinstance(facts, dict) else ""
        print_ended(console, name, "done", _clock(task["end_date"]), task["duration"], summary)
    else:
        retried = "; it is retried" if change.state == "up_for_retry" else ""
        seconds = task["duration"] or 0.0
        print_ended(console, name, "failed", _clock(task["end_date"]), seconds, _reason(api, task) + retried)


def _reason(api: AirflowApi, task: dict[str, Any]) -> str:
    """Why a task failed: the stage's error, else the last error of its log."""
    log = api.task_log(task["dag_id"], task["dag_run_id"], task["task_id"], task["try_number"], task["map_index"])
    for record in log:
        if record.get("logger") == STAGES_LOGGER and record.get("level") == "error":
            return str(record["event"]).removeprefix(f"{task['task_id']}: failed: ")
    errors = [record for record in log if record.get("level") in {"error", "critical"}]
    for record in reversed(errors):
        if details := record.get("error_detail"):
            return f"{details[0]['exc_type']}: {details[0]['exc_value']}"
    return str(errors[-1]["event"]) if errors else "the task's process ended and left no error"


def _clock(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
