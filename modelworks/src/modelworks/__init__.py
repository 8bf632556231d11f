"""The engine of an ML pipeline: partitions, validation, tuning, gates, registry, serving, monitoring and backtest.

A project hands it one object, `Project`; the engine never imports a project. Importing this package imports nothing
heavy and reads no settings.
"""

from modelworks.checks import Check, on_columns
from modelworks.contract import Contract
from modelworks.project import Project, load_project
from modelworks.settings import load_settings

__version__ = "2.0.0"
__all__ = ["Check", "Contract", "Project", "load_project", "load_settings", "on_columns"]
