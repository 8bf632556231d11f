"""Each stage's process is killed by -9 at its worst moments: the run goes on, and nothing is there twice or by half."""

import pytest
from live_stack import LiveStack

# Each is one run, in which the processes that come to these moments die there, one after the other.
ROUNDS = [
    {
        "ingest": ["after partitions.PartitionWriter.write"],  # some rows are in a file
        "validate": ["after runs.Runs.open"],  # MLflow has the run, and nobody knows of it
        "train": ["before pipeline.fit"],
        "evaluate": ["before runs.Runs.log_figure"],  # the verdict is there, and half of what belongs to it
        "deploy": ["after versions.Versions.register", "before runs.Runs.end"],
    },
    {
        "ingest": ["before journal.create"],  # a period's file is there, its manifest is not
        "validate": ["before runs.Runs.log_text"],
        "train": ["after models.Models.save"],
        "deploy": ["after journal.append_entry", "after versions.Versions.move_alias"],  # the aliases are behind
    },
]


@pytest.mark.parametrize("kills", ROUNDS)
def test_stage_killed_is_tried_again_and_finishes(stack: LiveStack, kills: dict[str, list[str]]) -> None:
    before = len(stack.ledger())
    for moments in kills.values():
        stack.kill_at(*moments)
    run = stack.run()
    assert run.state == "success"
    assert run.tries == {task: 1 + len(kills.get(task, [])) for task in run.tries}
    assert len(stack.ledger()) == before + 1
