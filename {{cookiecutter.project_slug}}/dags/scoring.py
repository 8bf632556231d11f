"""Score the new period, or the newest with a new champion.

**retraining_done** waits for the model that an earlier period requested → **score** writes each row's key, prediction
and model version to the layer `scores` of the storage. The same rows are scored once by the same model.
"""

from pathlib import Path
from typing import Any

from airflow.sdk import PartitionedAssetTimetable, dag, task
from modelworks import load_project, load_settings
from modelworks.airflow.assets import emit, project_assets
from modelworks.airflow.defaults import dag_defaults, period_param, skip_without_champion
from modelworks.airflow.sensors import RetrainingDone

HOME = Path(__file__).absolute().parents[1]
settings = load_settings(HOME)
assets = project_assets(settings)


@dag(
    schedule=PartitionedAssetTimetable(assets=assets.clean | assets.model),
    params={"period": period_param(settings, "the clean period to score. Empty: the newest.")},
    **dag_defaults(settings, "scoring", __doc__),
)
def scoring() -> None:
    """From a clean period to its scores."""

    @task(outlets=[assets.scores])
    def score(*, params: dict[str, Any], dag_run: Any, outlet_events: Any) -> dict[str, Any]:
        from modelworks import stages

        with skip_without_champion(dag_run):
            project, period = load_project(HOME), params["period"] or dag_run.partition_key
            return emit(outlet_events, assets.scores, stages.score(project, load_settings(HOME), period))

    RetrainingDone(task_id="retraining_done", settings=settings, after_monitoring=True) >> score()


scoring()
