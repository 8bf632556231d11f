"""The question whether an accepted model shall be released, put to a person by Airflow."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Param


class ReleaseApproval(ApprovalOperator):
    """Waits for an answer where one is wanted, and puts it on the record; none in time is a no.

    Parameters
    ----------
    evaluated : the facts of `evaluate`
    response_timeout : how long to wait
    """

    template_fields = (*ApprovalOperator.template_fields, "evaluated")

    def __init__(self, *, evaluated: Any, response_timeout: timedelta, **options: Any) -> None:
        reason = Param("", type="string", title="Reason", description="Why; goes on the record with your name.")
        options |= {
            "subject": "",
            "defaults": self.REJECT,
            "params": {"reason": reason},
            "response_timeout": response_timeout,
            "execution_timeout": None,  # it would end the wait
        }
        super().__init__(**options)
        self.evaluated = evaluated

    def execute(self, context: Any) -> dict[str, Any]:
        """Ask in Airflow, or, in a run within one process, on its terminal."""
        facts = self.evaluated
        if not facts["asks_for_approval"]:
            return {"run_id": facts["run_id"], "result": "nobody has to be asked"}
        if context["dag_run"].triggering_user_name == "dag_test":
            from {{ cookiecutter.__package_name }} import stages
            from {{ cookiecutter.__package_name }}.console import ask_for_approval

            given = ask_for_approval(facts["question"], facts["about"])
            return stages.approve(facts["run_id"], given.approved, by=given.by, reason=given.reason)
        # Set here rather than when the DAG is parsed, so that Airflow takes nothing in them for a template.
        self.subject, self.body = facts["question"], facts["about"]
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Record the answer; a no fails the task, so that nobody takes the run for a release."""
        from {{ cookiecutter.__package_name }} import stages

        answer = HITLOperator.execute_complete(self, context, event)
        user = answer["responded_by_user"]
        by = user["name"] if user else f"nobody, in {self.response_timeout}"
        approved = answer["chosen_options"] == [self.APPROVE]
        return stages.approve(
            self.evaluated["run_id"], approved, by=by, reason=answer["params_input"].get("reason") or ""
        )
