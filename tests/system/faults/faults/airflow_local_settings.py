"""Found by each of Airflow's processes: a retry comes after a second or two, so that no test waits."""

from datetime import timedelta
from typing import Any


def task_policy(task: Any) -> None:
    task.retry_delay = timedelta(seconds=1)
