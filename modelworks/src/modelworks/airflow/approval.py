"""The question whether an accepted model is released, which Airflow asks a person."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Param

from modelworks.project import load_project
from modelworks.settings import Settings, load_settings


class ReleaseApproval(ApprovalOperator):
    """Waits for an answer where the evaluation asks for one, and records it; no answer in time is a no.

    Parameters
    ----------
    evaluated : the facts of `evaluate`
    """

    template_fields = (*ApprovalOperator.template_fields, "evaluated")

    def __init__(self, *, settings: Settings, evaluated: Any, **options: Any) -> None:
        reason = Param("", type="string", title="Reason", description="Why; goes on the record with your name.")
        options |= {
            "subject": "",
            "defaults": self.REJECT,
            "params": {"reason": reason},
            "response_timeout": timedelta(hours=settings.gates.approval_timeout_hours),
            "execution_timeout": None,  # it would end the wait
        }
        super().__init__(**options)
        self.home = settings.home
        self.evaluated = evaluated

    def execute(self, context: Any) -> dict[str, Any]:
        """Ask in Airflow, or, in a run within one process, on its terminal."""
        facts = self.evaluated
        if not facts["asks_for_approval"]:
            return {"run_id": facts["run_id"], "summary": "no approval is needed"}
        if context["dag_run"].triggering_user_name == "dag_test":
            from modelworks.reporting.console import ask_for_approval

            given = ask_for_approval(facts["question"], facts["about"])
            return self._record(given.approved, given.by, given.reason)
        # Set here rather than when the DAG is parsed, so that Airflow takes nothing in them for a template.
        self.subject, self.body = facts["question"], facts["about"]
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Record the answer; a no fails the task, so that nobody takes the run for a release."""
        answer = HITLOperator.execute_complete(self, context, event)
        user = answer["responded_by_user"]
        by = user["name"] if user else f"nobody, in {self.response_timeout}"
        approved = answer["chosen_options"] == [self.APPROVE]
        return self._record(approved, by, answer["params_input"].get("reason") or "")

    def _record(self, approved: bool, by: str | None, reason: str) -> dict[str, Any]:
        from modelworks import stages

        project, settings = load_project(self.home), load_settings(self.home)
        return stages.approve(project, settings, self.evaluated["run_id"], approved, by=by, reason=reason).to_json()
