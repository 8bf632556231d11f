"""A disk that is full, one that may not be written to, and one that gives back other bytes than it was given."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from live_stack import LiveStack

NOT_MOUNTED = "needs a small disk of its own, and `mount` is for root only here"
BALLAST = "ballast"
ROOM_BYTES = 16 * 1024


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Fill the disk but for a little room, in which a period finds no place."""
    ballast = disk / BALLAST
    ballast.write_bytes(bytes(shutil.disk_usage(disk).free - ROOM_BYTES))
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def write_protected(disk: Path) -> Iterator[None]:
    """Let nobody write there. Root heeds no permissions, but does heed a disk that is mounted for reading only."""
    folder = disk / "raw"
    is_root = os.geteuid() == 0
    mode = folder.stat().st_mode
    try:
        if is_root:
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        else:
            folder.chmod(0o500)
        yield
    finally:
        if is_root:
            subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        else:
            folder.chmod(mode)


@pytest.mark.parametrize(
    ("fault", "message"),
    [(full, "No space left on device"), (write_protected, "Read-only file system|Permission denied")],
)
def test_period_that_cannot_be_written_is_tried_again_and_leaves_no_rest(stack: LiveStack, fault, message: str) -> None:
    disk = Path(stack.settings.storage_uri)
    if not disk.is_mount() and (fault is full or os.geteuid() == 0):
        pytest.skip(NOT_MOUNTED)
    before = len(stack.ledger())
    with stack.held_at("failed partitions.PartitionWriter.publish") as wait_until_failed, fault(disk):
        run_id = stack.start()
        wait_until_failed()
    run = stack.finish(run_id)
    assert run.state == "success"
    assert run.tries["ingest"] == 2
    stack.wait_for_log(run_id, "ingest", message)
    assert list(disk.rglob("*.tmp")) == []
    assert len(stack.ledger()) == before + 1


def test_flipped_byte_is_refused_by_the_hash_and_the_file_is_named(stack: LiveStack) -> None:
    before = stack.ledger()
    partition = stack.partition("clean", stack.champion_period())
    file = Path(partition.files[0])
    sound = file.read_bytes()
    middle = len(sound) // 2
    file.write_bytes(sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :])
    try:
        run = stack.run(partition.period)
    finally:
        file.write_bytes(sound)
    assert run.state == "failed"
    assert run.tries["validate"] == 1  # trying again changes nothing
    assert f"{file}: damaged: SHA-256 is" in stack.log(run, "validate")
    assert stack.ledger() == before
