"""Runs, models, versions and the ledger of releases; the only package that imports MLflow."""

import os
from collections.abc import Mapping

MLFLOW_FIXED = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # A stage ends when what it logged is there; tags that arrive later would be missed by the next stage.
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    # Else MLflow prints the address of each run that ends to standard output, where programs read JSON.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""MLflow's environment variables that every process of ours has, whatever the shell says."""

MLFLOW_DEFAULTS = {
    # MLflow's own seven retries block for minutes while a server is down; Airflow retries the task anyway.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    # MLflow logs that it creates its database, and that pip is missing.
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}
"""Those that a shell may change."""

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


def set_mlflow_defaults() -> None:
    """Decide the variables that change what MLflow does, and reach servers on this computer without a proxy.

    An entry point (a command, the API's factory, a DAG file) calls this before anything imports MLflow, which reads
    some of them at its import. Importing `modelworks` sets nothing.
    """
    os.environ.update(MLFLOW_FIXED)
    for name, value in MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)
    os.environ.update(without_proxy(os.environ))


def without_proxy(environment: Mapping[str, str], *hosts: str) -> dict[str, str]:
    """`NO_PROXY` with the names of this computer, where the environment names a proxy; {} where it names none.

    Parameters
    ----------
    hosts : others that are reached directly
    """
    if not any(environment.get(name) for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")):
        return {}
    given = (environment.get("no_proxy") or environment.get("NO_PROXY") or "").split(",")
    direct = ",".join(dict.fromkeys(filter(None, [*(name.strip() for name in given), *LOCAL_HOSTS, *hosts])))
    return {"NO_PROXY": direct, "no_proxy": direct}
