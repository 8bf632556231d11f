"""What a run waits for."""

from datetime import timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator

from modelworks.airflow.defaults import task_timeout
from modelworks.settings import Settings, load_settings

POLL_S = 3


class RetrainingDone(BaseSensorOperator):
    """Waits for the model that an earlier period has asked for, so that each period meets the champion of its time.

    Periods arrive one at a time, and then this waits for nothing; in a backfill they arrive at once.

    Parameters
    ----------
    after_monitoring : wait as well until the period before is monitored, since that may ask for a model; monitoring
        itself takes one period after the other anyway
    """

    def __init__(self, *, settings: Settings, after_monitoring: bool = False, **options: Any) -> None:
        # A training run that waits for a person may take that long.
        timeout = timedelta(hours=settings.gates.approval_timeout_hours) + task_timeout(settings)
        super().__init__(mode="reschedule", poke_interval=POLL_S, timeout=timeout, **options)
        self.home = settings.home
        self.after_monitoring = after_monitoring

    def poke(self, context: Any) -> bool:
        """Whether no model is asked for or may be, and no training is active."""
        # Not from `stages`, whose imports take seconds: this runs every few of them.
        from modelworks.data.journal import find_clean_before, has_monitored, is_retraining_done

        settings = load_settings(self.home)

        def is_active(name: str) -> bool:
            dag_id = f"{settings.prefix}_{name}"
            return bool(context["ti"].get_dr_count(dag_id=dag_id, states=["queued", "running"]))

        # In this order: a request is on record before monitoring ends, and claimed before a training ends.
        period = context["dag_run"].partition_key
        if self.after_monitoring and period and is_active("monitoring"):
            before = find_clean_before(settings, period)
            if before and not has_monitored(settings, before):
                return False
        return is_retraining_done(settings) and not is_active("training")
