"""Airflow, MLflow and the prediction API in the background of one computer, run by supervisord."""

import fcntl
import json
import os
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path

import psutil
from rich.console import Console
from sqlalchemy import make_url

from modelworks.access import check_opening
from modelworks.addresses import is_loopback
from modelworks.errors import DiskError, StackError
from modelworks.registry.policy import check_policy
from modelworks.registry.relocation import repair_locations
from modelworks.registry.store import whole_store
from modelworks.settings import ENV_PREFIX, Settings, check_disk, explain_disk, written_folders
from modelworks.stack.environment import (
    SUPERVISOR_CONFIG,
    find_ignored_variables,
    log_folder,
    make_passwords,
    passwords_file,
    pid_file,
    programs,
    socket_file,
    stack_environment,
    stack_folder,
)
from modelworks.stack.health import wait_until_healthy
from modelworks.stack.processes import PORTS, connect_supervisor, last_lines, last_lines_of
from modelworks.stack.session import end_session, find_leader, find_members, find_supervisor, works_in

DATABASE_VARIABLE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
STOP_PATIENCE_S = 25


def up(settings: Settings, console: Console) -> None:
    """Start what does not run yet, and wait until each part is healthy.

    Raises
    ------
    ConfigError
        If `[stack] host` would open the API to the network, and it has no key; if the environment's [policy] refuses
        the settings.
    StackError, DiskError
        If a folder cannot be written to, a port is in use, or a part does not come up; what this call has started is
        then ended again.
    """
    check_opening(settings, settings.stack.host)
    check_policy(settings)
    check_disk(written_folders(settings))
    with _alone(settings):
        new = make_passwords(settings)
        leader = find_leader(pid_file(settings), settings.home)
        if find_supervisor(leader, settings.home) and socket_file(settings).exists():
            _check_same_settings(settings)
            _start_stopped(settings)
            wait_until_healthy(settings, console)
        else:
            if left := _stop(settings):
                console.print(f"Ended {left} processes of an earlier start, which had lost their files or supervisord")
            _start(settings, console)
    _print_addresses(settings, console, new)


def _start(settings: Settings, console: Console) -> None:
    """Start everything anew, or nothing."""
    _check_ports(settings)
    _name_what_the_shell_brings(console)
    log_folder(settings).mkdir(parents=True, exist_ok=True)
    environment = stack_environment(settings)
    _prepare_databases(settings, environment, console)
    _settings_file(settings).write_text(_settings_text(settings))
    try:
        _start_supervisor(settings, environment)
        wait_until_healthy(settings, console)
    except BaseException as error:
        # A process that found no room has nothing in its log either.
        problem = explain_disk(written_folders(settings), str(error)) if isinstance(error, StackError) else ""
        console.print("Stopping what was started ...", style="dim")
        _stop(settings)
        if problem:
            raise DiskError(problem) from error
        raise


def _start_supervisor(settings: Settings, environment: dict[str, str]) -> None:
    command = [str(programs(settings) / name) for name in ("python", "supervisord")] + ["-c", str(SUPERVISOR_CONFIG)]
    with (log_folder(settings) / "supervisord.log").open("wb") as log:
        supervisor = subprocess.Popen(
            command,
            env=environment,
            cwd=settings.home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # by whose number all its processes are found again
        )
    pid_file(settings).write_text(str(supervisor.pid))
    while not socket_file(settings).exists():
        if supervisor.poll() is not None:
            raise StackError(f"supervisord does not start:\n{last_lines_of(settings, 'supervisord')}")
        time.sleep(0.1)


def down(settings: Settings, console: Console) -> None:
    """Stop everything that `up` has started, and only that."""
    with _alone(settings):
        ended = _stop(settings)
    console.print(f"Stopped; {ended} processes were running" if ended else "Nothing was running")


def _stop(settings: Settings) -> int:
    leader = find_leader(pid_file(settings), settings.home)
    count = len(find_members(leader, settings.home))
    if supervisor := find_supervisor(leader, settings.home):
        with suppress(psutil.Error):
            supervisor.terminate()  # it stops its processes, and kills those that do not stop
            supervisor.wait(STOP_PATIENCE_S)
    end_session(leader, settings.home)
    for file in (pid_file(settings), socket_file(settings)):
        file.unlink(missing_ok=True)
    return count


# Control


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the lock that lets one `up` or `down` work at a time."""
    with (stack_folder(settings) / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError("another `make up` or `make down` is at work; wait for it to end") from None
        yield


def _start_stopped(settings: Settings) -> None:
    supervisor = connect_supervisor(settings)
    for each in supervisor.getAllProcessInfo():
        is_wanted = settings.is_mlflow_local or each["name"] != "mlflow"
        if is_wanted and each["statename"] in {"STOPPED", "EXITED", "FATAL"}:
            supervisor.startProcess(f"{each['group']}:{each['name']}", False)


def _name_what_the_shell_brings(console: Console) -> None:
    if ignored := find_ignored_variables():
        console.print(f"Not used here, though the shell sets them: {', '.join(ignored)}", soft_wrap=True)
    if database := os.environ.get(DATABASE_VARIABLE):
        shown = make_url(database).render_as_string(hide_password=True)
        console.print(f"Airflow's database: {shown}, as {DATABASE_VARIABLE} says", markup=False, soft_wrap=True)


def _settings_file(settings: Settings) -> Path:
    return stack_folder(settings) / "settings.json"


def _settings_text(settings: Settings) -> str:
    where = {
        "tracking_uri": "" if settings.is_mlflow_local else settings.tracking_address,
        "environment": settings.environment,
    }
    return json.dumps(settings.stack.model_dump() | where)


def _check_same_settings(settings: Settings) -> None:
    try:
        running = json.loads(_settings_file(settings).read_text())
    except (OSError, ValueError):
        return
    wanted = json.loads(_settings_text(settings))
    changed = [key for key in wanted if running.get(key, "") != wanted[key]]
    if changed:
        raise StackError(f"the stack is up with another {', '.join(changed)}; `make down` first")


def _check_ports(settings: Settings) -> None:
    for name, key in PORTS.items():
        if name == "mlflow" and not settings.is_mlflow_local:
            continue
        port = getattr(settings.stack, key)
        family = socket.AF_INET6 if ":" in settings.stack.host else socket.AF_INET
        with socket.socket(family) as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind((settings.stack.host, port))
            except OSError as error:
                variable = f"{ENV_PREFIX}STACK__{key.upper()}"
                owner = _owner_of(port, settings.home)
                raise StackError(
                    f"{name} cannot listen on {settings.stack.host} port {port}: {error.strerror}{owner}; "
                    f"set another [stack] {key} in pipeline.toml, or {variable}"
                ) from None


def _owner_of(port: int, home: Path) -> str:
    """Who listens there, as far as the system shows it."""
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                owner = psutil.Process(connection.pid)
                whose = ", of this project" if works_in(owner, home) else ""
                return f" by {owner.name()} (process {connection.pid}{whose})"
    return ""


# Databases


def _prepare_databases(settings: Settings, environment: dict[str, str], console: Console) -> None:
    """Bring both databases to their present form: many processes that do it at once would break them."""
    python = str(programs(settings) / "python")  # scripts would start the interpreter by its real path
    commands = {"Airflow": [python, "-m", "airflow", "db", "migrate"]}
    started = time.monotonic()
    with whole_store(settings) if settings.is_mlflow_local else nullcontext("") as store_uri:
        if store_uri:
            commands["MLflow"] = [python, "-m", "mlflow", "db", "upgrade", store_uri]
        with console.status(f"Preparing the databases of {' and '.join(commands)} ..."):
            _migrate(commands, environment, settings, console)
    if settings.is_mlflow_local:
        # The server, the API and commands use one file: in this mode, which stays, readers do not wait for a writer.
        with closing(sqlite3.connect(settings.local_store_file)) as database:
            database.execute("pragma journal_mode=wal")
        if former := repair_locations(settings):
            console.print(f"The project was moved: what was in {former} is found here")
    console.print(f"[green]✓[/] databases{'':<17} {time.monotonic() - started:5.1f} s")


def _migrate(commands: dict[str, list[str]], environment: dict[str, str], settings: Settings, console: Console) -> None:
    """Run the migrations side by side, each to its end, whatever comes: half of one can never be finished."""
    running = {
        name: subprocess.Popen(
            command,
            env=environment,
            cwd=settings.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # which Ctrl-C does not reach
        )
        for name, command in commands.items()
    }
    try:
        for name, process in running.items():
            output, _ = process.communicate()
            if process.returncode:
                if problem := explain_disk(written_folders(settings), output):
                    raise DiskError(problem)
                raise StackError(f"the database of {name} could not be prepared:\n{last_lines(output)}")
    except KeyboardInterrupt:
        console.print("The databases are made whole first, which takes some seconds ...", style="dim")
        raise
    finally:
        for process in running.values():
            if process.returncode is None:
                process.communicate()


def _print_addresses(settings: Settings, console: Console, new_passwords: dict[str, str]) -> None:
    stack = settings.stack
    mlflow = settings.mlflow_url + ("" if settings.is_mlflow_local else " (not started here)")
    console.print()
    console.print(f"[bold]Airflow[/]     {stack.url('airflow')}")
    for user, password in new_passwords.items():
        console.print(f"            log in as {user} with {password}", markup=False)
    console.print(f"            passwords are kept in {passwords_file(settings)}", soft_wrap=True)
    console.print(f"[bold]MLflow[/]      {mlflow}", soft_wrap=True)
    console.print(f"[bold]Predictions[/] {stack.url('api')}/docs")
    console.print(f"[bold]State[/]       {stack.url('api')}/")
    if not is_loopback(stack.host):
        console.print(
            f"[bold red]Open to the network[/] on {stack.host}, without encryption; MLflow asks for no password: "
            "whoever reaches its port can change models",
            soft_wrap=True,
        )
    console.print("\n  make trigger   start the training DAG and follow it\n  make status    processes and champion")
    console.print("  make logs      what they write\n  make down      stop everything")
