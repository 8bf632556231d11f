"""The environment of the processes of `make up`: folders, ports, secrets."""

import base64
import hashlib
import json
import os
import secrets
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
from pydantic import BaseModel, SecretStr
from pydantic_core import to_jsonable_python

from modelworks.errors import StackError
from modelworks.registry import MLFLOW_DEFAULTS, MLFLOW_FIXED, without_proxy
from modelworks.settings import ENV_PREFIX, HOME_VARIABLE, Settings
from modelworks.settings.home import private_folder

AIRFLOW_CONFIG = Path(__file__).with_name("airflow.cfg")
SUPERVISOR_CONFIG = Path(__file__).with_name("supervisord.conf")
BIN = Path(sys.executable).parent
"""Where the programs of this environment lie."""

USERS_VARIABLE = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"
DEFAULT_USERS = "admin:admin"
EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 - to recognise it

IGNORED = {
    f"{program}{key}"
    for program, keys in {
        "AIRFLOW__CORE__": "AUTH_MANAGER DAGS_ARE_PAUSED_AT_CREATION DAGS_FOLDER EXECUTOR LOAD_EXAMPLES UNIT_TEST_MODE",
        "AIRFLOW__API__": "SSL_CERT SSL_KEY",
        "AIRFLOW__DAG_PROCESSOR__": "DAG_BUNDLE_CONFIG_LIST",
        "MLFLOW_": "ARTIFACTS_DESTINATION ARTIFACTS_ONLY BACKEND_STORE_URI DEFAULT_ARTIFACT_ROOT EXPERIMENT_ID "
        "EXPERIMENT_NAME GUNICORN_OPTS HOST PORT REGISTRY_STORE_URI REGISTRY_URI RUN_ID SERVE_ARTIFACTS STATIC_PREFIX "
        "WORKERS",
    }.items()
    for key in keys.split()
}
"""Variables of a shell that was set up for another Airflow or MLflow."""

# What Airflow's processes share, in the sizes that it asks for.
SECRETS: dict[str, Callable[[], str]] = {
    "AIRFLOW__API_AUTH__JWT_SECRET": lambda: secrets.token_urlsafe(64),
    "AIRFLOW__API__SECRET_KEY": lambda: secrets.token_urlsafe(32),
    "AIRFLOW__CORE__FERNET_KEY": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
}


def stack_folder(settings: Settings) -> Path:
    """Where `make up` keeps what it needs to find its processes again; for the user's eyes only."""
    folder = settings.home / "var" / "stack"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def log_folder(settings: Settings) -> Path:
    """Where the processes log."""
    return settings.home / "var" / "logs"


def pid_file(settings: Settings) -> Path:
    """Holds supervisord's process id, which is also the number of its session."""
    return stack_folder(settings) / "supervisord.pid"


def passwords_file(settings: Settings) -> Path:
    """Airflow's users and their passwords, as JSON."""
    return stack_folder(settings) / "passwords.json"


def make_passwords(settings: Settings) -> dict[str, str]:
    """Generate a password for each of Airflow's users that has none; returns the new ones."""
    return _add_missing(passwords_file(settings), {user: lambda: secrets.token_urlsafe(16) for user in _users()})


def read_account(settings: Settings) -> tuple[str, str]:
    """Name and password of Airflow's first administrator.

    Raises
    ------
    StackError
        If nobody has a password yet.
    """
    administrators = [user for user, role in _users().items() if role == "admin"]
    for user, password in _read(passwords_file(settings)).items():
        if user in administrators:
            return user, password
    raise StackError("Airflow has no administrator with a password yet; `make up` makes one")


def _users() -> dict[str, str]:
    """Airflow's users and their roles."""
    pairs = os.environ.get(USERS_VARIABLE, DEFAULT_USERS).split(",")
    return {user.strip(): role.strip() for user, _, role in (pair.partition(":") for pair in pairs)}


def _add_missing(file: Path, makers: dict[str, Callable[[], str]]) -> dict[str, str]:
    """Add what a file of secrets lacks; only its owner may read it, from its first byte on."""
    present = _read(file)
    made = {name: make() for name, make in makers.items() if name not in present}
    if made:
        new = file.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.touch(0o600)
        new.write_text(json.dumps(present | made, indent=1))
        new.replace(file)
    file.chmod(0o600)
    return made


def _read(file: Path) -> dict[str, str]:
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise StackError(f"{file}: not the JSON that `make up` wrote; remove it, and a new one is made") from None


def stack_environment(settings: Settings) -> dict[str, str]:
    """The environment of every process of the stack.

    Variables of the shell for Airflow and MLflow stay, such as a database, but for those that decide where they run
    and whether a triggered run starts.
    """
    _add_missing(stack_folder(settings) / "secrets.json", SECRETS)
    secrets_of_airflow = _read(stack_folder(settings) / "secrets.json")
    defaults = {**MLFLOW_DEFAULTS, USERS_VARIABLE: DEFAULT_USERS, **secrets_of_airflow}
    ours = {**_settings(settings), **_supervisor(settings), **_airflow(settings), **_mlflow(settings)}
    shell = {name: value for name, value in os.environ.items() if name not in find_ignored_variables()}
    return {**defaults, **shell, **ours, **without_proxy(shell, settings.stack.url_host)}


def find_ignored_variables() -> list[str]:
    """Variables of the shell that the stack does not take over, sorted: with them no task would run, or another one."""
    return sorted(IGNORED & os.environ.keys())


def _settings(settings: Settings) -> dict[str, str]:
    """The home, and the shell's variables of settings with the values that these settings hold.

    They are the shell's own, except in a sandbox, whose settings take precedence over the shell.
    """
    found = {HOME_VARIABLE: str(settings.home)}
    for name in os.environ:
        section, _, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
        values = getattr(settings, section, None)
        if name.startswith(ENV_PREFIX) and isinstance(values, BaseModel) and key in type(values).model_fields:
            found[name] = _to_text(getattr(values, key))
    return found


def _to_text(value: object) -> str:
    """A value of a setting as an environment variable holds it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value if isinstance(value, str) else json.dumps(to_jsonable_python(value))


def _supervisor(settings: Settings) -> dict[str, str]:
    return {
        "STACK_BIN": str(programs(settings)),
        "STACK_LOGS": str(log_folder(settings)),
        # Not `pid_file`: supervisord empties its file before it writes it, and a reader in between finds no number.
        "STACK_PID_FILE": str(pid_file(settings).with_suffix(".own")),
        "STACK_SOCKET": str(socket_file(settings)),
        "STACK_HOST": settings.stack.host,
        "STACK_API_PORT": str(settings.stack.api_port),
    }


def programs(settings: Settings) -> Path:
    """Where the programs lie, by way of the home, whose name is safe in commands and in PATH."""
    real = Path(os.path.realpath(settings.home))
    return settings.home / BIN.relative_to(real) if BIN.is_relative_to(real) else BIN


def _airflow(settings: Settings) -> dict[str, str]:
    url = settings.stack.url("airflow")
    return {
        "PATH": f"{programs(settings)}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "AIRFLOW_HOME": str(settings.home / "var" / "airflow"),
        "AIRFLOW_CONFIG": str(AIRFLOW_CONFIG),
        "AIRFLOW__API__HOST": settings.stack.host,
        "AIRFLOW__API__PORT": str(settings.stack.airflow_port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords_file(settings)),
    }


def _mlflow(settings: Settings) -> dict[str, str]:
    port = settings.stack.mlflow_port
    return {
        **MLFLOW_FIXED,
        "MLFLOW_TRACKING_URI": settings.local_mlflow_url if settings.is_mlflow_local else settings.tracking_uri,
        "STACK_MLFLOW_AUTOSTART": str(settings.is_mlflow_local).lower(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "STACK_MLFLOW_PORT": str(port),
        # The file and folder that `make run` uses as well: the same runs and models, whichever way they are reached.
        "STACK_MLFLOW_STORE": settings.local_store_uri,
        "STACK_MLFLOW_ARTIFACTS": settings.local_artifacts_uri,
        "STACK_MLFLOW_HOSTS": ",".join(f"{name}:{port}" for name in host_names(settings)),
        "STACK_MLFLOW_ORIGINS": ",".join(f"http://{name}:{port}" for name in host_names(settings)),
    }


def host_names(settings: Settings) -> list[str]:
    """The names under which this computer may be asked for, where `[stack] host` lets it listen."""
    host = settings.stack.host
    names = {"127.0.0.1", "localhost"}
    if host in EVERY_ADDRESS:
        every_address = [address for addresses in psutil.net_if_addrs().values() for address in addresses]
        names |= {each.address for each in every_address if each.family == socket.AF_INET}
    elif host not in names:
        names.add(settings.stack.url_host)
    return sorted(names)


def socket_file(settings: Settings) -> Path:
    """The socket through which the processes are controlled; it lies elsewhere if the project's path is too long."""
    file = stack_folder(settings) / "supervisor.sock"
    if len(os.fsencode(file)) < 90:  # of the 104 to 108 that systems allow, and supervisor appends its process id
        return file
    digest = hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:16]
    return private_folder() / f"{digest}.sock"
