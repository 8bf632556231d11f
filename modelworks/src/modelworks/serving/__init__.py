"""The prediction API; ``python -m modelworks.serving`` starts it in a project's folder."""

import os
from typing import TYPE_CHECKING

from modelworks.project import Project, load_project
from modelworks.registry import set_mlflow_defaults
from modelworks.registry.policy import check_policy
from modelworks.settings import Settings, load_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["create_app"]

PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""MLflow's patience in a server that asks every few seconds: it need not retry often, nor wait two minutes."""


def create_app(project: Project | None = None, settings: Settings | None = None) -> "FastAPI":
    """The prediction API of a project.

    Without arguments, as ``uvicorn modelworks.serving:create_app --factory`` calls it, it is the API of the folder of
    `find_home`, and the process gets MLflow's defaults as environment variables.

    Parameters
    ----------
    project : by default the one of the settings' folder
    settings : by default those of `pipeline.toml` and the environment

    Raises
    ------
    ConfigError
        If the environment's [policy] refuses the settings.
    """
    if settings is None:
        settings = load_settings()
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        set_mlflow_defaults()
    check_policy(settings)
    project = project or load_project(settings.home)
    # MLflow reads the environment at its import.
    from modelworks.serving.api import build_app

    return build_app(project, settings)
