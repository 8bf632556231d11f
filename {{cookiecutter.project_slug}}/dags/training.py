"""Train on all periods but the newest, measure on that one, release what passes every gate.

**ingest** brings the periods into storage → **validate** quarantines broken rows → **compare** ends the run if a
version was trained from exactly this data, code and settings → **plan** lists the model types to **tune**, a task each,
where that is asked for → **train** fits a candidate → **evaluate** measures and judges it → **approve** asks a person,
if `[gates] approval` says so → **deploy** fits on all periods and makes it the `champion`, or begins its rollout.
A refused model fails the run and leaves the champion. Each run is one MLflow run of the same name, whatever is retried.
"""

from functools import partial
from pathlib import Path
from typing import Any

from airflow.sdk import PartitionedAssetTimetable, dag, task
from airflow.sdk.exceptions import AirflowSkipException
from modelworks import load_project, load_settings
from modelworks.airflow.approval import ReleaseApproval
from modelworks.airflow.assets import emit, project_assets
from modelworks.airflow.defaults import dag_defaults, export_connection, started_by, training_params, tuning_options
from modelworks.airflow.notifications import deployed
from modelworks.airflow.rollout import make_rollout_dag

HOME = Path(__file__).absolute().parents[1]
settings = load_settings(HOME)
assets = project_assets(settings)


@dag(
    schedule=PartitionedAssetTimetable(assets=assets.retrain),
    params=training_params(settings),
    **dag_defaults(settings, "training", __doc__),
)
def training() -> None:
    """From periods to a released model."""

    @task
    def ingest(*, run_id: str, params: dict[str, Any], dag_run: Any) -> dict[str, Any]:
        from modelworks import stages

        project, settings = load_project(HOME), load_settings(HOME)
        period, reason = params["period"] or dag_run.partition_key, params["reason"] or ""
        if dag_run.run_type == "asset_triggered":
            if not (request := stages.claim_retraining(project, settings, period, run_id)):
                raise AirflowSkipException(f"{period}: no new model is requested, or another run trains it")
            period, reason = request.period, request.reason
        export_connection(settings)
        return stages.ingest(project, settings, period, refresh=params["refresh"]).to_json() | {"reason": reason}

    @task
    def validate(raw: dict[str, Any], *, run_id: str, dag_run: Any) -> dict[str, Any]:
        from modelworks import stages

        by, uri, reason = started_by(dag_run), raw["dataset_uri"], raw["reason"]
        return stages.validate(load_project(HOME), load_settings(HOME), uri, run_id, by=by, reason=reason).to_json()

    @task
    def compare(clean: dict[str, Any], *, run_id: str, params: dict[str, Any]) -> dict[str, Any]:
        from modelworks import stages

        project, settings, uri = load_project(HOME), load_settings(HOME), clean["dataset_uri"]
        facts = stages.compare(project, settings, uri, run_id, params["trials"], force=params["force"])
        if facts.unchanged:
            raise AirflowSkipException(facts.summary)
        return facts.to_json()

    @task
    def plan(compared: dict[str, Any], *, params: dict[str, Any]) -> list[str]:
        from modelworks.models.model_type import model_types_to_tune

        return model_types_to_tune(load_project(HOME), load_settings(HOME), params["trials"])

    @task(**tuning_options(settings))
    def tune(compared: dict[str, Any], model_type: str, *, run_id: str, params: dict[str, Any]) -> dict[str, Any]:
        from modelworks import stages

        project, uri = load_project(HOME), compared["dataset_uri"]
        return stages.tune(project, load_settings(HOME), uri, run_id, model_type, params["trials"]).to_json()

    # `tune` is skipped where nothing is tuned; where `ingest` or `compare` ends the run, all that follows is.
    @task(trigger_rule="none_failed_min_one_success")
    def train(compared: dict[str, Any], *, run_id: str) -> dict[str, Any]:
        from modelworks import stages

        return stages.train(load_project(HOME), load_settings(HOME), compared["dataset_uri"], run_id).to_json()

    @task
    def evaluate(trained: dict[str, Any]) -> dict[str, Any]:
        from modelworks import stages

        return stages.evaluate(load_project(HOME), load_settings(HOME), trained["run_id"]).to_json()

    @task(outlets=[assets.model], on_success_callback=partial(deployed, HOME))
    def deploy(approved: dict[str, Any], *, dag_run: Any, outlet_events: Any) -> dict[str, Any]:
        from modelworks import stages

        project, by = load_project(HOME), started_by(dag_run)
        facts = stages.deploy(project, load_settings(HOME), approved["run_id"], by=by)
        return emit(outlet_events, assets.model, facts)

    compared = compare(validate(ingest()))
    trained = train(compared)
    tune.partial(compared=compared).expand(model_type=plan(compared)) >> trained
    approve = ReleaseApproval(task_id="approve", settings=settings, evaluated=evaluate(trained))
    deploy(approve.output)


training()
make_rollout_dag(HOME, settings)
