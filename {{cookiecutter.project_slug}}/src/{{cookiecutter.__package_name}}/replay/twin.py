"""A second home of the project: the same code, settings and sources, and a `var` of its own.

Whatever happens there, neither the project's storage nor its registry nor its Airflow see any of it.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from ..config import ENV_PREFIX, HOME_VARIABLE, Settings, load_settings

OWN = {"var", ".git", ".env"}


def make_twin(home: Path, folder: Path) -> None:
    """Make the folder a home that has nothing of its own but an empty `var`; what was there is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "var").mkdir(parents=True)
    for each in home.iterdir():
        if each.name not in OWN:
            (folder / each.name).symlink_to(each)


def enter_twin(folder: Path, overrides: Mapping[str, str]) -> Settings:
    """Let all settings of this process and its children be read for the twin, from now on.

    Parameters
    ----------
    overrides : texts of knobs by their names, such as `retraining.every_months`
    """
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    os.environ[HOME_VARIABLE] = str(folder)
    # Where the team's settings name a shared storage or server, the twin still keeps to itself, and asks nobody.
    own = {"storage.uri": "var/data", "tracking.uri": "", "gates.approval": "never", "notifications.events": "[]"}
    for name, value in {**own, **overrides}.items():
        os.environ[to_variable(name)] = value
    return load_settings()


def to_variable(name: str) -> str:
    """The environment variable of a knob."""
    return f"{ENV_PREFIX}{name.replace('.', '__').upper()}"
