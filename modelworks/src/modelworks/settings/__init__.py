"""Every setting, typed: `pipeline.toml`, then `environments/<name>.toml`, `.env` and the environment's variables.

The environment variable of a setting has its section and key in capitals: `[training] seed` is
`MODELWORKS_TRAINING__SEED`. Settings are loaded at the edge (a DAG task, a command, the API's factory) and handed down.
"""

from modelworks.settings.access import Access, check_issuer_url
from modelworks.settings.base import Period, Section
from modelworks.settings.data import Compute, Labels, Schedule, Source, Storage, Validation
from modelworks.settings.disk import check_disk, explain_disk, explaining_disk, says_full, written_folders
from modelworks.settings.environments import ENVIRONMENT_VARIABLE, list_environments
from modelworks.settings.home import name_safely
from modelworks.settings.loading import HOME_VARIABLE, check_working_folder, find_home, load_settings, read_name
from modelworks.settings.models import ApprovalMode, Evaluation, Fairness, Gates, Limits, Model, Training, Tuning
from modelworks.settings.operations import Event, Monitoring, Notifications, Retraining, Serving, Stack, Tracking
from modelworks.settings.policy import Policy
from modelworks.settings.rollout import ReleaseMode, Rollout
from modelworks.settings.settings import ENV_PREFIX, Settings

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "ENV_PREFIX",
    "HOME_VARIABLE",
    "Access",
    "ApprovalMode",
    "Compute",
    "Evaluation",
    "Event",
    "Fairness",
    "Gates",
    "Labels",
    "Limits",
    "Model",
    "Monitoring",
    "Notifications",
    "Period",
    "Policy",
    "ReleaseMode",
    "Retraining",
    "Rollout",
    "Schedule",
    "Section",
    "Serving",
    "Settings",
    "Source",
    "Stack",
    "Storage",
    "Tracking",
    "Training",
    "Tuning",
    "Validation",
    "check_disk",
    "check_issuer_url",
    "check_working_folder",
    "explain_disk",
    "explaining_disk",
    "find_home",
    "list_environments",
    "load_settings",
    "name_safely",
    "read_name",
    "says_full",
    "written_folders",
]
