"""When `make up` stops waiting: not while processes make progress."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelworks.stack import health
from modelworks.stack.health import Patience


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("cpu_per_s", "healthy_at", "over_at"),
    [
        (0.0, None, 250),  # nothing moves: after four minutes
        (0.1, None, 250),  # idle servers, and one that is never healthy
        (0.0, 200, 450),  # a part became healthy on the way
        (1.0, None, 610),  # a busy machine: until the limit
    ],
)
def test_patience_lasts_while_there_is_progress(cpu_per_s: float, healthy_at: int | None, over_at: int) -> None:
    clock = Clock()
    patience = Patience(limit_s=600, stall_s=240, clock=clock)
    for second in range(10, 2000, 10):
        clock.now = float(second)
        healthy = 1 if healthy_at and second >= healthy_at else 0
        if patience.is_over(healthy, cpu_per_s * second):
            break
    assert (second, patience.waited_s) == (over_at, float(over_at))


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="only Linux says how long a process waits")
def test_waiting_for_a_processor_that_others_use_is_no_standstill() -> None:
    processor = min(os.sched_getaffinity(0))
    endless = f"import os\nos.sched_setaffinity(0, {{{processor}}})\nwhile True: pass"
    rivals = [subprocess.Popen([sys.executable, "-c", endless]) for _ in range(2)]
    try:
        while any(health._waited_seconds(each.pid) < 0.2 for each in rivals):
            assert [each.poll() for each in rivals] == [None, None]
            time.sleep(0.1)
    finally:
        for each in rivals:
            each.kill()
            each.wait()
    assert health._waited_seconds(rivals[0].pid) == 0  # it is gone
