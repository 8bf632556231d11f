"""From a new month or a new champion to scores: when; the work is in `stages`."""

from typing import Any

from airflow.sdk import PartitionedAssetTimetable, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from {{ cookiecutter.__package_name }}.config import PACKAGE

from notifications import run_failed
from shared import CLEAN, DEFAULT_ARGS, MODEL, PROJECT, SCORES, ChampionSettled, emit, month_param

DOC = """
Scores a clean month with the champion: for each row its key, what is predicted (probabilities and a decision, or a
value) and the model's version, in the layer `scores` of the storage.

A new clean month is scored, and a new champion scores the newest. Scores of the same rows by the same model are made
once, whoever asks. While there is no champion, runs that an asset has started are skipped.
"""


@dag(
    dag_id=f"{PACKAGE}_scoring",
    # The partition of both assets is the month to score; see `stages.validate` and `stages.deploy`.
    schedule=PartitionedAssetTimetable(assets=CLEAN | MODEL),
    max_active_runs=1,
    params={"month": month_param("Month", "the clean month to score. Empty: the newest.")},
    description="Score the new month, or the newest with a new champion.",
    doc_md=DOC,
    tags=[PROJECT, "scoring"],
    default_args=DEFAULT_ARGS,
    on_failure_callback=run_failed,
)
def scoring() -> None:
    """Wait, and score; see `DOC`."""

    @task(outlets=[SCORES])
    def score(*, params: dict[str, Any], dag_run: Any, outlet_events: Any) -> dict[str, Any]:
        from {{ cookiecutter.__package_name }} import stages
        from {{ cookiecutter.__package_name }}.errors import NoChampionError

        try:
            facts = stages.score(params["month"] or dag_run.partition_key)
        except NoChampionError as error:
            if dag_run.run_type != "asset_triggered":
                raise
            raise AirflowSkipException(str(error)) from None
        emit(outlet_events, SCORES, facts)
        return facts

    ChampionSettled(task_id="settle", after_monitoring=True) >> score()


scoring()
