"""What the DAGs of a project have in common: retries, schedule, forms, and helpers of their tasks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any

from airflow.sdk import Connection, ExceptionRetryPolicy, Param, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSkipException

from modelworks.airflow.cluster import check_cluster
from modelworks.airflow.notifications import run_failed, run_succeeded, task_failed
from modelworks.calendar import EXAMPLES, PATTERNS
from modelworks.data.spark_address import connection_name, connection_variable
from modelworks.errors import NoChampionError, NoRowsError, PipelineError
from modelworks.settings import Settings

# A dropped connection may pass; a `PipelineError` is for a person to resolve, and Ctrl-C was meant.
RETRIES = ExceptionRetryPolicy([
    RetryRule(PipelineError, RetryAction.FAIL, reason="a retry changes nothing"),
    RetryRule(KeyboardInterrupt, RetryAction.FAIL, reason="interrupted by a person"),
])


def dag_defaults(settings: Settings, name: str, doc: str | None) -> dict[str, Any]:
    """Arguments of every DAG: its id and page, one run at a time, retries, a time limit, notifications of failures.

    Parameters
    ----------
    name : follows the project's name in the id
    doc : Markdown; its first line is the description in the list of DAGs

    Raises
    ------
    ConfigError
        If tasks run on other machines, and a setting is good for this one only.
    """
    check_cluster(settings, tuning_timeout(settings))
    return {
        "dag_id": f"{settings.prefix}_{name}",
        "description": (doc or "").partition("\n")[0],
        "doc_md": doc,
        "tags": [settings.name, name],
        "max_active_runs": 1,
        "on_failure_callback": partial(run_failed, settings.home),
        "on_success_callback": partial(run_succeeded, settings.home),
        "default_args": {
            "owner": settings.name,
            "retries": 2,
            "retry_delay": timedelta(seconds=10),
            "retry_exponential_backoff": 2.0,
            "max_retry_delay": timedelta(minutes=10),
            "retry_policy": RETRIES,
            "execution_timeout": task_timeout(settings),
            "on_failure_callback": partial(task_failed, settings.home),
            **(spark_arguments(settings.compute.spark_url) if settings.compute.executor == "spark" else {}),
        },
    }


def task_timeout(settings: Settings) -> timedelta:
    """How long a task may take."""
    return timedelta(minutes=settings.schedule.task_timeout_minutes)


def tuning_timeout(settings: Settings) -> timedelta:
    """How long the task that tunes a model type may take, which has the most time of all."""
    return task_timeout(settings) + timedelta(seconds=settings.tuning.seconds)


def tuning_options(settings: Settings) -> dict[str, Any]:
    """Arguments of the task that tunes a model type: named by it in Airflow's pages, with time for all its trials."""
    return {"map_index_template": "{{ model_type }}", "execution_timeout": tuning_timeout(settings)}


def period_param(settings: Settings, description: str, title: str = "Period") -> Param:
    """A period in a trigger form; may stay empty."""
    frequency = settings.source.period
    text, pattern = f"A {frequency}, as {EXAMPLES[frequency]}; {description}", f"^({PATTERNS[frequency]})$"
    return Param(None, type=["null", "string"], pattern=pattern, title=title, description=text)


def ingestion_params(settings: Settings) -> dict[str, Param]:
    """The trigger form of the ingestion DAG."""
    text = "Ingest a source file that has changed as a new version of its period."
    return {
        "period": period_param(settings, "the newest to ingest. Empty: the run's partition."),
        "refresh": Param(False, type="boolean", title="Refresh", description=text),
    }


def training_params(settings: Settings) -> dict[str, Param]:
    """The trigger form of the training DAG."""
    trials = "Trials of each model type before training; 0: none. Empty: as [tuning] of pipeline.toml says."
    reason = "Why this run is started; logged in MLflow and, with a release, in the ledger."
    force = "Train and release even if a version was trained from exactly this data, code and settings."
    newest = "the period that is held out. Empty: the newest whose labels are known."
    return {
        **ingestion_params(settings),
        "period": period_param(settings, newest, title="Newest period"),
        "trials": Param(None, type=["null", "integer"], minimum=0, title="Trials", description=trials),
        "force": Param(False, type="boolean", title="Force", description=force),
        "reason": Param(None, type=["null", "string"], title="Reason", description=reason),
    }


def started_by(dag_run: Any) -> str | None:
    """The person or the mechanism that started a run; None in `make run`, for the user of this computer."""
    if dag_run.triggering_user_name == "dag_test":
        return None
    return dag_run.triggering_user_name or f"airflow ({dag_run.run_type.value})"


def export_connection(settings: Settings) -> None:
    """Put the source's connection, which Airflow may keep in its database or a secrets backend, into the environment.

    The stages know nothing of Airflow: they read it from the environment, as they do on the command line.
    """
    if settings.source.sql_connection:
        _export(settings.source.sql_connection, settings.source.connection_variable)


def spark_arguments(spark_url: str) -> dict[str, Any]:
    """Arguments of tasks that may work on Spark: the connection that `[compute] spark_url` names, put there first."""
    return {"pre_execute": partial(_export_spark_connection, spark_url)} if connection_name(spark_url) else {}


def _export_spark_connection(spark_url: str, _context: Any) -> None:
    _export(connection_name(spark_url), connection_variable(spark_url))


def _export(connection: str, variable: str) -> None:
    if variable not in os.environ:
        with suppress(AirflowNotFoundException):  # the stage names what is missing
            os.environ[variable] = Connection.get(connection).as_json()


@contextmanager
def skip_without_champion(dag_run: Any) -> Iterator[None]:
    """Skip the task of a run that an asset started, while there is no champion; a person's run fails."""
    try:
        yield
    except NoChampionError as error:
        if dag_run.run_type != "asset_triggered":
            raise
        raise AirflowSkipException(str(error)) from None


@contextmanager
def skip_without_rows(settings: Settings) -> Iterator[None]:
    """Skip the task of a period that the source has no rows for, where `[source] gaps` allows that."""
    try:
        yield
    except NoRowsError as error:
        if not settings.source.gaps:
            raise
        raise AirflowSkipException(str(error)) from None
