"""The DAG that promotes: a version of another environment, judged here, approved by a person, and released.

A project that has environments calls `promotion_dag` in a file of its `dags/`.
"""

from functools import partial
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from modelworks.airflow.approval import ReleaseApproval
from modelworks.airflow.assets import emit, project_assets
from modelworks.airflow.defaults import dag_defaults, export_connection, period_param, started_by
from modelworks.airflow.notifications import deployed
from modelworks.project import load_project
from modelworks.settings import Settings, list_environments, load_settings


def promotion_dag(home: Path, doc: str | None) -> DAG:
    """The DAG of a project; it is started by its form, which asks for the version and the environment it is of.

    Parameters
    ----------
    doc : Markdown, the DAG's page
    """
    settings = load_settings(home)
    assets = project_assets(settings)
    step: Any = task  # its types do not know what Airflow passes by name

    @dag(schedule=None, params=promotion_params(settings), **dag_defaults(settings, "promotion", doc))
    def promotion() -> None:
        @step
        def find(*, params: dict[str, Any]) -> dict[str, Any]:
            from modelworks import stages

            project, settings = load_project(home), load_settings(home)
            facts = stages.find_promoted(project, settings, params["version"], params["source"])
            if facts.version:
                raise AirflowSkipException(facts.summary)
            return facts.to_json()

        @step
        def ingest(found: dict[str, Any], *, params: dict[str, Any]) -> dict[str, Any]:
            from modelworks import stages

            settings = load_settings(home)
            export_connection(settings)
            return stages.ingest(load_project(home), settings, params["period"]).to_json()

        @step
        def validate(raw: dict[str, Any], *, run_id: str, params: dict[str, Any], dag_run: Any) -> dict[str, Any]:
            from modelworks import stages

            project, settings, uri = load_project(home), load_settings(home), raw["dataset_uri"]
            by, reason = started_by(dag_run), params["reason"] or ""
            return stages.validate(project, settings, uri, run_id, by=by, reason=reason).to_json()

        @step
        def promote(clean: dict[str, Any], *, run_id: str, params: dict[str, Any]) -> dict[str, Any]:
            from modelworks import stages

            project, settings, uri = load_project(home), load_settings(home), clean["dataset_uri"]
            return stages.promote(project, settings, uri, run_id, params["version"], params["source"]).to_json()

        @step
        def evaluate(promoted: dict[str, Any]) -> dict[str, Any]:
            from modelworks import stages

            return stages.evaluate(load_project(home), load_settings(home), promoted["run_id"]).to_json()

        @step(outlets=[assets.model], on_success_callback=partial(deployed, home))
        def deploy(approved: dict[str, Any], *, dag_run: Any, outlet_events: Any) -> dict[str, Any]:
            from modelworks import stages

            project, by = load_project(home), started_by(dag_run)
            facts = stages.deploy(project, load_settings(home), approved["run_id"], by=by)
            return emit(outlet_events, assets.model, facts)

        evaluated = evaluate(promote(validate(ingest(find()))))
        approve = ReleaseApproval(task_id="approve", settings=settings, evaluated=evaluated)
        deploy(approve.output)

    return promotion()


def promotion_params(settings: Settings) -> dict[str, Param]:
    """The trigger form."""
    others = [each for each in list_environments(settings.home) if each != settings.environment]
    reason = "Why; logged in MLflow and in the ledger."
    return {
        "version": Param("", type="string", pattern=r"^\d+$", title="Version", description="In that environment."),
        "source": Param(
            "", type="string", enum=others or None, title="From", description="Environment where it was released."
        ),
        "period": period_param(settings, "the period that is held out. Empty: the newest whose labels are known."),
        "reason": Param(None, type=["null", "string"], title="Reason", description=reason),
    }
