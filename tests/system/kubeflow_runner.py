"""Run a compiled pipeline by kfp's own local runner; started in the environment that `make kubeflow` has made.

    python kubeflow_runner.py PIPELINE.yaml FOLDER '{"period": "2013-06"}'

kfp's SubprocessRunner refuses components that are a container's command, as it has no container for them. Here their
command is on PATH, so that check is all that is left out: kfp loads the file, orders the tasks, fills in the values,
starts each command, reads what it has written, and ends at the first that fails.
"""

import json
import sys
from typing import Any

from kfp import components, local
from kfp.local.subprocess_task_handler import SubprocessTaskHandler


def run(pipeline: str, folder: str, arguments: dict[str, Any]) -> None:
    """Run a pipeline; raises where a task fails."""
    SubprocessTaskHandler.validate_not_container_component = lambda *_: None
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=folder)
    components.load_component_from_file(pipeline)(**arguments)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
