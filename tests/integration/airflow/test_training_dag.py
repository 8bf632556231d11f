from datetime import timedelta

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import ParamValidationError

from flights import PACKAGE
from modelworks.errors import QualityGateError

STAGES = ["ingest", "validate", "compare", "plan", "tune", "train", "evaluate", "approve", "deploy"]


@pytest.fixture(scope="module")
def training(bag: DagBag):
    return bag.dags[f"{PACKAGE}_training"]


def test_stages_run_one_after_the_other(training) -> None:
    for task_id, following in zip(STAGES, [*STAGES[1:], None], strict=True):
        # The clean periods go to every task that trains on them.
        others = {"tune", "train"} if task_id == "compare" else set()
        assert training.get_task(task_id).downstream_task_ids == ({following} if following else set()) | others
    assert set(training.task_ids) == set(STAGES)


def test_model_types_are_tuned_by_a_task_each_which_may_take_its_budget_longer(training) -> None:
    tune = training.get_task("tune")
    assert tune.is_mapped
    assert tune.execution_timeout == timedelta(minutes=60, seconds=300)
    assert training.get_task("train").trigger_rule == "none_failed_min_one_success"


@pytest.mark.parametrize("trials", [-1, "many", 2.5])
def test_what_is_no_number_of_trials_is_refused_by_the_form(training, trials: object) -> None:
    with pytest.raises(ParamValidationError):
        training.params.get_param("trials").resolve(trials)


def test_every_task_is_retried_with_backoff_and_has_a_time_limit(training) -> None:
    for task in training.tasks:
        assert task.retries >= 1
        assert task.retry_exponential_backoff
        assert task.execution_timeout or task.response_timeout  # a person may take longer than a program


def test_silence_is_a_no(training) -> None:
    approve = training.get_task("approve")
    assert approve.defaults == [approve.REJECT]
    assert approve.response_timeout == timedelta(hours=72)


def test_what_a_person_has_to_resolve_is_not_retried(training) -> None:
    policy = training.get_task("evaluate").retry_policy
    assert policy.evaluate(QualityGateError("refused"), 1, 3).action == RetryAction.FAIL
    assert policy.evaluate(ConnectionError("dropped"), 1, 3).action != RetryAction.FAIL


@pytest.mark.parametrize("period", ["2013-06", None])
def test_period_of_the_form_is_taken(training, period: str | None) -> None:
    assert training.params.get_param("period").resolve(period) == period


@pytest.mark.parametrize("period", ["June", "2013-06-01", 6])
def test_what_is_no_period_is_refused_by_the_form(training, period: object) -> None:
    with pytest.raises(ParamValidationError):
        training.params.get_param("period").resolve(period)
