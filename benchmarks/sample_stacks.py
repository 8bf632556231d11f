"""Run a Python program and sample where all its threads are; runs in the project's environment.

::

    python sample_stacks.py RESULT PLACES MODULE [ARGUMENT ...]

RESULT becomes a JSON object of wall seconds by place, and PLACES is a JSON list of [place, marks]. A sample belongs
to the first place one of whose marks is part of a `file:function` in the stack of any thread, else to "".
"""

from __future__ import annotations

import json
import runpy
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType

INTERVAL_S = 0.005


class Sampler(threading.Thread):
    """Adds up the seconds by place until it is stopped."""

    def __init__(self, places: list[tuple[str, list[str]]]) -> None:
        super().__init__(daemon=True)
        self.seconds: dict[str, float] = defaultdict(float)
        self._places = places
        self._stopped = threading.Event()

    def run(self) -> None:
        """Take samples; each counts for the time since the one before it."""
        before = time.perf_counter()
        while not self._stopped.wait(INTERVAL_S):
            place = self._place(sys._current_frames())
            now = time.perf_counter()
            self.seconds[place] += now - before
            before = now

    def stop(self) -> None:
        """Take no more samples."""
        self._stopped.set()
        self.join()

    def _place(self, threads: dict[int, FrameType]) -> str:
        stacks = [_describe(frame) for thread, frame in threads.items() if thread != self.ident]
        calls = "\n".join(stacks)
        return next((place for place, marks in self._places if any(mark in calls for mark in marks)), "")


def _describe(frame: FrameType | None) -> str:
    calls = []
    while frame:
        calls.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
        frame = frame.f_back
    return "\n".join(calls)


def main() -> None:
    """Run the module, as `python -m` does, under the sampler; its exit status is this one's."""
    result, places, module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    sampler = Sampler(json.loads(places))
    sampler.start()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sampler.stop()
        Path(result).write_text(json.dumps(sampler.seconds), encoding="utf-8")


if __name__ == "__main__":
    main()
