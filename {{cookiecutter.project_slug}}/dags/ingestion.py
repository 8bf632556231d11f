"""Ingest the period that is complete, and quarantine broken rows.

**ingest** brings the period into storage as it is, and labels of earlier periods that have arrived since → **validate**
quarantines the rows that break the contract. The clean period is then scored and monitored. Backfill this DAG one
period at a time (`--max-active-runs 1`): each is evaluated against the champion that the previous one produced.
"""

from pathlib import Path
from typing import Any

from airflow.sdk import dag, task
from modelworks import load_project, load_settings
from modelworks.airflow.assets import emit, project_assets
from modelworks.airflow.defaults import (
    dag_defaults,
    export_connection,
    ingestion_params,
    skip_without_rows,
    started_by,
)
from modelworks.airflow.timetable import period_of_run, period_timetable, source_dates

HOME = Path(__file__).absolute().parents[1]
settings = load_settings(HOME)
assets = project_assets(settings)


@dag(
    schedule=period_timetable(settings),
    params=ingestion_params(settings),
    **source_dates(settings),
    **dag_defaults(settings, "ingestion", __doc__),
)
def ingestion() -> None:
    """From a source to a clean period."""

    @task(outlets=[assets.raw])
    def ingest(*, params: dict[str, Any], dag_run: Any, outlet_events: Any) -> dict[str, Any]:
        from modelworks import stages

        export_connection(settings)
        project, period, refresh = load_project(HOME), period_of_run(settings, params, dag_run), params["refresh"]
        with skip_without_rows(settings):
            facts = stages.ingest(project, load_settings(HOME), period, refresh=refresh, for_training=False)
            return emit(outlet_events, assets.raw, facts)

    @task(outlets=[assets.clean])
    def validate(raw: dict[str, Any], *, run_id: str, dag_run: Any, outlet_events: Any) -> dict[str, Any]:
        from modelworks import stages

        project, uri, by = load_project(HOME), raw["dataset_uri"], started_by(dag_run)
        facts = stages.validate(project, load_settings(HOME), uri, run_id, by=by, for_training=False)
        return emit(outlet_events, assets.clean, facts)

    validate(ingest())


ingestion()
