"""Loaded by each Python process of the fault-injection tests: stops the process at a named moment, by order of a file.

A file in the folder $FAULT_ORDERS is an order. Its name is a moment, such as `after versions.Versions.register`. It
holds `kill`, which the first process that reaches the moment obeys, or `wait`, which all obey until the file is gone.
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

ORDERS = Path(os.environ["FAULT_ORDERS"])
FUNCTIONS = {
    "mlflow.tracking.client": ["MlflowClient.create_model_version"],
    "modelworks.adopt.adoption": ["profile_table"],
    "modelworks.adopt.conversion": ["PeriodFiles.write"],
    "modelworks.adopt.leaks": ["try_out"],
    "modelworks.adopt.writing": ["_apply"],
    "modelworks.data.journal": ["append_entry", "create"],
    "modelworks.data.partitions": ["PartitionWriter.publish", "PartitionWriter.write"],
    "modelworks.models.pipeline": ["fit"],
    "modelworks.registry.models": ["Models.save"],
    "modelworks.registry.runs": ["Runs.end", "Runs.log_figure", "Runs.log_text", "Runs.open"],
    "modelworks.registry.versions": ["Versions.move_alias", "Versions.register"],
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
    """Look for orders before and after each call of a function, or once it has failed."""
    *path, last = name.split(".")
    owner = attrgetter(".".join(path))(module) if path else module
    function = getattr(owner, last)
    moment = f"{module.__name__.rpartition('.')[2]}.{name}"

    @functools.wraps(function)
    def watched(*arguments: Any, **options: Any) -> Any:
        obey(f"before {moment}")
        try:
            result = function(*arguments, **options)
        except Exception:
            obey(f"failed {moment}")
            raise
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
