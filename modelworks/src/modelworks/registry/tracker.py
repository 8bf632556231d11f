"""One experiment and one registered model at one MLflow server or file."""

from pathlib import Path

from mlflow import MlflowClient

from modelworks.project import Project
from modelworks.registry.models import Models
from modelworks.registry.origin import Copies
from modelworks.registry.relocation import repair_locations
from modelworks.registry.runs import Runs
from modelworks.registry.store import whole_store
from modelworks.registry.versions import Versions
from modelworks.settings import Settings

SQLITE = "sqlite:///"


class Tracker:
    """Runs, models and versions of a project.

    Several may exist in one process, each with a server of its own: MLflow's process-wide tracking URI is neither
    read nor set.

    Whatever is asked for twice is made once: a pipeline run has one MLflow run, a run one model of each name, and a
    run one version. So a stage that was killed can be started again.

    Parameters
    ----------
    experiment : its name; "" for that of training

    Attributes
    ----------
    runs : of the experiment
    models : saved with these runs
    versions : of the registered model
    copies : of models and runs, for another server and from it
    """

    def __init__(self, project: Project, settings: Settings, experiment: str = "") -> None:
        if settings.tracking_uri.startswith(SQLITE):
            Path(settings.tracking_uri.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
            if settings.is_mlflow_local and not settings.local_store_file.exists():
                with whole_store(settings) as uri:
                    MlflowClient(uri, uri).search_experiments()  # makes the database
            repair_locations(settings)
        client = MlflowClient(settings.tracking_uri, settings.tracking_uri)
        self.runs = Runs(client, settings, experiment or settings.experiment)
        self.models = Models(client, project, self.runs, settings)
        self.versions = Versions(client, settings)
        self.copies = Copies(client, self.models, settings)
