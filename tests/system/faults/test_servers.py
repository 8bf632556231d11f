"""What a run depends on goes away while it works: the scheduler, the MLflow server, MLflow's database."""

import sqlite3

from live_stack import LiveStack, wait_until


def test_scheduler_killed_during_a_run_is_started_again_and_the_run_completes(stack: LiveStack) -> None:
    before = len(stack.ledger())
    with stack.held_at("before pipeline.fit") as wait_until_there:
        run_id = stack.start(stack.champion_period())
        wait_until_there()
        stack.kill_process("airflow-scheduler")
    run = stack.finish(run_id)
    assert run.state == "success"
    assert len(stack.ledger()) == before + 1


def test_mlflow_killed_during_training_is_waited_for_or_the_run_fails_and_the_champion_stays(stack: LiveStack) -> None:
    before = stack.ledger()
    with stack.held_at("before pipeline.fit") as wait_until_there:
        run_id = stack.start(stack.champion_period())
        wait_until_there()
        stack.kill_process("mlflow")
    run = stack.finish(run_id)
    stack.wait_for_mlflow()
    if run.state == "success":
        assert len(stack.ledger()) == len(before) + 1
    else:
        assert run.states["train"] == "failed"
        assert stack.settings.local_mlflow_url in stack.log(run, "train")  # the error names what does not answer
        assert stack.ledger() == before


def test_mlflow_database_locked_by_another_process_is_waited_for(stack: LiveStack) -> None:
    before = len(stack.ledger())
    log = stack.settings.home / "var" / "logs" / "mlflow.log"
    database = sqlite3.connect(stack.settings.home / "var" / "mlflow" / "mlflow.db", isolation_level=None)
    with stack.held_at("before pipeline.fit") as wait_until_there:
        run_id = stack.start(stack.champion_period())
        wait_until_there()
        written = len(log.read_text())
        database.execute("BEGIN EXCLUSIVE")
    try:
        wait_until("MLflow has found it locked", lambda: "database is locked" in log.read_text()[written:])
    finally:
        database.close()  # which ends the lock
    assert stack.finish(run_id).state == "success"
    assert len(stack.ledger()) == before + 1
