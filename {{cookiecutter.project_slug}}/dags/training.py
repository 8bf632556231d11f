"""From a new month to a released model: when and in what order; the work is in `stages`."""

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import CronPartitionTimetable, Param, dag, task

from {{ cookiecutter.__package_name }}.config import PACKAGE, load_settings

from approval import ReleaseApproval
from notifications import deployed, run_failed
from shared import CLEAN, DEFAULT_ARGS, MODEL, PROJECT, RAW, emit, month_param

DOC = """
Trains on all months of the window but the newest, measures the model on that one, and releases it if it passes
every gate of `pipeline.toml`.

**ingest** brings the months into storage → **validate** sets broken rows aside → **train** fits a candidate →
**evaluate** measures and judges it → **approve** asks a person, if the settings say so → **deploy** fits on all
months and moves the `champion`.

A refused model fails the run and leaves the champion as it was. Each run is one MLflow run of the same name;
a cleared or retried task goes on in it.
"""

PARAMS: dict[str, Any] = {
    "month": month_param(
        "Newest month", "the month that is held out. Empty: the run's partition, else the last month there is."
    ),
    "refresh": Param(
        False,
        type="boolean",
        title="Refresh",
        description="Take a source file that has changed as a new version of its month.",
    ),
    "reason": Param(
        None,
        type=["null", "string"],
        title="Reason",
        description="Why this run is started; goes into MLflow and, with a release, into the ledger.",
    ),
}

settings = load_settings()
schedule = settings.schedule
last_month = settings.source.last_month


@dag(
    dag_id=f"{PACKAGE}_training",
    # The run of February has the partition key of January, the month that is then complete.
    schedule=CronPartitionTimetable(schedule.cron, timezone=schedule.timezone, run_offset=-1, key_format="%Y-%m"),
    start_date=datetime.fromisoformat(f"{settings.source.first_month}-01T00:00:00+00:00"),
    # A source that ends is not asked for months after its end.
    end_date=datetime.fromisoformat(f"{last_month}-01T00:00:00+00:00") + timedelta(days=58) if last_month else None,
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    description="Train on all months but the newest, measure on that one, release what passes every gate.",
    doc_md=DOC,
    tags=[PROJECT, "training"],
    default_args=DEFAULT_ARGS,
    on_failure_callback=run_failed,
)
def training() -> None:
    """A task a stage; see `DOC`."""

    @task(outlets=[RAW])
    def ingest(*, params: dict[str, Any], dag_run: Any, outlet_events: Any) -> dict[str, Any]:
        from {{ cookiecutter.__package_name }} import stages

        facts = stages.ingest(params["month"] or dag_run.partition_key, refresh=params["refresh"])
        emit(outlet_events, RAW, facts)
        return facts

    @task(outlets=[CLEAN])
    def validate(
        raw: dict[str, Any], *, run_id: str, params: dict[str, Any], dag_run: Any, outlet_events: Any
    ) -> dict[str, Any]:
        from {{ cookiecutter.__package_name }} import stages

        facts = stages.validate(raw["dataset_uri"], run_id, by=started_by(dag_run), reason=params["reason"] or "")
        emit(outlet_events, CLEAN, facts)
        return facts

    @task
    def train(clean: dict[str, Any], *, run_id: str) -> dict[str, Any]:
        from {{ cookiecutter.__package_name }} import stages

        return stages.train(clean["dataset_uri"], run_id)

    @task
    def evaluate(trained: dict[str, Any]) -> dict[str, Any]:
        from {{ cookiecutter.__package_name }} import stages

        return stages.evaluate(trained["run_id"])

    @task(outlets=[MODEL], on_success_callback=deployed)
    def deploy(approved: dict[str, Any], *, params: dict[str, Any], dag_run: Any, outlet_events: Any) -> dict[str, Any]:
        from {{ cookiecutter.__package_name }} import stages

        facts = stages.deploy(approved["run_id"], by=started_by(dag_run), reason=params["reason"] or "")
        emit(outlet_events, MODEL, facts)
        return facts

    approve = ReleaseApproval(
        task_id="approve",
        evaluated=evaluate(train(validate(ingest()))),
        response_timeout=timedelta(hours=settings.gates.approval_timeout_hours),
    )
    deploy(approve.output)


def started_by(dag_run: Any) -> str | None:
    """The person or the mechanism behind a run; None, in a local test run, for the user of this computer."""
    if dag_run.triggering_user_name == "dag_test":
        return None
    return dag_run.triggering_user_name or f"airflow ({dag_run.run_type})"


training()
