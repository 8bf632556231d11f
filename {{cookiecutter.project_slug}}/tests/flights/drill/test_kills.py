"""Each stage's process is killed by -9 at its worst moments: the run goes on, and nothing is there twice or by half."""

import pytest

from world import World

# Each is one run, in which the processes that come to these moments die there, one after the other.
ROUNDS = [
    {
        "ingest": ["after storage.PartitionWriter.write"],  # some rows are in a file
        "validate": ["after tracking.Tracker.open_run"],  # MLflow has the run, and nobody knows of it
        "train": ["before training.fit"],
        "evaluate": ["before tracking.Tracker.log_figure"],  # the verdict is there, and half of what belongs to it
        "deploy": ["after tracking.Tracker.register", "before tracking.Tracker.end_run"],
    },
    {
        "ingest": ["before journal.create"],  # a month's file is there, its manifest is not
        "validate": ["before tracking.Tracker.log_text"],
        "train": ["after tracking.Tracker.save_model"],
        "deploy": ["after journal.append_entry", "after tracking.Tracker.move_alias"],  # the aliases are behind
    },
]


@pytest.mark.parametrize("kills", ROUNDS)
def test_stage_killed_is_tried_again_and_finishes(world: World, kills: dict[str, list[str]]) -> None:
    before = len(world.ledger())
    for moments in kills.values():
        world.kill_at(*moments)
    run = world.run()
    assert run.state == "success"
    assert run.tries == {task: 1 + len(kills.get(task, [])) for task in run.tries}
    assert len(world.ledger()) == before + 1
