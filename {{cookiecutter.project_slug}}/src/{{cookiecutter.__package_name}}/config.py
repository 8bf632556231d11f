"""Every knob, typed: `pipeline.toml`, overridden by the environment and `.env`.

The environment variable of a knob is the package's name, the section and the key, in capitals:
`[training] seed` is `<PACKAGE>_TRAINING__SEED`.
"""

import hashlib
import json
import os
import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from croniter import croniter
from dotenv import load_dotenv
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from .errors import ConfigError

PACKAGE = __name__.split(".")[0]
ENV_PREFIX = f"{PACKAGE.upper()}_"
HOME_VARIABLE = f"{ENV_PREFIX}HOME"

# A parameter of a query, as SQLAlchemy finds it: `::` is a cast, and `\\:` is a colon.
BOUND = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")

Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Score = Annotated[float, Field(ge=0, le=1)]
ApprovalMode = Literal["never", "always", "on_warning"]
Window = Annotated[str, Field(pattern=r"^(never|\d{1,2} of \d{1,2})$")]
Event = Literal["failure", "refusal", "retraining", "deployment"]
Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """One table of pipeline.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Section):
    """Where the months come from: files, or a query of a SQL database."""

    uri: str = ""
    query: str = ""
    sql_connection: str = Field("", pattern=r"^[\w.-]*$", repr=False)
    delimiter: str = Field(",", min_length=1, max_length=1)
    null_values: list[str] = [""]
    first_month: Month
    last_month: Month | Literal[""] = ""

    @model_validator(mode="after")
    def _months_in_order(self) -> "Source":
        if self.uri and "{month}" not in self.uri:
            raise ValueError(f"uri {self.uri!r} has no {{month}} in it, such as data/flights-{{month}}.csv.gz")
        if self.last_month and self.last_month < self.first_month:
            raise ValueError(f"last_month {self.last_month} comes before first_month {self.first_month}")
        return self

    @model_validator(mode="after")
    def _is_files_or_a_query(self) -> "Source":
        if bool(self.uri) == bool(self.query):
            raise ValueError('exactly one of uri (files) and query (of a SQL database) is wanted; set the other to ""')
        if bool(self.query) != bool(self.sql_connection):
            raise ValueError("query and sql_connection belong together: set both for a SQL database, or neither")
        if self.query and set(BOUND.findall(self.query)) != {"start", "end"}:
            raise ValueError(
                "query has to hold :start and :end, and no other parameter, "
                "as in select * from flights where at >= :start and at < :end"
            )
        return self

    @property
    def connection_variable(self) -> str:
        """The environment variable that holds the database's URL, or Airflow's JSON of the connection."""
        return f"AIRFLOW_CONN_{self.sql_connection.upper()}"


class Labels(Section):
    """Where a month's outcomes are, and when they are known."""

    uri: str = ""
    delay_months: int = Field(0, ge=0, le=120)
    min_labelled_fraction: float = Field(0.9, gt=0, le=1)

    @field_validator("uri")
    @classmethod
    def _is_one_a_month(cls, value: str) -> str:
        if value and "{month}" not in value:
            raise ValueError("no {month} in it, such as data/outcomes-{month}.csv; empty: outcomes are in the source")
        return value


class Storage(Section):
    """Where everything that a run makes is kept."""

    uri: str = Field("var/data", min_length=1)


class Schedule(Section):
    """When Airflow starts the training DAG by itself."""

    cron: str = Field("0 0 1 * *", min_length=9)
    timezone: str = "UTC"
    task_timeout_minutes: int = Field(60, ge=1)

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        if not croniter.is_valid(value):
            raise ValueError("not a cron expression of five fields, such as '0 0 1 * *'")
        return value

    @field_validator("timezone")
    @classmethod
    def _is_timezone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("no time zone of that name; write it as UTC or Europe/Berlin")
        return value


class Validation(Section):
    """How bad a month may be before the run stops."""

    max_quarantined_fraction: Fraction = 0.01
    max_row_count_change: Annotated[float, Field(gt=0)] = 0.5
    max_null_fraction_increase: Fraction = 0.25


class Training(Section):
    """What the model learns from."""

    window_months: int = Field(0, ge=0)
    holdout_months: int = Field(1, ge=1)
    holdout_fraction: float = Field(0.2, gt=0, lt=1)
    max_rows: int = Field(0, ge=0)
    features: list[str] = []
    seed: int = Field(2013, ge=0, lt=2**32)
    threads: int = Field(1, ge=0)


class Model(Section):
    """What kind of model it is, its parameters, and what comes before it; "" is its family's own."""

    SHARED: ClassVar[frozenset[str]] = frozenset({
        *("learning_rate", "max_iter", "min_samples_leaf", "l2_regularization"),
        *("encoder", "weights", "weights_revision", "max_tokens", "image_side"),
    })
    """Parameters with a key here, as several families have them."""

    family: str = Field("boosting", pattern=r"^[a-z]\w*$")
    learning_rate: float = Field(0.08, gt=0, le=1)
    max_iter: int = Field(120, ge=1)
    min_samples_leaf: int = Field(100, ge=1)
    l2_regularization: float = Field(5.0, ge=0)
    encoding: Literal["", "native", "onehot", "target"] = ""
    imputation: Literal["", "native", "median", "mean"] = ""
    scaling: Literal["", "none", "standard", "squashing"] = ""
    encoder: str = Field("transformer", pattern=r"^[a-z]\w*$")
    weights: str = ""
    weights_revision: str = ""
    max_tokens: int = Field(128, ge=2)
    image_side: int = Field(8, ge=1, le=64)
    selected_fraction: float = Field(1.0, gt=0, le=1)
    parameters: dict[str, bool | int | float | str] = {}


class Search(Section):
    """How many other models are tried, and when one of them is taken."""

    trials: int = Field(0, ge=0)
    seconds: int = Field(300, ge=1, le=10**7)
    families: list[str] = []
    folds: int = Field(3, ge=2, le=10)
    confidence: float = Field(0.9, gt=0.5, lt=1)
    prefer: Literal["best", "simplest"] = "best"


class Evaluation(Section):
    """How the held-out rows are measured."""

    bootstrap_resamples: int = Field(1000, ge=100)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    min_slice_rows: int = Field(300, ge=1)


class Gates(Section):
    """What a model must show before it is released."""

    min_roc_auc: Score = 0.60
    max_roc_auc: Score = 0.85
    max_calibration_error: Score = 0.15
    min_r2: float = Field(0.0, le=1)
    max_r2: float = Field(0.99, le=1)
    max_bias: Annotated[float, Field(ge=0)] = 0.15
    min_gain_over_baseline: float = 0.0
    max_loss_over_champion: Annotated[float, Field(ge=0)] = 0.01
    max_slice_loss_over_champion: Annotated[float, Field(ge=0)] = 0.05
    approval: ApprovalMode = "never"
    approval_timeout_hours: float = Field(72, gt=0)


class Monitoring(Section):
    """What is an alarm, when a month is compared with the champion's past."""

    drift_confidence: float = Field(0.99, gt=0.5, lt=1)
    max_drifted_fraction: Fraction = 0.5
    max_decay: Annotated[float, Field(ge=0)] = 0.0


class Retraining(Section):
    """When monitoring asks for a new model."""

    first_after_months: int = Field(3, ge=1)
    on_decay: Window = "1 of 1"
    on_drift: Window = "never"
    every_months: int = Field(3, ge=0)
    cooldown_months: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _windows_can_be_reached(self) -> "Retraining":
        for name, window in (("on_decay", self.decay_window), ("on_drift", self.drift_window)):
            if window and not 1 <= window[0] <= window[1]:
                raise ValueError(f"{name} {getattr(self, name)!r}: so many of so few months cannot be")
        return self

    @property
    def decay_window(self) -> tuple[int, int] | None:
        """How many months of how many must show an alarm; None for never."""
        return _to_window(self.on_decay)

    @property
    def drift_window(self) -> tuple[int, int] | None:
        """The same for drift."""
        return _to_window(self.on_drift)


def _to_window(text: str) -> tuple[int, int] | None:
    if text == "never":
        return None
    wanted, last = text.split(" of ")
    return int(wanted), int(last)


class Serving(Section):
    """How the champion answers, row by row and in batches."""

    decision_threshold: Fraction = 0.5
    unseen_categories: Literal["refuse", "as_missing"] = "refuse"
    max_rows: int = Field(1000, ge=1)
    max_body_mb: float = Field(5.0, gt=0)
    champion_poll_s: float = Field(2.0, gt=0)
    log_predictions: bool = True


class Notifications(Section):
    """Who is told when something has happened; the connections are Airflow's."""

    events: list[Event] = list(get_args(Event))
    webhook_url: SecretStr = SecretStr("")
    slack_connection: str = ""
    email_to: list[Address] = []
    smtp_connection: str = "smtp_default"

    @field_validator("webhook_url")
    @classmethod
    def _is_url(cls, value: SecretStr) -> SecretStr:
        if url := value.get_secret_value():
            with suppress(ValueError):  # of a port that is none
                parts = urlsplit(url)
                if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
                    return value
            raise ValueError("not a URL such as https://hooks.example.com/abc")
        return value


class Stack(Section):
    """Where `make up` listens."""

    host: str = Field("127.0.0.1", min_length=1)
    airflow_port: Port = 8080
    mlflow_port: Port = 5000
    api_port: Port = 8000

    @model_validator(mode="after")
    def _ports_differ(self) -> "Stack":
        ports = [value for name, value in self if name.endswith("_port")]
        if doubled := {port for port in ports if ports.count(port) > 1}:
            raise ValueError(f"port {min(doubled)} is named twice; each server needs one of its own")
        return self

    @property
    def url_host(self) -> str:
        """The host as this computer asks for it."""
        reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - from all to one
        return f"[{reached}]" if ":" in reached else reached

    def url(self, server: Literal["airflow", "mlflow", "api"]) -> str:
        """Where a server of the stack is reached from this computer."""
        port: int = getattr(self, f"{server}_port")
        return f"http://{self.url_host}:{port}"


class Tracking(Section):
    """Where MLflow keeps runs and models."""

    uri: str = ""
    experiment: str = Field(PACKAGE, min_length=1)
    model_name: str = Field(PACKAGE, min_length=1)


class Settings(BaseSettings):
    """All settings of one run; `home` is the folder that relative paths start from."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    home: Path
    source: Source
    labels: Labels = Labels()
    storage: Storage = Storage()
    schedule: Schedule = Schedule()
    validation: Validation = Validation()
    training: Training = Training()
    model: Model = Model()
    search: Search = Search()
    evaluation: Evaluation = Evaluation()
    gates: Gates = Gates()
    monitoring: Monitoring = Monitoring()
    retraining: Retraining = Retraining()
    serving: Serving = Serving()
    notifications: Notifications = Notifications()
    stack: Stack = Stack()
    tracking: Tracking = Tracking()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, find_home() / "pipeline.toml")
        return init_settings, env_settings, toml

    @property
    def digest(self) -> str:
        """SHA-256 of what shapes a model: the same digest, data and code give the same model."""
        shaping = self.model_dump(include={"training", "model", "search"})
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()

    def absolute(self, uri: str) -> str:
        """A URI with a relative local path resolved against the project's folder."""
        return uri if "://" in uri else str(self.home / uri)

    @property
    def storage_uri(self) -> str:
        return self.absolute(self.storage.uri)

    @property
    def tracking_uri(self) -> str:
        """`MLFLOW_TRACKING_URI`, else `[tracking] uri`, else a SQLite file below `var/`."""
        return self._configured_tracking_uri or self.local_store_uri

    @property
    def monitoring_experiment(self) -> str:
        """MLflow's experiment for what is found in new months, beside that for training."""
        return f"{self.tracking.experiment}-monitoring"

    @property
    def registry(self) -> str:
        """A name for the registry that is released to, since each has a ledger of its own."""
        uri = self._configured_tracking_uri
        server = "local" if self.is_mlflow_local else hashlib.sha256(uri.encode()).hexdigest()[:8]
        return f"{self.tracking.model_name}@{server}"

    @property
    def local_store_uri(self) -> str:
        """The file that holds runs and models where no server is configured."""
        return f"sqlite:///{self.home / 'var' / 'mlflow' / 'mlflow.db'}"

    @property
    def is_mlflow_local(self) -> bool:
        """Whether runs and models lie below `var/`; the server of `make up` shows the same file."""
        # MLflow sets MLFLOW_TRACKING_URI itself once it is told where to go.
        return self._configured_tracking_uri in {"", self.local_store_uri, self.local_mlflow_url}

    @property
    def local_mlflow_url(self) -> str:
        """Where `make up` serves the runs and models below `var/`."""
        return self.stack.url("mlflow")

    @property
    def mlflow_url(self) -> str:
        """Where people see runs and models: on the server of `make up`, or on the team's."""
        return self.local_mlflow_url if self.is_mlflow_local else self.tracking_uri

    @property
    def _configured_tracking_uri(self) -> str:
        return os.environ.get("MLFLOW_TRACKING_URI") or self.tracking.uri


def find_home() -> Path:
    """The project's folder: `<PACKAGE>_HOME`, else the one that this code or the shell stands in.

    Raises
    ------
    ConfigError
        If no `pipeline.toml` is found there.
    """
    if named := os.environ.get(HOME_VARIABLE):
        candidates = [Path(named).expanduser().resolve()]
    else:
        candidates = [Path(__file__).resolve().parents[2], Path.cwd()]
    for folder in candidates:
        if (folder / "pipeline.toml").is_file():
            return folder
    searched = " and ".join(str(folder) for folder in candidates)
    raise ConfigError(f"no pipeline.toml in {searched}; set {HOME_VARIABLE} to the project's folder")


def load_settings(**overrides: Any) -> Settings:
    """Read and check all settings.

    Parameters
    ----------
    overrides : sections as dicts, merged over what the file and the environment say

    Raises
    ------
    ConfigError
        If a key, type or value is wrong; names the key, what it holds and what is allowed.
    """
    home = find_home()
    _load_dotenv(home / ".env")
    _refuse_unknown_variables()
    try:
        return Settings(home=home, **overrides)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(detail) for detail in error.errors())) from None
    except SettingsError as error:
        raise ConfigError(_explain_list(error)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{home / 'pipeline.toml'}: not valid TOML: {error}") from None


def _load_dotenv(path: Path) -> None:
    """Put the lines of `.env` into the environment, for us, MLflow and fsspec alike; what is set stays."""
    load_dotenv(path, override=False)


def _refuse_unknown_variables() -> None:
    # pydantic-settings reads the variables that it knows and is silent about a typing error in the others.
    for name in os.environ:
        # Others have names like ours: Kubernetes sets <SERVICE>_SERVICE_HOST. A knob has two underscores.
        if not name.startswith(ENV_PREFIX) or "__" not in name.removeprefix(ENV_PREFIX):
            continue
        section, _, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
        keys = _keys_of(section)
        if key not in keys:
            allowed = ", ".join(f"{ENV_PREFIX}{section.upper()}__{k.upper()}" for k in keys) or ", ".join(
                f"{ENV_PREFIX}{s.upper()}__..." for s in _sections()
            )
            raise ConfigError(f"environment variable {name}: no such setting; allowed: {allowed}")


def _sections() -> dict[str, type[Section]]:
    fields = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {name: kind for name, kind in fields.items() if isinstance(kind, type) and issubclass(kind, Section)}


def _keys_of(section: str) -> list[str]:
    kind = _sections().get(section)
    return list(kind.model_fields) if kind else []


def _explain_list(error: SettingsError) -> str:
    """A list in the environment that is no JSON; the error tells its text, and not where it stands."""
    text = getattr(error.__cause__, "doc", None)
    names = [name for name, value in os.environ.items() if name.startswith(ENV_PREFIX) and value == text]
    return f'environment variable {", ".join(names)} = {text!r}: a list is written as ["one", "two"]'


def _is_secret(section: str, key: str) -> bool:
    kind = _sections().get(section)
    if kind is None or key not in kind.model_fields:
        return False
    field = kind.model_fields[key]
    return field.annotation is SecretStr or not field.repr  # such as a name, in whose place a secret may be typed


def _explain(detail: Any) -> str:
    """One line for one mistake: where, what is wrong, what it holds, what is allowed."""
    section, *keys = (str(part) for part in detail["loc"]) if detail["loc"] else ("pipeline",)
    where = f"[{section}] {'.'.join(keys)}".rstrip()
    variable = "__".join([f"{ENV_PREFIX}{section.upper()}", *(k.upper() for k in keys[:1])])
    origin = f"environment variable {variable}" if variable in os.environ else "pipeline.toml"
    if detail["type"] == "extra_forbidden":
        allowed = ", ".join(_keys_of(section)) if keys else ", ".join(_sections())
        return f"{origin}: {where}: no such setting; allowed: {allowed}"
    if detail["type"] == "missing":
        return f"{origin}: {where}: missing"
    message = detail["msg"].removeprefix("Value error, ")
    if not keys:
        return f"{origin}: {where}: {message}"
    holds = "..." if _is_secret(section, keys[0]) else repr(detail["input"])
    return f"{origin}: {where} = {holds}: {message}"
