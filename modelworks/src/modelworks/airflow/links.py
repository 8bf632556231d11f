"""Buttons on Airflow's pages."""

from typing import Any

from airflow.sdk import BaseOperatorLink


class ReportLink(BaseOperatorLink):
    """A button on the page of a task that leads to its report; none where MLflow is a file, which has no pages."""

    name = "Report in MLflow"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The link; Airflow asks for it at the end of the task, in the task's process, and keeps the answer."""
        found = ti_key.xcom_pull(task_ids=operator.task_id)
        return found["report"] if found and found["report"].startswith("http") else ""
