"""`mlflow`, with a server that is one process.

MLflow starts its server as a child process. A parent killed by -9 leaves the child behind, which keeps the port, so
that no other server can take its place. Here the server replaces the parent.
"""

import os
from typing import Any

import mlflow.server
from mlflow.cli import cli


def become(command: list[str], extra_env: dict[str, str], **_: Any) -> None:
    """Continue as another program."""
    os.execvpe(command[0], command, {**os.environ, **extra_env})  # noqa: S606 - MLflow's own command


if __name__ == "__main__":
    setattr(mlflow.server, "_exec_cmd", become)  # noqa: B010 - it is not exported
    cli()
