"""What `make up` decides before it starts anything, and how `make down` finds what is left."""

import base64
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from flights import enter_home, make_home
from modelworks.errors import ConfigError, StackError
from modelworks.settings import ENV_PREFIX, Settings, load_settings
from modelworks.settings.home import private_folder
from modelworks.stack import environment, lifecycle, processes, session


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a project whose `var` is empty."""
    enter_home(tmp_path, monkeypatch)
    make_home(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", environment.USERS_VARIABLE, *environment.SECRETS):
        monkeypatch.delenv(name, raising=False)
    return load_settings()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_passwords_are_made_once_and_are_for_the_owner_alone(settings: Settings) -> None:
    [(user, password)] = environment.make_passwords(settings).items()
    assert (user, len(password) >= 20) == ("admin", True)
    assert environment.make_passwords(settings) == {}
    assert environment.read_account(settings) == ("admin", password)
    assert (mode(environment.passwords_file(settings)), mode(environment.stack_folder(settings))) == (0o600, 0o700)


def test_file_of_passwords_that_others_can_read_is_closed(settings: Settings) -> None:
    environment.make_passwords(settings)
    environment.passwords_file(settings).chmod(0o644)
    environment.make_passwords(settings)
    assert mode(environment.passwords_file(settings)) == 0o600


def test_users_of_the_team_get_passwords_and_the_administrator_is_found(settings: Settings, monkeypatch) -> None:
    monkeypatch.setenv(environment.USERS_VARIABLE, "bob:viewer,ada:admin")
    assert environment.make_passwords(settings).keys() == {"bob", "ada"}
    assert environment.read_account(settings)[0] == "ada"


def test_nobody_can_ask_airflow_before_there_is_a_password(settings: Settings) -> None:
    with pytest.raises(StackError, match="`make up` makes one"):
        environment.read_account(settings)


def test_secrets_are_long_enough_kept_and_for_the_owner_alone(settings: Settings) -> None:
    first = environment.stack_environment(settings)
    again = environment.stack_environment(settings)
    file = environment.stack_folder(settings) / "secrets.json"
    assert mode(file) == 0o600
    assert json.loads(file.read_text()).keys() == environment.SECRETS.keys()
    assert all(first[name] == again[name] for name in environment.SECRETS)
    assert len(first["AIRFLOW__API_AUTH__JWT_SECRET"]) >= 64
    assert len(base64.urlsafe_b64decode(first["AIRFLOW__CORE__FERNET_KEY"])) == 32


def test_nobody_becomes_administrator_without_a_password(settings: Settings, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    given = environment.stack_environment(settings)
    assert given["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "False"


def test_database_of_the_shell_stays(settings: Settings, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql+psycopg2://localhost/airflow")
    given = environment.stack_environment(settings)
    assert given["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "postgresql+psycopg2://localhost/airflow"


HOSTILE = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "true",
    "MLFLOW_RUN_ID": "0" * 32,
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "true",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__DAGS_FOLDER": "/nowhere",
    "AIRFLOW_HOME": "/nowhere",
}


def test_what_decides_whether_a_task_runs_is_not_the_shells(settings: Settings, monkeypatch) -> None:
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    given = environment.stack_environment(settings)
    assert environment.find_ignored_variables() == [
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION",
        "AIRFLOW__CORE__DAGS_FOLDER",
        "AIRFLOW__CORE__EXECUTOR",
        "MLFLOW_RUN_ID",
    ]
    assert not given.keys() & {*environment.find_ignored_variables()}
    assert given["MLFLOW_ENABLE_ASYNC_LOGGING"] == "false"
    assert given["AIRFLOW_HOME"] == str(settings.home / "var" / "airflow")
    assert {"127.0.0.1", "localhost"} <= {*given["NO_PROXY"].split(",")}
    assert given["no_proxy"] == given["NO_PROXY"]
    assert given["HTTP_PROXY"] == HOSTILE["HTTP_PROXY"]  # the source may be behind it


def test_stack_is_not_opened_to_the_network_before_the_api_has_a_key(settings: Settings) -> None:
    on_network = load_settings(settings.home, {"stack": {"host": "0.0.0.0"}})  # noqa: S104
    with pytest.raises(ConfigError, match=r"would answer everybody who reaches 0\.0\.0\.0"):
        lifecycle.up(on_network, Console())
    assert not (settings.home / "var").exists()


def test_mlflow_admits_only_its_own_hosts(settings: Settings) -> None:
    port = settings.stack.mlflow_port
    given = environment.stack_environment(settings)
    assert given["STACK_MLFLOW_HOSTS"] == f"127.0.0.1:{port},localhost:{port}"
    assert (given["STACK_HOST"], given["AIRFLOW__API__HOST"]) == ("127.0.0.1", "127.0.0.1")


def test_tables_of_the_shell_reach_the_stack_as_they_are(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{ENV_PREFIX}GATES__METRICS"
    monkeypatch.setenv(name, '{"roc_auc": {"min": 0.5}}')
    wanted = load_settings(settings.home)
    monkeypatch.setenv(name, environment.stack_environment(wanted)[name])
    assert load_settings(settings.home).gates.metrics == wanted.gates.metrics != settings.gates.metrics


def test_mlflow_of_the_team_is_not_started_here(settings: Settings, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.com")
    given = environment.stack_environment(load_settings(settings.home))
    assert (given["STACK_MLFLOW_AUTOSTART"], given["MLFLOW_TRACKING_URI"]) == ("false", "https://mlflow.example.com")


@pytest.mark.parametrize("name", ["", "server", "file"])
def test_own_mlflow_is_one_registry_under_all_its_names(settings: Settings, monkeypatch, name: str) -> None:
    uri = {"": "", "server": settings.local_mlflow_url, "file": settings.local_store_uri}[name]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert load_settings(settings.home).registry.endswith("@local")


def test_processes_get_the_settings_of_the_sandbox_that_starts_them_whatever_the_shell_says(
    settings: Settings, monkeypatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}STORAGE__URI", "s3://team/data")
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__FEATURES", '["carrier"]')
    monkeypatch.setenv(f"{ENV_PREFIX}NOTIFICATIONS__WEBHOOK_URL", "https://hooks.example.com/secret")
    sandbox = load_settings(settings.home, {"storage": {"uri": "var/data"}})
    given = environment.stack_environment(sandbox)
    assert given[f"{ENV_PREFIX}STORAGE__URI"] == "var/data"
    assert json.loads(given[f"{ENV_PREFIX}TRAINING__FEATURES"]) == ["carrier"]
    assert given[f"{ENV_PREFIX}NOTIFICATIONS__WEBHOOK_URL"] == "https://hooks.example.com/secret"
    assert f"{ENV_PREFIX}TRAINING__SEED" not in given


def test_port_in_use_is_named_with_its_owner_and_the_setting(settings: Settings, monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        monkeypatch.setenv(f"{ENV_PREFIX}STACK__MLFLOW_PORT", str(port))
        wanted = load_settings().stack
        with pytest.raises(StackError) as refused:
            lifecycle._check_ports(settings.model_copy(update={"stack": wanted}))
    assert f"127.0.0.1 port {port}: Address already in use" in str(refused.value)
    assert f"[stack] mlflow_port in pipeline.toml, or {ENV_PREFIX}STACK__MLFLOW_PORT" in str(refused.value)
    if sys.platform == "linux":  # elsewhere only an administrator may ask
        assert f"(process {os.getpid()})" in str(refused.value)


def test_port_named_twice_is_refused(settings: Settings, monkeypatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}STACK__API_PORT", "5000")
    monkeypatch.setenv(f"{ENV_PREFIX}STACK__MLFLOW_PORT", "5000")
    with pytest.raises(ConfigError, match="port 5000 is named twice"):
        load_settings(settings.home)


def test_socket_of_a_project_that_lies_deep_is_in_the_private_folder(settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        near = settings.model_copy(update={"home": Path(folder)})
        assert environment.socket_file(near).parent == environment.stack_folder(near)
    deep = settings.model_copy(update={"home": settings.home / ("d" * 120)})
    file = environment.socket_file(deep)
    assert len(os.fsencode(file)) < 90
    assert file.parent == private_folder()
    assert mode(file.parent) == 0o700


def start_session(home: Path, name: str) -> subprocess.Popen[bytes]:
    """A leader of that name, with a child that leaves its process group and ignores TERM."""
    child = "import os, signal, time; os.setpgid(0, 0); signal.signal(15, signal.SIG_IGN); print(1); time.sleep(600)"
    script = home / name
    script.write_text(
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE).stdout.readline()\n"
        "print(1, flush=True)\ntime.sleep(600)\n"
    )
    leader = subprocess.Popen([sys.executable, script], cwd=home, stdout=subprocess.PIPE, start_new_session=True)
    assert leader.stdout
    leader.stdout.readline()
    leader.stdout.close()
    return leader


@pytest.fixture
def quick(monkeypatch) -> None:
    monkeypatch.setattr(session, "PATIENCE_S", 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("leader_is_killed", [False, True])
def test_whole_session_ends_and_only_it(tmp_path: Path, quick: None, leader_is_killed: bool) -> None:
    bystander = subprocess.Popen(["sleep", "600"], cwd=tmp_path)
    leader = start_session(tmp_path, "supervisord")
    members = session.find_members(leader.pid, tmp_path)
    assert len(members) == 2
    if leader_is_killed:
        leader.send_signal(signal.SIGKILL)
        leader.wait()
    assert session.end_session(leader.pid, tmp_path) == 2 - leader_is_killed
    assert session.find_members(leader.pid, tmp_path) == []
    assert bystander.poll() is None
    assert session.end_session(leader.pid, tmp_path) == 0
    bystander.kill()
    bystander.wait()
    leader.wait()


@pytest.mark.slow
def test_session_whose_files_are_gone_is_found_by_what_it_runs(tmp_path: Path, quick: None, monkeypatch) -> None:
    """As after `rm -rf var`, and after the folder was renamed while the stack ran."""
    home, renamed = tmp_path / "home", tmp_path / "renamed"
    home.mkdir()
    monkeypatch.setenv(session.MARK, "gone")
    leader = start_session(home, "supervisord")
    monkeypatch.delenv(session.MARK)
    bystander = subprocess.Popen(["sleep", "600"], cwd=home)
    assert session.find_leader(home / "var" / "stack" / "supervisord.pid", home) == leader.pid
    home.rename(renamed)
    assert session.find_leader(renamed / "supervisord.pid", home) is None
    assert session.find_leader(renamed / "supervisord.pid", renamed) == leader.pid
    assert session.end_session(leader.pid, renamed) == 2
    assert session.find_leader(renamed / "supervisord.pid", renamed) is None
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
    leader.wait()


def test_session_of_somebody_else_is_left_alone(tmp_path: Path, quick: None) -> None:
    """Numbers are given anew after the computer was started anew: to a shell in this folder, to another project."""
    (tmp_path / "other").mkdir()
    shell, other = start_session(tmp_path, "shell"), start_session(tmp_path / "other", "supervisord")
    assert session.end_session(shell.pid, tmp_path) == session.end_session(other.pid, tmp_path) == 0
    assert shell.poll() is None
    assert other.poll() is None
    for leader in (shell, other):
        for child in psutil.Process(leader.pid).children():
            child.kill()
        leader.kill()
        leader.wait()


def test_session_of_somebody_else_that_lost_its_leader_is_left_alone(tmp_path: Path, quick: None) -> None:
    (tmp_path / "other").mkdir()
    leader = start_session(tmp_path / "other", "supervisord")
    [child] = psutil.Process(leader.pid).children()
    leader.kill()
    leader.wait()
    assert session.find_members(leader.pid, tmp_path) == []
    assert session.find_members(leader.pid, tmp_path / "other") == [child]
    child.kill()


def test_second_up_or_down_at_the_same_time_is_refused_at_once(settings: Settings, monkeypatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    refused = pytest.raises(StackError, match="another `make up` or `make down` is at work")
    with lifecycle._alone(settings), refused, lifecycle._alone(settings):
        pass


def test_unknown_process_is_answered_with_those_that_there_are(settings: Settings) -> None:
    with pytest.raises(StackError, match="no process 'airflow'; there are mlflow, airflow-api-server"):
        processes.log_files(settings, "airflow")
