"""The condition of the project: each case, and which of two takes precedence."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from modelworks.evaluation.bootstrap import Estimate
from modelworks.monitoring.calibration import Performance
from modelworks.monitoring.drift import ColumnDrift
from modelworks.monitoring.records import PeriodPerformance, Record
from modelworks.registry.promotion import LedgerEntry
from modelworks.registry.runs import TrackedRun
from modelworks.reporting.status_line import SYMBOLS
from modelworks.state.health import WORDS, assess
from modelworks.state.rollout import RolloutState
from modelworks.state.status import ReleasedVersion, State
from states import empty_state

CHAMPION = ReleasedVersion("2", "r2", "models:/m2", None, None, None, None, None, None, "2013-11-02", {})
MOVE = LedgerEntry(
    sequence=2,
    at="2013-11-02T06:00:00+00:00",
    action="deploy",
    by="ada",
    reason="passed",
    from_version="1",
    to_version="2",
    run_id="r2",
    pipeline_run="second",
    data_digest="feed",
    code_commit="c0ffee",
)
EMPTY = empty_state(datetime(2013, 12, 1, tzinfo=UTC))
RELEASED = replace(EMPTY, status=replace(EMPTY.status, champion=CHAMPION, ledger=[MOVE]), registry_champion="2")
ACCEPTED = {"verdict": "accepted", "approval": "pending", "compared_with": "2"}
REFUSED = {"verdict": "refused", "refusal": "roc_auc floor: 0.51 [0.48, 0.53], at least 0.60 required"}


def run(status: str = "FINISHED", **tags: str) -> TrackedRun:
    return TrackedRun("r3", "2013-11 third", "2013-12-01T05:00:00+00:00", status, tags, {})


def record(period: str = "2013-11", *, drifts: bool = False, champion: str = "2", **facts: Any) -> Record:
    known: dict[str, Any] = {
        "sequence": 1,
        "at": f"{period}-28T06:00:00+00:00",
        "period": period,
        "champion": champion,
        "clean_sha256": "beef",
        "drift": [ColumnDrift("temp", 0.3 if drifts else 0.01, 0.1), ColumnDrift("dest", 0.01, 0.04)],
        "drift_note": "",
        "drift_alarm": drifts,
        "health": [],
        "performance": [],
        "retrain": False,
        "reason": "",
        "pipeline_run": f"monitoring {period}",
        "run_id": "m1",
    }
    return Record(**known | facts)


def served(period: str, *, is_alarm: bool, version: str = "2") -> PeriodPerformance:
    same = Estimate(0.02, 0.01, 0.03)
    figures = Performance(90, 30, 0.2, 0.25, loss=same, skill=same, gain=same, calibration_drift=same)
    return PeriodPerformance(period, version, "beef", 90, 10, figures, is_alarm, "")


DRIFTING = [record(drifts=True)]
MISCALIBRATED = [record(performance=[served("2013-10", is_alarm=True)])]


@pytest.mark.parametrize(
    ("state", "condition", "reason", "action"),
    [
        (EMPTY, "no_champion", "nothing has been released", "`make run` trains and releases the first model"),
        (RELEASED, "healthy", "version 2 serves; no period has been monitored yet", "nothing to do; "),
        (replace(RELEASED, records=[record()]), "healthy", "version 2 serves; no alarm in 2013-11", "nothing to do; "),
        (
            replace(RELEASED, records=DRIFTING),
            "drifting",
            "1 of 2 columns drifted in 2013-11, temp most",
            "no new model was requested ([retraining] in pipeline.toml): `make run` trains one",
        ),
        (
            replace(RELEASED, records=MISCALIBRATED),
            "calibration_drift",
            "the calibration of version 2 drifted by 0.020 [0.010, 0.030] in 2013-10",
            "no new model was requested",
        ),
        (
            replace(RELEASED, runs=[run("FAILED", **REFUSED)]),
            "refused",
            "2013-11 third: roc_auc floor: 0.51 [0.48, 0.53], at least 0.60 required; the champion stays",
            "improve the data, the features or the model, then `make run`",
        ),
        (
            replace(RELEASED, runs=[run("FAILED")]),
            "failed",
            "2013-11 third broke off; the champion stays",
            "read its error in the log, fix it, then `make run`",
        ),
        (
            replace(RELEASED, runs=[run("RUNNING", **ACCEPTED)]),
            "waiting_for_approval",
            "the gates accepted the model of 2013-11 third, and a person has to agree to its release",
            "read its run, then answer: `approve` or `reject`, or in Airflow",
        ),
        (
            replace(RELEASED, registry_champion="7"),
            "registry_differs",
            "The champion is version 2 by the ledger, and version 7 by the registry's alias",
            "move the alias back to version 2 in MLflow's registry",
        ),
    ],
)
def test_condition_says_why_and_what_to_do_next(state: State, condition: str, reason: str, action: str) -> None:
    found = assess(state)
    assert found.finding.condition == condition
    assert found.finding.reason.startswith(reason)
    assert found.finding.action.startswith(action)
    assert found.also == ()


def test_precedence_is_what_blocks_a_release_before_what_is_served() -> None:
    """Everything at once, and then one after the other is put right."""
    state = replace(
        RELEASED,
        registry_champion="1",
        runs=[run("FAILED", **REFUSED), run("RUNNING", **ACCEPTED)],
        records=[*MISCALIBRATED, *DRIFTING],
    )
    found = assess(state)
    order = ["registry_differs", "waiting_for_approval", "refused", "calibration_drift", "drifting"]
    assert [each.condition for each in (found.finding, *found.also)] == order
    assert [each for each in WORDS if each in order] == order
    state = replace(state, registry_champion="2")
    assert assess(state).finding.condition == "waiting_for_approval"
    state = replace(state, runs=[run("FAILED", **REFUSED)])
    assert assess(state).finding.condition == "refused"
    state = replace(state, runs=[run(model_version="2")])
    assert assess(state).finding.condition == "calibration_drift"
    state = replace(state, records=DRIFTING)
    assert assess(state).finding.condition == "drifting"
    assert assess(replace(state, records=[record()])).finding.condition == "healthy"


def test_run_that_had_nothing_new_hides_no_refusal_before_it() -> None:
    runs = [run(unchanged="2"), run("FAILED", **REFUSED)]
    assert assess(replace(RELEASED, runs=runs)).finding.condition == "refused"
    assert assess(replace(RELEASED, runs=runs[:1])).finding.condition == "healthy"


@pytest.mark.parametrize(
    ("before", "condition"),
    [(run("FAILED", **REFUSED), "refused"), (run("FAILED"), "failed"), (run(model_version="2"), "healthy")],
)
def test_tuning_does_not_hide_how_the_last_training_run_ended(before: TrackedRun, condition: str) -> None:
    tuned = run("FINISHED")
    assert assess(replace(RELEASED, runs=[tuned, tuned, before])).finding.condition == condition
    assert assess(replace(RELEASED, runs=[tuned])).finding.condition == "healthy"


@pytest.mark.parametrize(
    ("runs", "condition"),
    [
        ([run("RUNNING", **ACCEPTED | {"compared_with": "none"})], "waiting_for_approval"),
        ([run("FAILED", **REFUSED)], "refused"),
    ],
)
def test_first_run_without_a_release_says_more_than_that_there_is_no_champion(
    runs: list[TrackedRun], condition: str
) -> None:
    found = assess(replace(EMPTY, runs=runs))
    assert (found.finding.condition, [each.condition for each in found.also]) == (condition, ["no_champion"])
    assert "the champion stays" not in found.finding.reason


@pytest.mark.parametrize(
    "waiting",
    [
        run("RUNNING", **ACCEPTED | {"compared_with": "1"}),
        run("RUNNING", **ACCEPTED | {"model_version": "3"}),
        run("KILLED", **ACCEPTED),
        run("FAILED", **ACCEPTED | {"approval": "rejected"}),
    ],
    ids=["another champion since", "released", "killed", "rejected"],
)
def test_answer_that_would_not_be_taken_is_not_waited_for(waiting: TrackedRun) -> None:
    assert assess(replace(RELEASED, runs=[waiting])).finding.condition == "healthy"


@pytest.mark.parametrize(
    "records",
    [
        [record(drifts=True, champion="1")],
        [record(performance=[served("2013-10", is_alarm=True, version="1")])],
        [record("2013-10", drifts=True), record("2013-11")],
        [
            record("2013-10", performance=[served("2013-09", is_alarm=True)]),
            record(performance=[served("2013-10", is_alarm=False)]),
        ],
    ],
    ids=["drift from an earlier champion", "an earlier champion's", "drift is over", "calibrated again"],
)
def test_alarm_that_is_not_about_the_present_champion_and_its_newest_period_is_over(records: list[Record]) -> None:
    assert assess(replace(RELEASED, records=records)).finding.condition == "healthy"


@pytest.mark.parametrize(
    ("by_alias", "ledger", "action"),
    [
        ("1", [MOVE], "the next training run moves the alias to version 2: `make run`"),
        (None, [MOVE], "the next training run moves the alias to version 2: `make run`"),
        ("7", [MOVE], "move the alias back to version 2 in MLflow's registry; until then training runs fail"),
        ("2", [], "set [storage] uri to the storage with the ledger, or remove the alias in MLflow's registry"),
    ],
)
def test_registry_is_repaired_by_the_next_run_where_it_is_one_move_behind(
    by_alias: str | None, ledger: list[LedgerEntry], action: str
) -> None:
    state = replace(RELEASED, status=replace(RELEASED.status, ledger=ledger), registry_champion=by_alias)
    assert assess(state).finding.action == action


@pytest.mark.parametrize(
    ("claimed_by", "action"),
    [
        (None, "a new model was requested in 2013-11: the training DAG takes the request, or `make run`"),
        ("fourth", "run fourth trains a new model: wait for it"),
    ],
)
def test_request_for_a_new_model_is_what_comes_next(claimed_by: str | None, action: str) -> None:
    for drifts in (True, False):
        asked = record(drifts=drifts, retrain=True)
        assert assess(replace(RELEASED, records=[asked], claims={1: claimed_by})).finding.action == action


@pytest.mark.parametrize("in_force", [True, False])
def test_rollout_that_goes_on_is_what_comes_next(*, in_force: bool) -> None:
    moving = replace(RELEASED, rollout=RolloutState(in_force, "version 3 answers 5 % of the requests", [], None))
    line = assess(moving).line
    assert line.word == "Healthy"
    assert (line.action == "version 3 answers 5 % of the requests: Airflow moves it, or `rollout watch`") == in_force


def test_line_and_json_hold_the_word_beside_the_reason() -> None:
    found = assess(replace(RELEASED, registry_champion=None, records=DRIFTING))
    line = found.line
    assert (line.level, line.word) == ("bad", "Registry differs from the ledger")
    assert line.notes == ("Drifting: 1 of 2 columns drifted in 2013-11, temp most",)
    plain = json.loads(json.dumps(found.to_json()))
    assert plain["condition"] == "registry_differs"
    assert (plain["word"], plain["level"], plain["action"]) == (line.word, line.level, line.action)
    assert [each["condition"] for each in plain["also"]] == ["drifting"]
    assert {level for _, level in WORDS.values()} == SYMBOLS.keys()
