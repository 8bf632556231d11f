"""Look for drift in the new period, and request a new model where one is wanted.

**retraining_done** waits for the model that an earlier period requested → **monitor** measures drift, calibration drift
and the health of the data; the report is in MLflow → **retrain** requests a new model, where `[retraining]` says so.
A period is monitored once for each state of its data and labels; one cause has one retraining.
"""

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from airflow.sdk import PartitionedAssetTimetable, dag, task
from airflow.sdk.exceptions import AirflowSkipException
from modelworks import load_project, load_settings
from modelworks.airflow.assets import emit, project_assets
from modelworks.airflow.defaults import dag_defaults, period_param, started_by
from modelworks.airflow.links import ReportLink
from modelworks.airflow.notifications import alarmed, retraining_requested
from modelworks.airflow.sensors import RetrainingDone
from modelworks.errors import NoChampionError

HOME = Path(__file__).absolute().parents[1]
settings = load_settings(HOME)
assets = project_assets(settings)


@dag(
    schedule=PartitionedAssetTimetable(assets=assets.clean),
    params={"period": period_param(settings, "the clean period to monitor. Empty: the newest.")},
    **dag_defaults(settings, "monitoring", __doc__),
)
def monitoring() -> None:
    """From a clean period to the decision whether to retrain."""

    @task(on_success_callback=partial(alarmed, HOME))
    def monitor(*, run_id: str, params: dict[str, Any], dag_run: Any) -> dict[str, Any]:
        from modelworks import stages

        project, settings = load_project(HOME), load_settings(HOME)
        period = params["period"] or dag_run.partition_key
        with suppress(NoChampionError):
            stages.score(project, settings, period)  # found, where the scoring DAG was first
        return stages.monitor(project, settings, run_id, period, by=started_by(dag_run)).to_json()

    @task(outlets=[assets.retrain], on_success_callback=partial(retraining_requested, HOME))
    def retrain(monitored: dict[str, Any], *, outlet_events: Any) -> dict[str, Any]:
        from modelworks.stages.facts import Monitored

        if not monitored["retrain"]:
            raise AirflowSkipException(monitored["summary"])
        return emit(outlet_events, assets.retrain, Monitored.from_json(monitored))

    monitored = monitor()
    monitored.operator.operator_extra_links = [ReportLink()]
    RetrainingDone(task_id="retraining_done", settings=settings) >> monitored
    retrain(monitored)


monitoring()
