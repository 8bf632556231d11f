"""All settings of one run, and what follows from several of them."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from modelworks.calendar import CRONS
from modelworks.settings.access import Access
from modelworks.settings.data import Compute, Labels, Schedule, Source, Storage, Validation
from modelworks.settings.environments import read_tables
from modelworks.settings.models import Evaluation, Gates, Model, Training, Tuning
from modelworks.settings.operations import Monitoring, Notifications, Retraining, Serving, Stack, Tracking
from modelworks.settings.policy import Policy
from modelworks.settings.rollout import Rollout

ENV_PREFIX = "MODELWORKS_"


class Settings(BaseSettings):
    """All settings of one run.

    Attributes
    ----------
    home : the project's folder, from which relative paths start
    name : the project's, from its pyproject.toml
    environment : whose settings lie on top of pipeline.toml; "" if none is chosen
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    home: Path
    name: str = Field(min_length=1)
    environment: str = ""
    source: Source
    labels: Labels = Labels()
    storage: Storage = Storage()
    compute: Compute = Compute()
    schedule: Schedule = Schedule()
    validation: Validation = Validation()
    training: Training = Training()
    model: Model = Model()
    tuning: Tuning = Tuning()
    evaluation: Evaluation = Evaluation()
    gates: Gates = Gates()
    monitoring: Monitoring = Monitoring()
    retraining: Retraining = Retraining()
    serving: Serving = Serving()
    access: Access = Access()
    rollout: Rollout = Rollout()
    notifications: Notifications = Notifications()
    stack: Stack = Stack()
    tracking: Tracking = Tracking()
    policy: Policy = Policy()

    @model_validator(mode="after")
    def _is_one_run_a_period(self) -> "Settings":
        self.schedule.check_period(self.source.period, self.source.first, gaps=self.source.gaps)
        return self

    @model_validator(mode="after")
    def _spark_trains_on_spark(self) -> "Settings":
        if workers := self.training.spark_workers:
            setting = f"[training] spark_workers = {workers}"
            if self.compute.executor != "spark":
                raise ValueError(f'{setting} wants [compute] executor = "spark"; set it to 0 to train in one process')
            if not self.training.max_rows:
                raise ValueError(
                    f"{setting} wants [training] max_rows, the rows that one process reads to tune and to evaluate"
                )
        return self

    @model_validator(mode="after")
    def _rollouts_compare_logged_requests(self) -> "Settings":
        if self.rollout.release != "at_once" and not self.serving.log_predictions:
            raise ValueError(
                f'[rollout] release = "{self.rollout.release}" compares models on logged requests: set [serving] '
                'log_predictions = true, or release = "at_once"'
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then variables, then the file of the environment, then pipeline.toml."""
        assert isinstance(init_settings, InitSettingsSource)
        given = init_settings.init_kwargs
        tables = read_tables(given["home"], given.get("environment", ""))
        return init_settings, env_settings, InitSettingsSource(settings_cls, tables)

    @property
    def digest(self) -> str:
        """SHA-256 of what shapes a model: the same digest, data and code give the same model."""
        shaping = self.model_dump(include={"training", "model", "tuning"})
        return _sha256(shaping)

    @property
    def gates_digest(self) -> str:
        """SHA-256 of the limits that a model has to meet; whether a person is asked as well is none of them."""
        return _sha256(self.gates.model_dump(exclude={"approval", "approval_timeout_hours"}))

    def absolute(self, uri: str) -> str:
        """A URI with a relative local path resolved against the project's folder."""
        return uri if "://" in uri else str(self.home / uri)

    def relative(self, uri: str) -> str:
        """A URI as it is recorded: one below the project's folder starts there, and holds wherever the project lies."""
        return uri.removeprefix(f"{self.home}/")

    @property
    def within(self) -> str:
        """The environment as titles name it, such as " in prod"; "" if none is chosen."""
        return f" in {self.environment}" if self.environment else ""

    @property
    def storage_uri(self) -> str:
        """Where partitions, datasets and journals are."""
        return self.absolute(self.storage.uri)

    @property
    def cron(self) -> str:
        """When Airflow ingests: `[schedule] cron`, else the start of each period."""
        return self.schedule.cron or CRONS[self.source.period]

    @property
    def tracking_uri(self) -> str:
        """Where MLflow keeps runs and models: `[tracking] uri`, else a SQLite file below `var/`."""
        return self.tracking.uri or self.local_store_uri

    @property
    def tracking_address(self) -> str:
        """`tracking_uri` as it may be shown and stored: without the user and password of a server or a database."""
        return re.sub(r"(?<=://)[^/?#]*@", "", self.tracking_uri)

    @property
    def experiment(self) -> str:
        """MLflow's experiment for training runs: `[tracking] experiment`, else the project's name."""
        return self.tracking.experiment or self.name

    @property
    def registered_model(self) -> str:
        """Name of the model in the registry: `[tracking] model_name`, else the project's name."""
        return self.tracking.model_name or self.name

    @property
    def prefix(self) -> str:
        """What the ids of the project's DAGs and assets begin with."""
        return self.name.replace("-", "_")

    @property
    def monitoring_experiment(self) -> str:
        """MLflow's experiment for what is found in new periods, beside that for training."""
        return f"{self.experiment}-monitoring"

    @property
    def registry(self) -> str:
        """A name for the registry that is released to, since each has a ledger of its own.

        By default two addresses of one server are two registries; `[tracking] registry` makes them one.
        """
        server = "local" if self.is_mlflow_local else hashlib.sha256(self.tracking.uri.encode()).hexdigest()[:8]
        return f"{self.registered_model}@{self.tracking.registry or server}"

    @property
    def local_store_uri(self) -> str:
        """The file that holds runs and models where no server is configured."""
        return f"sqlite:///{self.local_store_file}"

    @property
    def local_store_file(self) -> Path:
        """The same as a path."""
        return self.home / "var" / "mlflow" / "mlflow.db"

    @property
    def local_artifacts_uri(self) -> str:
        """The folder that holds the files of runs and models where no server is configured."""
        return (self.home / "var" / "mlflow" / "artifacts").as_uri()

    @property
    def is_mlflow_local(self) -> bool:
        """Whether runs and models lie below `var/`; the server of `make up` shows the same file."""
        return self.tracking.uri in {"", self.local_store_uri, self.local_mlflow_url}

    @property
    def local_mlflow_url(self) -> str:
        """Where `make up` serves the runs and models below `var/`."""
        return self.stack.url("mlflow")

    @property
    def mlflow_url(self) -> str:
        """Where people see runs and models: on the server of `make up`, or on the team's."""
        return self.local_mlflow_url if self.is_mlflow_local else self.tracking_address


def _sha256(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
