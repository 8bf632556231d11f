"""`make up`, `make trigger`, `make status` and `make down` of a generated project, with everything real.

On the stack, and with the champion, that `test_pages.py` has left; the last tests here take the stack down.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from bakes import BakedProject
from live_project import Stack, fetch, session_of, wait_until

pytestmark = pytest.mark.slow

PROCESSES = ["airflow-api-server", "airflow-dag-processor", "airflow-scheduler", "airflow-triggerer", "api", "mlflow"]


@pytest.fixture(scope="module")
def project(installed: BakedProject) -> BakedProject:
    """The project of the stack that is up."""
    return installed


@pytest.fixture(scope="module")
def live(shared_stack: Stack) -> Stack:
    """The project, up."""
    return shared_stack


Make = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def make(project: BakedProject, live: Stack) -> Make:
    """Run a target as the person who has called `make up`."""
    return lambda *words, **settings: project.run("make", *words, **{**live.environment, **settings})


def processes(make: Make) -> dict[str, dict[str, object]]:
    found = json.loads(make("status", "ARGS=--json").stdout)["processes"]
    return {each["name"]: each for each in found}


def test_status_shows_each_process(make: Make, live: Stack) -> None:
    found = processes(make)
    assert sorted(found) == PROCESSES
    assert {each["health"] for each in found.values()} == {"healthy"}
    assert [f"http://127.0.0.1:{found[name]['port']}" for name in ("airflow-api-server", "mlflow", "api")] == [
        live.airflow,
        live.mlflow,
        live.api,
    ]
    assert all(int(str(each["memory_mb"])) > 10 for each in found.values())
    shown = make("status").stdout
    assert all(name in shown for name in PROCESSES)


def test_up_again_changes_nothing_and_prints_no_password(project: BakedProject, make: Make) -> None:
    before = {name: each["pid"] for name, each in processes(make).items()}
    again = make("up")
    assert again.returncode == 0, again.stderr
    assert {name: each["pid"] for name, each in processes(make).items()} == before
    [password] = json.loads((project.path / "var" / "stack" / "passwords.json").read_text()).values()
    assert password not in again.stdout
    assert "passwords.json" in again.stdout


def test_up_with_another_port_is_refused(make: Make) -> None:
    refused = make("up", MODELWORKS_STACK__API_PORT="1")
    assert refused.returncode != 0
    assert "the stack is up with another api_port; `make down` first" in refused.stderr


@pytest.mark.usefixtures("live")
def test_only_this_computer_can_reach_it(project: BakedProject) -> None:
    addresses = {
        connection.laddr.ip
        for process in session_of(project.path)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


@pytest.mark.usefixtures("live")
def test_secrets_are_for_the_owner_alone_and_in_no_log(project: BakedProject) -> None:
    folder = project.path / "var" / "stack"
    secrets = [json.loads((folder / name).read_text()) for name in ("passwords.json", "secrets.json")]
    assert [(folder / name).stat().st_mode & 0o777 for name in ("passwords.json", "secrets.json")] == [0o600] * 2
    logs = "".join(path.read_text(errors="replace") for path in (project.path / "var").rglob("*.log"))
    assert logs
    assert not [name for each in secrets for name, secret in each.items() if secret in logs]
    assert project.run("git", "status", "--porcelain").stdout == ""


def test_airflow_lets_nobody_in_without_the_password(live: Stack) -> None:
    for url, body in (
        (f"{live.airflow}/auth/token", None),
        (f"{live.airflow}/auth/token", {"username": "admin", "password": "admin"}),
        (f"{live.airflow}/api/v2/dags", None),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            fetch(url, body)
        refused.value.close()
        assert refused.value.code in {401, 403}


def test_mlflow_admits_only_its_own_hosts(live: Stack) -> None:
    url = f"{live.mlflow}/api/2.0/mlflow/experiments/search?max_results=1"
    assert "experiments" in fetch(url) or fetch(url) == {}
    for host in ("evil.example", "192.168.0.7:5000"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host}))  # noqa: S310 - ours
        refused.value.close()
        assert refused.value.code == 403


def status_of(make: Make) -> dict[str, Any]:
    """The project's account of its state."""
    found: dict[str, Any] = json.loads(make("status", "ARGS=--json").stdout)
    return found


def test_models_are_the_same_through_the_server_and_from_the_file(make: Make) -> None:
    """One release by `make run`, on the file, and then one by a DAG, through the server, and once more by the file."""
    before = status_of(make)
    first = len({entry["to_version"] for entry in before["ledger"] if entry["action"] == "deploy"}) + 1
    run = make("run", "ARGS=--period 2013-06")
    assert f"version {first} is the champion" in run.stdout, run.stdout
    triggered = make("trigger", "ARGS=--period 2013-08 --reason live")
    assert triggered.returncode == 0, triggered.stdout + triggered.stderr
    for stage in ("ingest", "validate", "train", "evaluate", "deploy"):
        assert f" {stage} " in triggered.stdout
    assert "approve" not in triggered.stdout
    assert "not worse than the champion" in triggered.stdout  # so the first one was loaded through the server
    assert f"version {first + 1} is the champion, instead of {first}" in triggered.stdout
    run = make("run", "ARGS=--period 2013-10")
    # The second one was loaded from the file.
    assert f"version {first + 2} is the champion, instead of {first + 1}" in run.stdout, run.stdout
    status = status_of(make)
    ours = [entry for entry in status["ledger"] if int(entry["to_version"]) > first and entry["action"] == "deploy"]
    assert (ours[0]["to_version"], ours[0]["by"]) == (str(first + 1), "admin")
    assert status["champion"]["version"] == str(first + 2)


def test_model_types_are_tuned_by_tasks_side_by_side(make: Make) -> None:
    triggered = make("trigger", "ARGS=--period 2013-04 --trials 2")
    found = re.findall(r"✓ \S+ +tune +\S+ s +(\w+): 2 trials", triggered.stdout)
    assert sorted(found) == ["blend", "boosting", "forest", "linear"], triggered.stdout + triggered.stderr
    assert re.search(r"✓ \S+ +train .*(the default stands| is chosen): ", triggered.stdout)


def test_run_that_fails_says_why_and_fails_the_command(make: Make) -> None:
    failed = make("trigger", "ARGS=--period 2014-05")
    assert failed.returncode != 0
    assert "period 2014-05: outside the source, which has 2013-01 to 2013-12" in failed.stdout
    refused = make("trigger", "ARGS=--period June")
    assert "Invalid input for param period" in refused.stderr


@contextmanager
def edited(file: Path, old: str, new: str) -> Iterator[None]:
    """A file with another text in it, until the block ends."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    try:
        yield
    finally:
        file.write_text(text)


def test_code_that_is_edited_is_what_the_next_task_runs(project: BakedProject, make: Make) -> None:
    """The team's and the engine's, although tasks are forks of the scheduler, which has imported what they need."""
    with edited(project.package_dir / "contract.py", "between(1, 9999)", "between(1, 2)"):
        failed = make("trigger", "ARGS=--period 2013-02")
    assert re.search(r"✗ \S+ +validate .*quarantined", failed.stdout), failed.stdout
    periods = project.path / "vendor" / "modelworks" / "src" / "modelworks" / "data" / "periods.py"
    with edited(periods, "outside the source", "beyond the source"):
        failed = make("trigger", "ARGS=--period 2014-05")
    assert "period 2014-05: beyond the source" in failed.stdout


def test_process_that_is_killed_comes_back(make: Make) -> None:
    pid = int(str(processes(make)["mlflow"]["pid"]))
    os.kill(pid, signal.SIGKILL)

    def is_back() -> bool:
        found = processes(make)["mlflow"]
        return found["health"] == "healthy" and found["pid"] != pid

    wait_until("MLflow is back", is_back)


def test_logs_are_shown(make: Make) -> None:
    assert "Uvicorn running" in make("logs", "ARGS=api --lines 500").stdout
    assert "airflow-scheduler.log" in make("logs").stdout


def test_down_leaves_no_process(project: BakedProject, make: Make) -> None:
    members = session_of(project.path)
    assert len(members) > 6
    assert make("down").returncode == 0
    assert not [each for each in members if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert project.run("git", "status", "--porcelain").stdout == ""
    assert make("up").returncode == 0


def test_down_and_up_do_the_right_thing_after_supervisord_was_killed(project: BakedProject, make: Make) -> None:
    for target in ("up", "down"):
        members = session_of(project.path)
        assert len(members) > len(PROCESSES)
        os.kill(int((project.path / "var" / "stack" / "supervisord.pid").read_text()), signal.SIGKILL)
        assert {each["state"] for each in json.loads(make("status", "ARGS=--json").stdout)["processes"]} == {"orphaned"}
        done = make(target)
        assert done.returncode == 0, done.stderr
        assert not [each for each in members if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert "Nothing was running" in make("down").stdout
    assert make("trigger").stderr.startswith("error: Airflow does not answer")


def test_port_in_use_is_named_before_anything_starts(project: BakedProject, make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = str(held.getsockname()[1])
        refused = make("up", MODELWORKS_STACK__API_PORT=port)
    assert refused.returncode != 0
    assert f"127.0.0.1 port {port}: Address already in use" in refused.stderr
    assert "[stack] api_port in pipeline.toml, or MODELWORKS_STACK__API_PORT" in refused.stderr
    assert not (project.path / "var" / "stack" / "supervisord.pid").exists()


def test_start_that_fails_shows_the_log_and_leaves_nothing(project: BakedProject, make: Make) -> None:
    broken = "raise RuntimeError('broken on purpose')"
    with edited(project.package_dir / "project.py", "\nfrom modelworks", f"\n{broken}\nfrom modelworks"):
        failed = make("up")
    assert failed.returncode != 0
    assert "api does not start" in failed.stderr
    assert "broken on purpose" in failed.stderr
    here = str(project.path)
    assert not [each for each in psutil.process_iter(["cmdline"]) if here in " ".join(each.info["cmdline"] or [])]
