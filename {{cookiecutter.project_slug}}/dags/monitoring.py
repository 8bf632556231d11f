"""From a new clean month to the decision whether a new model is wanted: when; the work is in `stages`."""

from contextlib import suppress
from typing import Any

from airflow.sdk import BaseOperatorLink, PartitionedAssetTimetable, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from {{ cookiecutter.__package_name }}.config import PACKAGE

from notifications import retrained, run_failed
from shared import CLEAN, DEFAULT_ARGS, PROJECT, RETRAIN, ChampionSettled, emit, month_param, started_by

DOC = """
Compares a new month with what the champion has learned from, and the predictions that were served with the labels that
have arrived since. The report is in MLflow.

**settle** waits until the model that the month before has asked for is trained → **monitor** makes sure that the month
has predictions, and measures drift, decay and the health of the data → **retrain** asks for a new model, if the policy
under `[retraining]` says so; else it is skipped.

A month is monitored once for each state of its data and labels, and one cause has one retraining, however often this
runs.
"""


class ReportLink(BaseOperatorLink):
    """A button on the page of a task that leads to its report; none where MLflow is a file, which has no pages."""

    name = "Report in MLflow"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Asked for at the end of the task, in its own process; Airflow keeps the answer."""
        found = ti_key.xcom_pull(task_ids=operator.task_id)
        return found["report"] if found and found["report"].startswith("http") else ""


@dag(
    dag_id=f"{PACKAGE}_monitoring",
    schedule=PartitionedAssetTimetable(assets=CLEAN),
    max_active_runs=1,
    params={"month": month_param("Month", "the clean month to look at. Empty: the newest.")},
    description="Look for drift and decay in the new month, and ask for a new model where one is wanted.",
    doc_md=DOC,
    tags=[PROJECT, "monitoring"],
    default_args=DEFAULT_ARGS,
    on_failure_callback=run_failed,
)
def monitoring() -> None:
    """A task a step; see `DOC`."""

    @task
    def monitor(*, run_id: str, params: dict[str, Any], dag_run: Any) -> dict[str, Any]:
        from {{ cookiecutter.__package_name }} import stages
        from {{ cookiecutter.__package_name }}.errors import NoChampionError

        month = params["month"] or dag_run.partition_key
        with suppress(NoChampionError):
            stages.score(month)  # found, if the DAG that scores was first
        return stages.monitor(run_id, month, by=started_by(dag_run))

    @task(outlets=[RETRAIN], on_success_callback=retrained)
    def retrain(found: dict[str, Any], *, outlet_events: Any) -> dict[str, Any]:
        if not found["retrain"]:
            raise AirflowSkipException(found["result"])
        emit(outlet_events, RETRAIN, found)
        return found

    found = monitor()
    found.operator.operator_extra_links = [ReportLink()]
    ChampionSettled(task_id="settle") >> found
    retrain(found)


monitoring()
