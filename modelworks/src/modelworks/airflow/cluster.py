"""What has to be so where Airflow runs tasks on workers that share no disk; checked whenever a DAG file is imported.

The DAG processor shows what is wrong as an import error, and a task on a worker fails with it before its stage starts.
"""

import os
from collections.abc import Iterator
from datetime import timedelta

from airflow.sdk import conf

from modelworks.errors import ConfigError
from modelworks.settings import ENV_PREFIX, Settings

LOCAL_EXECUTOR = "LocalExecutor"
LOCAL_STORES = {"", "file", "sqlite"}
DATABASES = {"mssql", "mysql", "postgresql"}
SECRETS = ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__CORE__FERNET_KEY")
"""Of Celery's workers, which share them. The pod of a task has its token with it, and none of Airflow's secrets."""
API_URL = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"
VISIBILITY_TIMEOUT = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"
DEFAULT_VISIBILITY_TIMEOUT_S = 86_400
"""Of Airflow's Celery executor with Redis."""


def check_cluster(settings: Settings, longest_task: timedelta) -> None:
    """Refuse what cannot work with workers that share no disk; does nothing where tasks run beside the scheduler.

    Parameters
    ----------
    longest_task : the longest that Airflow lets a task of the project run

    Raises
    ------
    ConfigError
        Names each setting that is wrong, and what to set it to.
    """
    names = [name.strip().rpartition(".")[2] for name in conf.get("core", "executor").split(",")]
    remote = [name for name in names if name != LOCAL_EXECUTOR]
    if not remote:
        return
    wrong = [*_find_local_data(settings), *_find_local_registry(settings), *_find_missing_url()]
    if "CeleryExecutor" in remote:
        wrong += [*_find_missing_secrets(), *_find_short_visibility_timeout(longest_task)]
    if wrong:
        why = f"{', '.join(remote)} runs tasks on workers that share no disk"
        raise ConfigError("\n".join(f"{why}: {each}" if number == 0 else each for number, each in enumerate(wrong)))


def _find_local_data(settings: Settings) -> Iterator[str]:
    for section in ("storage", "source", "labels"):
        uri = getattr(settings, section).uri
        if uri and _scheme(uri) in {"", "file", "local"}:
            yield (
                f"[{section}] uri = {uri!r} is a folder of one of them; set {ENV_PREFIX}{section.upper()}__URI to an "
                "object store, such as s3://lake/..."
            )


def _find_local_registry(settings: Settings) -> Iterator[str]:
    uri = settings.tracking.uri
    scheme = _scheme(uri)
    if scheme in LOCAL_STORES:
        yield (
            f"[tracking] uri = {uri!r} is a file of one of them; set MLFLOW_TRACKING_URI to an MLflow server, such as "
            "http://mlflow.example.com:5000"
        )
    elif scheme.partition("+")[0] in DATABASES:
        yield (
            f"[tracking] uri names a {scheme} database, whose models would be files of one of them; set "
            "MLFLOW_TRACKING_URI to the MLflow server before it"
        )
    if not settings.tracking.registry:
        yield (
            '[tracking] registry = "": a server that is reached by two addresses would have two ledgers; set '
            f"{ENV_PREFIX}TRACKING__REGISTRY to a name, such as team"
        )


def _find_missing_secrets() -> Iterator[str]:
    for name in SECRETS:
        if not any(os.environ.get(f"{name}{suffix}") for suffix in ("", "_CMD", "_SECRET")):
            yield f"{name} is not set: each process would make its own; set it to the same secret for all"


def _find_missing_url() -> Iterator[str]:
    if not conf.get("core", "execution_api_server_url", fallback="") and not conf.get("api", "base_url", fallback=""):
        yield f"{API_URL} is not set: workers would ask their own machine; set it to http://<API server>/execution/"


def _find_short_visibility_timeout(longest_task: timedelta) -> Iterator[str]:
    found = os.environ.get(VISIBILITY_TIMEOUT) or conf.get(
        "celery_broker_transport_options", "visibility_timeout", fallback=str(DEFAULT_VISIBILITY_TIMEOUT_S)
    )
    if (seconds := float(found)) <= longest_task.total_seconds():
        yield (
            f"{VISIBILITY_TIMEOUT} is {seconds:.0f}, and a task may take {longest_task.total_seconds():.0f} seconds "
            "([schedule] task_timeout_minutes and [tuning] seconds): a second worker would start it as well; set more"
        )


def _scheme(uri: str) -> str:
    """`s3` of an `s3://` URI; "" of a path."""
    return uri.partition("://")[0] if "://" in uri else ""
