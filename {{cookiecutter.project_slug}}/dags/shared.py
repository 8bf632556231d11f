"""What the DAGs share: the assets between them, how tasks are retried, who is told, and what they wait for."""

from datetime import date, timedelta
from typing import Any

from airflow.sdk import Asset, BaseSensorOperator, ExceptionRetryPolicy, Param, RetryAction, RetryRule

from {{ cookiecutter.__package_name }}.config import PACKAGE, load_settings
from {{ cookiecutter.__package_name }}.errors import PipelineError

from notifications import task_failed

settings = load_settings()
PROJECT = "{{ cookiecutter.project_slug }}"
RAW = Asset(name=f"{PACKAGE}_raw", uri=f"x-{PROJECT}://raw")
CLEAN = Asset(name=f"{PACKAGE}_clean", uri=f"x-{PROJECT}://clean")
MODEL = Asset(name=f"{PACKAGE}_model", uri=f"x-{PROJECT}://model")
RETRAIN = Asset(name=f"{PACKAGE}_retrain", uri=f"x-{PROJECT}://retrain")
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
    "execution_timeout": timedelta(minutes=settings.schedule.task_timeout_minutes),
    "on_failure_callback": task_failed,
}

REFRESH = Param(
    False,
    type="boolean",
    title="Refresh",
    description="Take a source file that has changed as a new version of its month.",
)


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


def started_by(dag_run: Any) -> str | None:
    """The person or the mechanism behind a run; None, in a local test run, for the user of this computer."""
    if dag_run.triggering_user_name == "dag_test":
        return None
    return dag_run.triggering_user_name or f"airflow ({dag_run.run_type.value})"


class ChampionSettled(BaseSensorOperator):
    """Waits for the model that an earlier month has asked for, so that each month meets the champion of its time.

    Months come one by one, and then this waits for nothing; in a backfill they come at once.

    Parameters
    ----------
    after_monitoring : wait as well while monitoring is on its way to the month before, which may ask for a model yet;
        monitoring itself takes month after month anyway
    """

    def __init__(self, *, after_monitoring: bool = False, **options: Any) -> None:
        super().__init__(
            mode="reschedule",
            poke_interval=3,
            # A training run that waits for a person may take that long.
            timeout=timedelta(hours=settings.gates.approval_timeout_hours) + DEFAULT_ARGS["execution_timeout"],
            **options,
        )
        self.after_monitoring = after_monitoring

    def poke(self, context: Any) -> bool:
        """Whether nothing is asked for or may be, and no training is under way."""
        # Not through `stages`, whose imports take seconds, as this is asked every few of them.
        from {{ cookiecutter.__package_name }}.journal import has_monitored, is_settled

        def is_active(name: str) -> bool:
            return bool(context["ti"].get_dr_count(dag_id=f"{PACKAGE}_{name}", states=["queued", "running"]))

        # In this order: what is asked for is on record before monitoring ends, and taken up before a training does.
        month = context["dag_run"].partition_key
        if self.after_monitoring and month and is_active("monitoring") and not has_monitored(settings, before(month)):
            return False
        return is_settled(settings) and not is_active("training")


def before(month: str) -> str:
    """The month before a month."""
    return f"{date.fromisoformat(f'{month}-01') - timedelta(days=1):%Y-%m}"
