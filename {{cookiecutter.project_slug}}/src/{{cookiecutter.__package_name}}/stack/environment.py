"""What the processes of `make up` are told: folders, ports, secrets."""

import base64
import hashlib
import json
import os
import secrets
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import psutil

from ..config import HOME_VARIABLE, PACKAGE, Settings
from ..errors import StackError

USERS_VARIABLE = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"
DEFAULT_USERS = "admin:admin"
EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 - to recognise it

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
    """The environment of every process of the stack. What the shell sets for Airflow stays, but for where it runs."""
    _add_missing(stack_folder(settings) / "secrets.json", SECRETS)
    defaults = {USERS_VARIABLE: DEFAULT_USERS, **_read(stack_folder(settings) / "secrets.json")}
    return {**defaults, **os.environ, **_airflow(settings), **_mlflow(settings), **_api(settings)}


def _airflow(settings: Settings) -> dict[str, str]:
    home, url = settings.home, settings.stack.url("airflow")
    return {
        "PATH": f"{home / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PROJECT_HOME": str(home),
        "AIRFLOW_HOME": str(home / "var" / "airflow"),
        "AIRFLOW_CONFIG": str(home / "airflow.cfg"),
        "AIRFLOW__API__HOST": settings.stack.host,
        "AIRFLOW__API__PORT": str(settings.stack.airflow_port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords_file(settings)),
    }


def _mlflow(settings: Settings) -> dict[str, str]:
    folder, port = settings.home / "var" / "mlflow", settings.stack.mlflow_port
    return {
        "MLFLOW_TRACKING_URI": settings.local_mlflow_url if settings.is_mlflow_local else settings.tracking_uri,
        "STACK_MLFLOW_AUTOSTART": str(settings.is_mlflow_local).lower(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "STACK_MLFLOW_PORT": str(port),
        # The file and folder that `make run` uses as well: the same runs and models, whichever way they are reached.
        "STACK_MLFLOW_STORE": settings.local_store_uri,
        "STACK_MLFLOW_ARTIFACTS": (folder / "artifacts").as_uri(),
        "STACK_MLFLOW_HOSTS": ",".join(f"{name}:{port}" for name in host_names(settings)),
        "STACK_MLFLOW_ORIGINS": ",".join(f"http://{name}:{port}" for name in host_names(settings)),
    }


def _api(settings: Settings) -> dict[str, str]:
    return {
        HOME_VARIABLE: str(settings.home),
        "STACK_API_PORT": str(settings.stack.api_port),
        "STACK_HOST": settings.stack.host,
        "STACK_SOCKET": str(socket_file(settings)),
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
    folder = Path("/tmp") / f"{PACKAGE[:20]}-{os.getuid()}-{digest}"  # noqa: S108 - checked below; $TMPDIR may differ
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700:
        raise StackError(f"{folder} is not a folder of ours alone; remove it")
    return folder / "supervisor.sock"
