"""The same thing asked for twice at once is done once."""

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from {{ cookiecutter.__package_name }}.errors import StackError
from {{ cookiecutter.__package_name }}.stack.airflow_api import TRAINING_DAG

from world import World


def at_once(function: Callable[[], Any], times: int = 2) -> list[Any]:
    """Call a function so many times at the same moment; an error stands for what it would have returned."""

    def call(_: int) -> Any:
        try:
            return function()
        except StackError as error:
            return error

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(call, range(times)))


def test_same_run_triggered_at_once_by_many_is_one_release(world: World) -> None:
    before = len(world.ledger())
    body = {"logical_date": None, "dag_run_id": "twice", "conf": {"month": next(world.months)}}
    # Enough that SQLite, too, refuses some while another is writing, which is no answer to who has asked.
    answers = at_once(lambda: world.api._ask("POST", f"/api/v2/dags/{TRAINING_DAG}/dagRuns", body), times=6)
    refused = [str(each) for each in answers if isinstance(each, StackError)]
    assert len(refused) == 5
    assert all(": 409 " in each for each in refused), refused
    assert world.finish("twice").state == "success"
    assert [entry["pipeline_run"] for entry in world.ledger()[before:]] == ["twice"]


def test_two_runs_at_once_come_one_after_the_other_and_the_second_is_judged_by_the_first(world: World) -> None:
    before = len(world.ledger())
    month = next(world.months)
    runs = [world.finish(run_id) for run_id in at_once(lambda: world.start(month))]
    assert [run.state for run in runs] == ["success", "success"]
    first, second = world.ledger()[before:]
    assert {first["pipeline_run"], second["pipeline_run"]} == {run.run_id for run in runs}
    assert second["from_version"] == first["to_version"]
    tracker = world.tracker()
    assert tracker.tags(second["run_id"])["compared_with"] == first["to_version"]


def test_two_deployments_of_one_run_at_once_are_one_release(world: World) -> None:
    before = len(world.ledger())
    run_id = accepted_run(world)
    with world.held_at("before client.MlflowClient.create_model_version", processes=2) as wait_until_both_there:
        both = [world.command("deploy", "--run", run_id) for _ in range(2)]
        wait_until_both_there()  # neither has found a version of the other
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    [entry] = world.ledger()[before:]
    assert [json.loads(output)["version"] for output in outputs] == [entry["to_version"]] * 2
    assert world.tracker()._get_run(run_id).info.status == "FINISHED"


def accepted_run(world: World) -> str:
    """An MLflow run that could be deployed."""
    month, name = world.champion_month(), f"by hand {uuid.uuid4()}"
    facts: dict[str, str] = {}
    for words in (
        ["ingest", "--month", month],
        ["validate", "--run-name", name, "--dataset", "dataset_uri"],
        ["train", "--run-name", name, "--dataset", "dataset_uri"],
        ["evaluate", "--run", "run_id"],
    ):
        process = world.command(*(facts.get(word, word) for word in words))
        output, _ = process.communicate()
        assert process.returncode == 0, output
        facts = json.loads(output)
    return facts["run_id"]
