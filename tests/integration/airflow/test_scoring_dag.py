import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import PartitionedAssetTimetable, RetryAction
from airflow.sdk.exceptions import ParamValidationError

from flights import PACKAGE
from modelworks.errors import PartitionError


@pytest.fixture(scope="module")
def scoring(bag: DagBag):
    return bag.dags[f"{PACKAGE}_scoring"]


def test_a_clean_period_or_a_model_starts_it(scoring) -> None:
    # A plain asset schedule would never start: the events carry their period as a partition.
    assert isinstance(scoring.timetable, PartitionedAssetTimetable)
    condition = scoring.timetable.asset_condition
    assert type(condition).__name__ == "AssetAny"
    assert {asset.name for asset in condition.objects} == {f"{PACKAGE}_clean", f"{PACKAGE}_model"}


def test_only_a_period_is_taken_by_the_form(scoring) -> None:
    assert scoring.params.get_param("period").resolve("2013-06") == "2013-06"
    with pytest.raises(ParamValidationError):
        scoring.params.get_param("period").resolve("June")


def test_task_is_retried_unless_a_person_has_to_act(scoring) -> None:
    score = scoring.get_task("score")
    assert score.retries >= 1
    assert score.retry_exponential_backoff
    assert score.execution_timeout
    assert score.retry_policy.evaluate(PartitionError("damaged"), 1, 3).action == RetryAction.FAIL
    assert score.retry_policy.evaluate(ConnectionError("dropped"), 1, 3).action != RetryAction.FAIL
