"""From months to a released model: when and in what order; the work is in `stages`."""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, PartitionedAssetTimetable, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from {{ cookiecutter.__package_name }}.config import PACKAGE, load_settings

from approval import ReleaseApproval
from notifications import deployed, run_failed
from shared import DEFAULT_ARGS, MODEL, PROJECT, REFRESH, RETRAIN, emit, hand_over_connection, month_param, started_by

DOC = """
Trains on all months of the window but the newest, measures the model on that one, and releases it if it passes
every gate of `pipeline.toml`.

**ingest** brings the months into storage → **validate** sets broken rows aside → **plan** names the families of
models to **search**, a task each, where that is asked for → **train** fits a candidate → **evaluate** measures and
judges it → **approve** asks a person, if the settings say so → **deploy** fits on all months and moves the `champion`.

A refused model fails the run and leaves the champion as it was. Each run is one MLflow run of the same name;
a cleared or retried task goes on in it.

Monitoring starts it, where the policy under `[retraining]` asks for a new model; or anybody, by the form. One cause has
one retraining: a second run for it is skipped.
"""

PARAMS: dict[str, Any] = {
    "month": month_param("Newest month", "the month that is held out. Empty: the newest whose labels are known."),
    "refresh": REFRESH,
    "trials": Param(
        None,
        type=["null", "integer"],
        minimum=0,
        title="Trials",
        description="Models to try of each family before training; 0: none. Empty: as [search] of pipeline.toml says",
    ),
    "reason": Param(
        None,
        type=["null", "string"],
        title="Reason",
        description="Why this run is started; goes into MLflow and, with a release, into the ledger.",
    ),
}

settings = load_settings()


@dag(
    dag_id=f"{PACKAGE}_training",
    schedule=PartitionedAssetTimetable(assets=RETRAIN),
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

    @task
    def ingest(*, run_id: str, params: dict[str, Any], dag_run: Any) -> dict[str, Any]:
        from {{ cookiecutter.__package_name }} import stages

        month, reason = params["month"] or dag_run.partition_key, params["reason"] or ""
        if dag_run.run_type == "asset_triggered":
            if not (asked := stages.claim_retraining(month, run_id)):
                raise AirflowSkipException(f"{month}: nobody asked for a new model, or another run trains it")
            month, reason = asked["month"], asked["reason"]
        hand_over_connection()
        return {**stages.ingest(month, refresh=params["refresh"]), "reason": reason}

    @task
    def validate(raw: dict[str, Any], *, run_id: str, dag_run: Any) -> dict[str, Any]:
        from {{ cookiecutter.__package_name }} import stages

        return stages.validate(raw["dataset_uri"], run_id, by=started_by(dag_run), reason=raw["reason"])

    @task
    def plan(clean: dict[str, Any], *, params: dict[str, Any]) -> list[str]:
        # Not through `stages`, whose imports take seconds.
        from {{ cookiecutter.__package_name }} import families

        return families.to_search(load_settings(), params["trials"])

    @task(
        map_index_template="{" + "{ family }}",
        execution_timeout=DEFAULT_ARGS["execution_timeout"] + timedelta(seconds=settings.search.seconds),
    )
    def search(clean: dict[str, Any], family: str, *, run_id: str, params: dict[str, Any]) -> dict[str, Any]:
        from {{ cookiecutter.__package_name }} import stages

        return stages.search(clean["dataset_uri"], run_id, family, params["trials"])

    # Where nothing is searched, `search` is skipped; where nobody asked for a model, all is, and this as well.
    @task(trigger_rule="none_failed_min_one_success")
    def train(clean: dict[str, Any], *, run_id: str) -> dict[str, Any]:
        from {{ cookiecutter.__package_name }} import stages

        return stages.train(clean["dataset_uri"], run_id)

    @task
    def evaluate(trained: dict[str, Any]) -> dict[str, Any]:
        from {{ cookiecutter.__package_name }} import stages

        return stages.evaluate(trained["run_id"])

    @task(outlets=[MODEL], on_success_callback=deployed)
    def deploy(approved: dict[str, Any], *, dag_run: Any, outlet_events: Any) -> dict[str, Any]:
        from {{ cookiecutter.__package_name }} import stages

        facts = stages.deploy(approved["run_id"], by=started_by(dag_run))
        emit(outlet_events, MODEL, facts)
        return facts

    clean = validate(ingest())
    trained = train(clean)
    search.partial(clean=clean).expand(family=plan(clean)) >> trained
    approve = ReleaseApproval(
        task_id="approve",
        evaluated=evaluate(trained),
        response_timeout=timedelta(hours=settings.gates.approval_timeout_hours),
    )
    deploy(approve.output)


training()
