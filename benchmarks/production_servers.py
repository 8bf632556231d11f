"""A production on loopback: an object store, MLflow's server, two replicas of the API, and requests to these."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import clean_environment, run
from projects import COMMAND, ENGINE_ENVIRONMENT, WORK

HERE = Path(__file__).parent
FOLDER = WORK / "production"
REPLICAS = 2
DISK_MIB = 64
PATIENCE_S = 600
TRAINING = {
    "SOURCE__LAST": "2013-02",
    "EVALUATION__BOOTSTRAP_RESAMPLES": "100",
    # What is measured is how versions change, not whether they should.
    "GATES__METRICS": "{}",
    "GATES__MIN_GAIN_OVER_BASELINE": "-1",
    "GATES__MAX_LOSS_OVER_CHAMPION": "10",
    "GATES__MAX_SLICE_LOSS_OVER_CHAMPION": "10",
}
ROLLOUT = {
    "STEPS": "[0.25, 1.0]",
    "STEP_MINUTES": "0",
    "MIN_REQUESTS": "100",
    # One machine does everything, so a challenger is not taken back because a command is at work beside it.
    "TIMEOUT_S": "10",
    "LATENCY_FLOOR_MS": "10000",
    "MAX_LOSS_OVER_CHAMPION": "1",
}


class Server:
    """A process that is stopped, killed and started again at the same address."""

    def __init__(
        self, name: str, command: list[str], folder: Path, port: int, probe: str, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self._command, self._folder, self._probe, self._environment = command, folder, probe, dict(environment)
        self._log = FOLDER / f"{name.replace(' ', '-')}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises
        ------
        SystemExit
            If it ends or does not answer, with its log.
        """
        with self._log.open("a", encoding="utf-8") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # MLflow's server is a child of the command
            )
        wait_until(f"{self.name} answers", self.is_ready)

    def is_ready(self) -> bool:
        """Whether it answers its probe well."""
        if self._process is None or self._process.poll() is not None:
            raise SystemExit(f"the {self.name} ended:\n{self._log.read_text(encoding='utf-8')[-5000:]}")
        with suppress(OSError), urllib.request.urlopen(self.url + self._probe, timeout=10) as answer:  # noqa: S310
            return bool(answer.status == 200)
        return False

    def end(self, by: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal to its processes and wait for its end."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, by)
            self._process.wait(timeout=PATIENCE_S)
            self._process = None

    def get(self, path: str) -> str:
        """What it answers; "" where it does not answer, or not well."""
        with suppress(OSError), urllib.request.urlopen(self.url + path, timeout=30) as answer:  # noqa: S310
            return str(answer.read().decode())
        return ""


@dataclass
class Production:
    """The servers, and how the project's commands reach them.

    Attributes
    ----------
    disk : of the replicas' files alone, small; None where none can be mounted
    """

    project: Path
    environment: dict[str, str]
    store: Server
    registry: Server
    replicas: list[Server]
    disk: Path | None

    def command(self, *words: str, **more: str) -> str:
        """What a command of the project prints."""
        return run([COMMAND, *words], self.project, **self.environment, **_variables(more)).output

    def script(self, what: str, file: Path) -> None:
        """Run production_rows.py."""
        run([".venv/bin/python", HERE / "production_rows.py", what, file], self.project, **self.environment)

    def release(self, trees: int, **more: str) -> None:
        """Train, judge and release a version."""
        self.command("run", "--without-airflow", "--force", MODEL__PARAMETERS__MAX_ITER=str(trees), **TRAINING, **more)

    def models(self) -> list[dict[str, Any]]:
        """What each replica says of its model."""
        return [json.loads(each.get("/model") or "{}") for each in self.replicas]

    def written_rows(self) -> list[float]:
        """Predictions that each replica has written to the storage since its start."""
        pages = [each.get("/metrics").splitlines() for each in self.replicas]
        return [
            sum(float(line.split()[-1]) for line in page if line.startswith("api_log_written_rows_total "))
            for page in pages
        ]


@contextmanager
def start_production(project: Path) -> Iterator[Production]:
    """All of it, with no version yet, so the replicas are not started; everything has ended after the block."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with ExitStack() as stack:
        disk = stack.enter_context(_small_disk(FOLDER / "disk"))
        store = _object_store()
        registry = _registry()
        environment = _environment(project, store.url, registry.url)
        replicas = [
            _replica(number, project, FOLDER / "disk", clean_environment(**environment))
            for number in range(1, REPLICAS + 1)
        ]
        for each in (store, registry, *replicas):
            stack.callback(each.end)
        store.start()
        registry.start()
        yield Production(project, environment, store, registry, replicas, disk)


@contextmanager
def start_requests(production: Production, bodies: Path, rate: float, outcomes: Path) -> Iterator[None]:
    """Requests to all replicas during the block; in the end every one has its outcome."""
    urls = [each.url for each in production.replicas]
    command = [".venv/bin/python", str(HERE / "traffic.py"), str(bodies), str(outcomes), str(rate), *urls]
    process = subprocess.Popen(command, cwd=production.project, env=clean_environment())
    try:
        wait_until("requests are sent", outcomes.exists)
        yield
        if process.poll() is not None:
            raise SystemExit("the process that sends the requests has ended")
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


def wait_until(what: str, check: Callable[[], bool]) -> float:
    """Wait until something holds; the seconds that it took.

    Raises
    ------
    SystemExit
        If it never does.
    """
    started = time.monotonic()
    while not check():
        if time.monotonic() - started > PATIENCE_S:
            raise SystemExit(f"waited {PATIENCE_S} s in vain: {what}")
        time.sleep(0.1)
    return time.monotonic() - started


def _environment(project: Path, store: str, registry: str) -> dict[str, str]:
    return {
        "PATH": f"{project / '.venv' / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(project / "src"),
        "OMP_NUM_THREADS": "1",
        "AWS_ENDPOINT_URL": store,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "MLFLOW_TRACKING_URI": registry,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **_variables({"STORAGE__URI": "s3://lake/store", "TRACKING__REGISTRY": "production"}),
        **_variables({f"ROLLOUT__{name}": value for name, value in ROLLOUT.items()}),
    }


def _variables(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"MODELWORKS_{name}": value for name, value in settings.items()}


def _object_store() -> Server:
    """SeaweedFS, one of the template's own tools."""
    weed = Path(sys.executable).parent / "weed"
    if not weed.exists():
        raise SystemExit("SeaweedFS is missing, which there is for Linux: run `make setup` first")
    folder = FOLDER / "store"
    folder.mkdir()
    keys = {"accessKey": "key", "secretKey": "secret"}
    (folder / "s3.json").write_text(
        json.dumps({"identities": [{"name": "all", "actions": ["Admin"], "credentials": [keys]}]}), encoding="utf-8"
    )
    parts = ("master", "volume", "filer", "s3")
    ports = _free_ports(2 * len(parts))
    command = [str(weed), "server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.config=s3.json", "-dir=."]
    command += ["-volume.max=100", "-s3.port.iceberg=0", "-s3.port.lance=0"]  # else fixed ports, which another has
    command += [f"-{part}.port={port}" for part, port in zip(parts, ports[:4], strict=True)]
    command += [f"-{part}.port.grpc={port}" for part, port in zip(parts, ports[4:], strict=True)]
    return Server("object store", command, folder, ports[3], "/healthz", clean_environment())


def _registry() -> Server:
    folder = FOLDER / "registry"
    folder.mkdir()
    [port] = _free_ports(1)
    command = [
        str(ENGINE_ENVIRONMENT / "bin" / "mlflow"),
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder)]
    lean = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return Server("registry", command, folder, port, "/health", clean_environment(**lean))


def _replica(number: int, project: Path, disk: Path, environment: Mapping[str, str]) -> Server:
    """A replica with a home of its own: its copy of the champion, and its temporary files, are on the small disk."""
    home, temporary = disk / f"replica-{number}", disk / f"tmp-{number}"
    shutil.copytree(project, home, symlinks=True, ignore=shutil.ignore_patterns("data", "var", "tests", "vendor"))
    temporary.mkdir()
    [port] = _free_ports(1)
    command = [".venv/bin/python", "-m", "modelworks.serving", "--port", str(port)]
    own = {**environment, "PYTHONPATH": str(home / "src"), "TMPDIR": str(temporary)}
    return Server(f"replica {number}", command, home, port, "/ready", own)


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """A disk of its own; None where only root could mount one, and the folder is a plain one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "production", str(folder)]
    is_mounted = (
        sys.platform == "linux"
        and os.geteuid() == 0
        and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    )
    try:
        yield folder if is_mounted else None
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as sockets:
        held = [sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in held]
