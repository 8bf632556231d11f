"""Where Spark is: an address as `[compute] spark_url` gives it, or an Airflow connection of that name."""

import json
import os
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from modelworks.errors import ConfigError

CONNECTION = "airflow://"
CLASSIC = re.compile(r"spark://|k8s://|yarn$|local(\[|$)")
EXAMPLES = (
    "sc://host:15002, spark://host:7077, yarn, k8s://https://host:443, local[2] or airflow://spark_connect_default"
)


@dataclass(frozen=True)
class SparkAddress:
    """A Connect server or a master.

    Attributes
    ----------
    url : may hold a token, so it is not to be printed
    shown : the same without user, token and options
    """

    url: str = field(repr=False)
    shown: str

    @property
    def is_connect(self) -> bool:
        """Whether it is a Connect server, which the thin client speaks to."""
        return self.url.startswith("sc://")

    def redact(self, message: str) -> str:
        """A message of Spark's, without the secrets of the URL."""
        message = message.replace(self.url, self.shown)
        for secret in re.findall(r";token=([^;]+)", self.url):
            message = message.replace(secret, "***").replace(unquote(secret), "***")
        return message


def connection_name(spark_url: str) -> str:
    """The Airflow connection that a setting names; "" if it is an address itself."""
    return spark_url.removeprefix(CONNECTION) if spark_url.startswith(CONNECTION) else ""


def connection_variable(spark_url: str) -> str:
    """The environment variable of that connection; "" if there is none."""
    name = connection_name(spark_url)
    return name and f"AIRFLOW_CONN_{name.upper()}"


def read_address(spark_url: str) -> SparkAddress:
    """The address that a setting is or names.

    Raises
    ------
    ConfigError
        If it is none, holds a token itself, or names a connection that is not in the environment.
    """
    variable = connection_variable(spark_url)
    if not variable:
        if ";token=" in spark_url or "@" in spark_url:
            raise ConfigError(
                "[compute] spark_url: holds a secret; put the whole URL into AIRFLOW_CONN_SPARK_CONNECT_DEFAULT, in "
                '.env or as an Airflow connection, and set spark_url = "airflow://spark_connect_default"'
            )
        return _to_address(spark_url, "[compute] spark_url")
    given = os.environ.get(variable, "").strip()
    if not given:
        raise ConfigError(
            f"environment variable {variable}: not set; [compute] spark_url = {spark_url!r} wants Spark's address "
            "there (or in .env), such as sc://host:15002/;token=..., or, in Airflow, a connection of that name"
        )
    try:
        url = _from_airflow(json.loads(given)) if given.startswith("{") else given
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ConfigError(f"environment variable {variable}: neither a URL nor an Airflow connection as JSON") from None
    return _to_address(url, f"environment variable {variable}")


def _to_address(url: str, where: str) -> SparkAddress:
    if CLASSIC.match(url):
        return SparkAddress(url, url)
    try:
        host, port = urlsplit(url).hostname, urlsplit(url).port or 15002
    except ValueError:
        host = None
    if not url.startswith("sc://") or not host:  # its text may hold a secret
        raise ConfigError(f"{where}: no address of Spark; write {EXAMPLES}")
    return SparkAddress(url, f"sc://{host}:{port}")


def _from_airflow(about: dict[str, Any]) -> str:
    """The URL of a connection of type `spark_connect` or `spark`, as Airflow's own provider makes it."""
    host, port = about["host"], f":{about['port']}" if about.get("port") else ""
    if about["conn_type"] == "spark":
        return f"{host}{port}"
    extra = about.get("extra") or {}
    extra = dict(json.loads(extra) if isinstance(extra, str) else extra)
    use_ssl = str(extra.get("use_ssl") or "").lower()  # true, or a text that says so
    options = {"user_id": about.get("login"), "token": about.get("password"), "use_ssl": use_ssl}
    words = [f";{name}={quote(value, safe='')}" for name, value in options.items() if value]
    return f"sc://{host.removeprefix('sc://')}{port}/{''.join(words)}"
