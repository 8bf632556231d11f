"""The tables of pipeline.toml about operations: monitoring, retraining, serving, notifications, stack and MLflow."""

from base64 import b64decode
from contextlib import suppress
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from modelworks.settings.base import Fraction, Section

Count = Annotated[int, Field(ge=0, le=99)]
Event = Literal["failure", "refusal", "drift", "retraining", "deployment", "rollback"]
Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Monitoring(Section):
    """When a new period is an alarm, compared with the periods that the champion was trained on."""

    drift_quantile: float = Field(0.99, gt=0.5, lt=1)
    """Share of the training periods whose drift lies below a column's threshold."""
    max_drifted_fraction: Fraction = 0.5
    """Share of the features that may drift; more, or drifted predictions, are an alarm."""
    max_calibration_drift: Annotated[float, Field(ge=0)] = 0.0
    """Log loss, nats; an interval that lies above is an alarm."""


class Retraining(Section):
    """When to retrain: N alarms in M periods, every N periods, an optional cooldown."""

    first_after_periods: int = Field(3, ge=1)
    """Clean periods before the first model."""
    calibration_alarms: Count = 1
    """Alarms of calibration drift in `calibration_window` periods; 0: never."""
    calibration_window: int = Field(1, ge=1, le=99)
    """Periods."""
    drift_alarms: Count = 0
    """Alarms of drift in `drift_window` periods; 0: never. Drift alone says little about the loss."""
    drift_window: int = Field(1, ge=1, le=99)
    """Periods."""
    every_periods: int = Field(1, ge=0)
    """Periods since the newest one that the champion was trained on; 0: never by the calendar."""
    cooldown_periods: int = Field(0, ge=0)
    """Periods after a request without another one."""

    @model_validator(mode="after")
    def _windows_can_be_reached(self) -> "Retraining":
        for name in ("calibration", "drift"):
            alarms, window = getattr(self, f"{name}_alarms"), getattr(self, f"{name}_window")
            if alarms > window:
                raise ValueError(f"{name}_alarms {alarms} cannot occur in {name}_window {window}; raise the window")
        return self


class Serving(Section):
    """Predictions, by the API and in batches."""

    unseen_categories: Literal["refuse", "as_missing"] = "refuse"
    """Categories unseen in training: "refuse" the request, or read them "as_missing", as batches do."""
    max_rows: int = Field(1000, ge=1)
    """Rows of one request."""
    max_body_mb: float = Field(5.0, gt=0)
    """Megabytes of one request."""
    champion_poll_s: float = Field(2.0, gt=0)
    """Seconds between looks for a new champion."""
    log_predictions: bool = True
    """Keep each answer of the API in the storage."""
    state_metrics_s: float = Field(60.0, ge=0)
    """Seconds that figures of pipeline and model in `/metrics` may be old; 0: none are there."""


class Notifications(Section):
    """Which events are notified, and to whom; the connections are Airflow's."""

    events: list[Event] = Field(default_factory=lambda: list(get_args(Event)))
    """Events to notify of: a failure that is not retried, a model refused, an alarm of monitoring, a retraining
    requested, a model deployed, a rollback."""
    webhook_url: SecretStr = SecretStr("")
    """Gets each event as JSON; a secret, so set it in .env."""
    webhook_secret: SecretStr = SecretStr("")
    """Signs what the webhook gets: `whsec_` and 24 to 64 bytes in base64; two with a space between, while it is
    changed."""
    slack_connection: str = ""
    """Airflow connection to an incoming webhook of Slack, such as "slack_default"."""
    email_to: list[Address] = Field(default_factory=list)
    """Addresses to send e-mail to."""
    smtp_connection: str = "smtp_default"
    """Airflow connection to the mail server."""

    @field_validator("webhook_url")
    @classmethod
    def _is_url(cls, value: SecretStr) -> SecretStr:
        if url := value.get_secret_value():
            with suppress(ValueError):  # of an invalid port
                parts = urlsplit(url)
                if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
                    return value
            raise ValueError("not a URL such as https://hooks.example.com/abc")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _is_secret(cls, value: SecretStr) -> SecretStr:
        for each in value.get_secret_value().split():
            try:
                size = len(b64decode(each.removeprefix("whsec_"), validate=True)) if each.startswith("whsec_") else 0
            except ValueError:
                size = 0
            if not 24 <= size <= 64:  # as Standard Webhooks has it
                example = "echo whsec_$(head -c 32 /dev/urandom | base64)"
                raise ValueError(f"not `whsec_` followed by 24 to 64 bytes in base64, as of: {example}")
        return value


class Stack(Section):
    """The servers of `make up`."""

    host: str = Field("127.0.0.1", min_length=1)
    """Address to listen on; another one than this opens Airflow, MLflow and the API to the network, and the API
    then needs a key: `[access]`."""
    airflow_port: Port = 8080
    """Port of Airflow."""
    mlflow_port: Port = 5000
    """Port of MLflow."""
    api_port: Port = 8000
    """Port of the API."""
    start_timeout_s: float = Field(1800, gt=0)
    """Seconds until `make up` fails; it fails earlier if nothing has moved for four minutes."""

    @model_validator(mode="after")
    def _ports_differ(self) -> "Stack":
        ports = [value for name, value in self if name.endswith("_port")]
        if doubled := {port for port in ports if ports.count(port) > 1}:
            raise ValueError(f"port {min(doubled)} is named twice; each server needs one of its own")
        return self

    @property
    def url_host(self) -> str:
        """The host in a URL on this computer."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - from all to one
        return f"[{host}]" if ":" in host else host

    def url(self, server: Literal["airflow", "mlflow", "api"]) -> str:
        """The URL of a server of the stack on this computer."""
        port: int = getattr(self, f"{server}_port")
        return f"http://{self.url_host}:{port}"


class Tracking(Section):
    """Where MLflow keeps runs and models."""

    uri: str = ""
    """URI of MLflow; "": a SQLite file in var/; MLFLOW_TRACKING_URI takes precedence."""
    experiment: str = ""
    """Experiment of training runs; "": the project's name."""
    model_name: str = ""
    """Name of the registered model; "": the project's name."""
    signing_key: str = ""
    """File of a private key, with which models are signed as they are saved; "": not at all."""
    verification_key: str = ""
    """File of the public key; a model without a signature of its private key is not loaded. "": no signature needed."""
    registry: str = Field("", pattern=r"^[\w.-]*$")
    """Name of the registry, by which its ledger is found whatever address reaches it; "": a hash of `uri`."""
