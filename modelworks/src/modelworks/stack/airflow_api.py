"""A client of the Airflow that `make up` runs: start a run, follow it, answer what waits for a person."""

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from modelworks.errors import StackError
from modelworks.settings import Settings
from modelworks.stack.environment import read_account

FINISHED = {"success", "failed"}
MIN_AGE_S = 10.0
BUSY_TRIES, BUSY_S = 10, 0.5


class AirflowApi:
    """Airflow's REST interface, as the first of its administrators.

    Raises
    ------
    StackError
        From each method, if Airflow does not answer, or answers with a refusal.
    """

    def __init__(self, settings: Settings) -> None:
        self._prefix, self._url = settings.prefix, settings.stack.url("airflow")
        # Nothing between us and a server on this computer, whatever proxy the shell names.
        self._http = httpx.Client(base_url=self._url, timeout=60, trust_env=False)
        user, password = read_account(settings)
        token = self._ask("POST", "/auth/token", {"username": user, "password": password})["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def dag_id(self, name: str) -> str:
        """The id of one of the project's DAGs, such as `training`."""
        return f"{self._prefix}_{name}"

    def dag_ids(self) -> list[str]:
        """All DAGs that Airflow knows."""
        return [dag["dag_id"] for dag in self._get("dags?limit=100")["dags"]]

    def import_errors(self) -> dict[str, str]:
        """Python's message for each DAG file that cannot be imported."""
        return {each["filename"]: each["stack_trace"] for each in self._get("importErrors")["import_errors"]}

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run; returns its id."""
        body = {"logical_date": None, "conf": conf}
        return str(self._ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """`queued`, `running`, `success` or `failed`."""
        return str(self._get(_of_run(dag_id, run_id))["state"])

    def count_active_runs(self) -> int:
        """How many runs of any DAG are under way, or about to be."""
        return int(self._get("dags/~/dagRuns?state=running&state=queued&limit=1")["total_entries"])

    def failed_runs(self, dag_id: str) -> list[str]:
        """Ids of the runs of a DAG that have failed."""
        return [str(run["dag_run_id"]) for run in self._get(f"dags/{dag_id}/dagRuns?state=failed")["dag_runs"]]

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The tasks of a run: `task_id`, `state`, `try_number`, `start_date`, `end_date`, `duration`, ..."""
        return list(self._get(f"{_of_run(dag_id, run_id)}/taskInstances")["task_instances"])

    def result(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """The return value of a task; of a mapped one, by its number."""
        path = f"{_of_run(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/return_value"
        return self._get(f"{path}?deserialize=true&map_index={map_index}")["value"]

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int, map_index: int = -1
    ) -> list[dict[str, Any]]:
        """The log records of one try of a task: `event`, `level`, `logger`, ..."""
        path = f"{_of_run(dag_id, run_id)}/taskInstances/{task_id}/logs/{try_number}"
        path += f"?full_content=true&map_index={map_index}"
        return [each for each in self._get(path)["content"] if isinstance(each, dict)]

    def emit(self, asset: str, partition_key: str, facts: dict[str, Any]) -> None:
        """Emit an event of an asset, which starts the DAGs that wait for it.

        Raises
        ------
        StackError
            If no DAG names such an asset.
        """
        found = self._get(f"assets?name_pattern={quote(asset)}")["assets"]
        if not (ids := [each["id"] for each in found if each["name"] == asset]):
            raise StackError(f"Airflow knows no asset {asset!r}")
        body = {"asset_id": ids[0], "partition_key": partition_key, "extra": facts}
        self._ask("POST", "/api/v2/assets/events", body)

    def run_url(self, dag_id: str, run_id: str) -> str:
        """The page of a run, for a person."""
        return f"{self._url}/dags/{dag_id}/runs/{quote(run_id, safe='')}"

    def answer_url(self, task: dict[str, Any]) -> str:
        """The page on which a person answers a task that waits for one."""
        return f"{self.run_url(task['dag_id'], task['dag_run_id'])}/tasks/{task['task_id']}/required_actions"

    def pending_approvals(self) -> list[dict[str, Any]]:
        """What waits for a person's answer, oldest first: `task_instance`, `subject`, `body`, `options`, ..."""
        found = self._get("dags/~/dagRuns/~/hitlDetails?response_received=false&limit=100")["hitl_details"]
        return sorted(found, key=lambda each: each["created_at"])

    def respond(self, approval: dict[str, Any], option: str, params_input: dict[str, Any]) -> None:
        """Answer a pending approval with one of its options, once it is some seconds old.

        The process that asked still runs for a moment; an answer during it is lost, and Airflow asks again.
        """
        age = datetime.now(UTC) - datetime.fromisoformat(approval["created_at"])
        time.sleep(max(0.0, MIN_AGE_S - age.total_seconds()))
        task = approval["task_instance"]
        path = f"{_of_run(task['dag_id'], task['dag_run_id'])}/taskInstances/{task['task_id']}/{task['map_index']}"
        body = {"chosen_options": [option], "params_input": params_input}
        self._ask("PATCH", f"/api/v2/{path}/hitlDetails", body)

    def _get(self, path: str) -> Any:
        return self._ask("GET", f"/api/v2/{path}")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._send(method, path, body)
        for _ in range(BUSY_TRIES):
            if not _is_busy(answer):
                break
            time.sleep(BUSY_S)
            answer = self._send(method, path, body)
        if not answer.is_success:
            raise StackError(f"Airflow refused {method} {path}: {answer.status_code} {_reason(answer)}")
        return answer.json() if answer.content else None

    def _send(self, method: str, path: str, body: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise StackError(f"Airflow does not answer at {self._url} ({error}); `make up` starts it") from None


def _is_busy(answer: httpx.Response) -> bool:
    """Whether the database was locked, as SQLite is where another process writes; then nothing was written."""
    return answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR and "Database error" in answer.text


def _of_run(dag_id: str, run_id: str) -> str:
    return f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"]).partition("\n")[0]
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
