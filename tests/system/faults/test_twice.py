"""The same thing asked for twice at once is done once."""

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from live_stack import LiveStack

from modelworks.errors import StackError
from releases import client_of


def at_once(function: Callable[[], Any], times: int = 2) -> list[Any]:
    """Call a function so many times at the same moment; an error stands for what it would have returned."""

    def call(_: int) -> Any:
        try:
            return function()
        except StackError as error:
            return error

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(call, range(times)))


def test_same_run_triggered_at_once_by_many_is_one_release(stack: LiveStack) -> None:
    before = len(stack.ledger())
    body = {"logical_date": None, "dag_run_id": "twice", "conf": {"period": next(stack.periods)}}
    # Enough that SQLite, too, refuses some while another is writing, which is no answer to who has asked.
    answers = at_once(lambda: stack.api._ask("POST", f"/api/v2/dags/{stack.training}/dagRuns", body), times=6)
    refused = [str(each) for each in answers if isinstance(each, StackError)]
    assert len(refused) == 5
    assert all(": 409 " in each for each in refused), refused
    assert stack.finish("twice").state == "success"
    assert [entry["pipeline_run"] for entry in stack.ledger()[before:]] == ["twice"]


def test_two_runs_at_once_come_one_after_the_other_and_the_second_is_judged_by_the_first(stack: LiveStack) -> None:
    before = len(stack.ledger())
    period = next(stack.periods)
    runs = [stack.finish(run_id) for run_id in at_once(lambda: stack.start(period))]
    assert [run.state for run in runs] == ["success", "success"]
    first, second = stack.ledger()[before:]
    assert {first["pipeline_run"], second["pipeline_run"]} == {run.run_id for run in runs}
    assert second["from_version"] == first["to_version"]
    tracker = stack.tracker()
    assert tracker.runs.tags(second["run_id"])["compared_with"] == first["to_version"]


def test_two_deployments_of_one_run_at_once_are_one_release(stack: LiveStack) -> None:
    before = len(stack.ledger())
    run_id = accepted_run(stack)
    with stack.held_at("before client.MlflowClient.create_model_version", processes=2) as wait_until_both_there:
        both = [stack.command("deploy", "--run", run_id) for _ in range(2)]
        wait_until_both_there()  # neither has found a version of the other
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    [entry] = stack.ledger()[before:]
    assert [json.loads(output)["version"] for output in outputs] == [entry["to_version"]] * 2
    assert client_of(stack.settings).get_run(run_id).info.status == "FINISHED"


def accepted_run(stack: LiveStack) -> str:
    """An MLflow run that could be deployed."""
    period, name = stack.champion_period(), f"by hand {uuid.uuid4()}"
    facts: dict[str, str] = {}
    for words in (
        ["ingest", "--period", period],
        ["validate", "--run-name", name, "--dataset", "dataset_uri"],
        ["train", "--force", "--run-name", name, "--dataset", "dataset_uri"],
        ["evaluate", "--run", "run_id"],
    ):
        process = stack.command(*(facts.get(word, word) for word in words))
        output, _ = process.communicate()
        assert process.returncode == 0, output
        facts = json.loads(output)
    return facts["run_id"]
