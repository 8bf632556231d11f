"""What a run depends on goes away while it works: the scheduler, the MLflow server, MLflow's database."""

import sqlite3

from world import World, wait_until


def test_scheduler_killed_during_a_run_is_started_again_and_the_run_completes(world: World) -> None:
    before = len(world.ledger())
    with world.held_at("before training.fit") as wait_until_there:
        run_id = world.start(world.champion_month())
        wait_until_there()
        world.kill_process("airflow-scheduler")
    run = world.finish(run_id)
    assert run.state == "success"
    assert len(world.ledger()) == before + 1


def test_mlflow_killed_during_training_is_waited_for_or_the_run_fails_and_the_champion_stays(world: World) -> None:
    before = world.ledger()
    with world.held_at("before training.fit") as wait_until_there:
        run_id = world.start(world.champion_month())
        wait_until_there()
        world.kill_process("mlflow")
    run = world.finish(run_id)
    world.wait_for_mlflow()
    if run.state == "success":
        assert len(world.ledger()) == len(before) + 1
    else:
        assert run.states["train"] == "failed"
        assert world.settings.local_mlflow_url in world.log(run, "train")  # the error names what does not answer
        assert world.ledger() == before


def test_mlflow_database_locked_by_another_process_is_waited_for(world: World) -> None:
    before = len(world.ledger())
    log = world.settings.home / "var" / "logs" / "mlflow.log"
    database = sqlite3.connect(world.settings.home / "var" / "mlflow" / "mlflow.db", isolation_level=None)
    with world.held_at("before training.fit") as wait_until_there:
        run_id = world.start(world.champion_month())
        wait_until_there()
        written = len(log.read_text())
        database.execute("BEGIN EXCLUSIVE")
    try:
        wait_until("MLflow has found it locked", lambda: "database is locked" in log.read_text()[written:])
    finally:
        database.close()  # which ends the lock
    assert world.finish(run_id).state == "success"
    assert len(world.ledger()) == before + 1
