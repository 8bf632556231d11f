"""Advance the rollout of a new version until it is the champion or is taken back.

**rollout_ended** looks once a minute at what the replicas of the API have counted, compares both models on logged
requests, and takes the next step of `[rollout]`. A challenger that breaks a limit is taken back, and the run fails.
"""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from airflow.sdk import BaseSensorOperator, PartitionedAssetTimetable, PokeReturnValue, dag
from airflow.sdk.exceptions import AirflowSkipException

from modelworks.airflow.assets import emit, project_assets
from modelworks.airflow.defaults import dag_defaults, task_timeout
from modelworks.airflow.notifications import deployed
from modelworks.errors import QualityGateError
from modelworks.project import load_project
from modelworks.settings import Settings, load_settings

POLL_S = 60


class RolloutEnded(BaseSensorOperator):
    """Waits for the end of the rollout that goes on, and moves it there; holds no worker between two looks."""

    def __init__(self, *, settings: Settings, **options: Any) -> None:
        # A person, or the traffic, may take that long; then the rollout is taken back.
        timeout = timedelta(hours=settings.rollout.max_hours) + task_timeout(settings)
        options |= {"mode": "reschedule", "poke_interval": POLL_S, "timeout": timeout.total_seconds()}
        super().__init__(outlets=[project_assets(settings).model], **options)
        self.home = settings.home

    def poke(self, context: Any) -> PokeReturnValue:
        """Whether the rollout has ended; one that was taken back fails the run, as a refused model does."""
        from modelworks.data.journal import is_rollout_open  # without what the stages import

        settings = load_settings(self.home)
        if not is_rollout_open(settings):
            raise AirflowSkipException("no rollout goes on")
        from modelworks import stages
        from modelworks.stages.facts import Deployed

        facts = stages.advance_rollout(load_project(self.home), settings)
        if not facts.has_ended:
            return PokeReturnValue(is_done=False)
        if facts.move in {"take_back", "stop"}:
            raise QualityGateError(facts.summary)
        if facts.move == "none" or not facts.version:
            raise AirflowSkipException(facts.summary)
        period = stages.newest_clean(settings).period
        released = Deployed(run_id="", period=period, version=facts.version, summary=facts.summary)
        content = emit(context["outlet_events"], self.outlets[0], released)
        return PokeReturnValue(is_done=True, xcom_value=content)


def make_rollout_dag(home: Path, settings: Settings) -> None:
    """The DAG of rollouts, which a release starts; only where `[rollout] release` has them."""
    if settings.rollout.release == "at_once":
        return

    @dag(
        schedule=PartitionedAssetTimetable(assets=project_assets(settings).model),
        **dag_defaults(settings, "rollout", __doc__),
    )
    def rollout() -> None:
        """From a challenger to the champion, or back."""
        RolloutEnded(task_id="rollout_ended", settings=settings, on_success_callback=partial(deployed, home))

    rollout()
