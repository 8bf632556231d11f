"""Loaded by each Python process of the drill: stops the process at a named moment, as a file tells it to.

A file in the folder $DRILL_ORDERS is an order. Its name is a moment, such as `after tracking.Tracker.register`. It
holds `kill`, which is obeyed by the first process that comes there, or `wait`, by all until the file is gone.
So a real process dies, or can be caught, at an exact moment, and the project's own code knows nothing of it.
"""

import functools
import os
import signal
import sys
import time
from importlib.machinery import ModuleSpec, PathFinder
from operator import attrgetter
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

ORDERS = Path(os.environ["DRILL_ORDERS"])
PACKAGE = os.environ["DRILL_PACKAGE"]
FUNCTIONS = {
    "mlflow.tracking.client": ["MlflowClient.create_model_version"],
    f"{PACKAGE}.journal": ["append_entry", "create"],
    f"{PACKAGE}.storage": ["PartitionWriter.write"],
    f"{PACKAGE}.tracking": [
        "Tracker.end_run",
        "Tracker.log_figure",
        "Tracker.log_text",
        "Tracker.move_alias",
        "Tracker.open_run",
        "Tracker.register",
        "Tracker.save_model",
    ],
    f"{PACKAGE}.training": ["fit"],
}


def obey(moment: str) -> None:
    """Carry out the order for this moment, if there is one."""
    file = ORDERS / moment
    try:
        order = file.read_text()
        if order == "kill":
            file.unlink()  # of two processes, one gets it
            os.kill(os.getpid(), signal.SIGKILL)
    except FileNotFoundError:
        return
    (ORDERS / f"{moment} {os.getpid()}").touch()
    while file.exists():
        time.sleep(0.05)


def watch(module: ModuleType, name: str) -> None:
    """Look for orders before and after each call of a function."""
    *path, last = name.split(".")
    owner = attrgetter(".".join(path))(module) if path else module
    function = getattr(owner, last)
    moment = f"{module.__name__.rpartition('.')[2]}.{name}"

    @functools.wraps(function)
    def watched(*arguments: Any, **options: Any) -> Any:
        obey(f"before {moment}")
        result = function(*arguments, **options)
        obey(f"after {moment}")
        return result

    setattr(owner, last, watched)


def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
    """Python's own finding of a module; where it is one to be watched, its functions are wrapped once it is there."""
    if name not in FUNCTIONS:
        return None
    spec = PathFinder.find_spec(name, path, target)
    assert spec
    assert spec.loader
    execute = spec.loader.exec_module

    def execute_and_watch(module: ModuleType) -> None:
        execute(module)
        for function in FUNCTIONS[name]:
            watch(module, function)

    spec.loader.exec_module = execute_and_watch  # type: ignore[method-assign]
    return spec


sys.meta_path.insert(0, SimpleNamespace(find_spec=find_spec))  # type: ignore[arg-type]
