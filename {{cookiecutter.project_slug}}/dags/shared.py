"""What the DAGs share: the assets that connect them, how their tasks are retried, and who is told when they fail."""

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, ExceptionRetryPolicy, Param, RetryAction, RetryRule

from {{ cookiecutter.__package_name }}.config import PACKAGE, load_settings
from {{ cookiecutter.__package_name }}.errors import PipelineError

from notifications import task_failed

PROJECT = "{{ cookiecutter.project_slug }}"
RAW = Asset(name=f"{PACKAGE}_raw", uri=f"x-{PROJECT}://raw")
CLEAN = Asset(name=f"{PACKAGE}_clean", uri=f"x-{PROJECT}://clean")
MODEL = Asset(name=f"{PACKAGE}_model", uri=f"x-{PROJECT}://model")
SCORES = Asset(name=f"{PACKAGE}_scores", uri=f"x-{PROJECT}://scores")

# What a person has to resolve is not tried again; anything else, such as a dropped connection, may pass.
RETRIES = ExceptionRetryPolicy([RetryRule(PipelineError, RetryAction.FAIL, reason="trying again changes nothing")])

DEFAULT_ARGS: dict[str, Any] = {
    "owner": PROJECT,
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": RETRIES,
    "execution_timeout": timedelta(minutes=load_settings().schedule.task_timeout_minutes),
    "on_failure_callback": task_failed,
}


def month_param(title: str, description: str) -> Param:
    """A month in a trigger form, which may stay empty."""
    return Param(
        None, type=["null", "string"], pattern=r"^\d{4}-\d{2}$", title=title, description=f"YYYY-MM; {description}"
    )


def emit(outlet_events: Any, asset: Asset, facts: dict[str, Any]) -> None:
    """Attach a stage's facts to the asset's event, and its month as the partition.

    Airflow starts a partitioned consumer by events with a partition only, and a plain one by events without; a run by
    the form has none of its own. With the month on every event, consumers start after all runs alike.
    """
    outlet_events[asset].extra = facts
    outlet_events[asset].add_partitions(facts["month"])
