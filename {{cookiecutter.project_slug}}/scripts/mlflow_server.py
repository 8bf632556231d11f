"""`mlflow`, but for a server that is one process.

MLflow starts its server as a child of its own. Killed by -9, the parent leaves the child behind, which keeps the port,
so that nothing can take its place. Here the server takes the place of the parent.
"""

import os
from typing import Any

import mlflow.server
from mlflow.cli import cli


def become(command: list[str], extra_env: dict[str, str], **_: Any) -> None:
    """Go on as another program."""
    os.execvpe(command[0], command, {**os.environ, **extra_env})  # noqa: S606 - MLflow's own words


mlflow.server._exec_cmd = become
cli()
