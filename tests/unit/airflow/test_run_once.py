import os
import subprocess
import sys

FULL = """
import sys
from contextlib import suppress
from pathlib import Path
from modelworks.airflow.run import output_to

with output_to(Path("/dev/full")):
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            print("a traceback", file=stream)
for stream in (sys.stdout, sys.stderr):
    print("the message", file=stream)
"""


def test_what_finds_no_room_in_the_log_is_not_shown_later() -> None:
    buffered = os.environ | {"PYTHONUNBUFFERED": ""}  # else nothing is left to be shown, whatever the shell says
    done = subprocess.run([sys.executable, "-c", FULL], env=buffered, capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == "the message\n"
