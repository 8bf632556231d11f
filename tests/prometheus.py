"""A real Prometheus with the configuration of a project, and its promtool."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 600
INSTALL = "on Debian and Ubuntu: apt-get install -y --no-install-recommends prometheus"


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`."""
    found = shutil.which(name)
    if found is None:
        # Where nobody looks at what was skipped, a missing program must not pass for tested rules.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {name} on PATH; {INSTALL}")
    return str(found)


@dataclass
class Prometheus:
    """A running server."""

    url: str
    log: Path

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its HTTP API."""
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}{query}", timeout=60) as response:  # noqa: S310 - our own
            answer = json.load(response)
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an expression, now."""
        result: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return result

    def names(self) -> set[str]:
        """The names of all metrics that it has."""
        return set(self.ask("label/__name__/values"))

    def firing(self) -> dict[str, dict[str, Any]]:
        """The alerts that fire, by their names."""
        return {each["labels"]["alertname"]: each for each in self.ask("alerts")["alerts"] if each["state"] == "firing"}

    def wait_for(self, expression: str) -> None:
        """Wait until an expression has a series."""
        until = time.monotonic() + PATIENCE_S
        while not self.query(expression):
            assert time.monotonic() < until, f"{expression} has no series: {self.log.read_text()}"
            time.sleep(0.5)


@contextmanager
def prometheus(configuration: Path, target: str, folder: Path) -> Iterator[Prometheus]:
    """Prometheus with a project's configuration, as it is but for the interval: three seconds in place of fifteen.

    Parameters
    ----------
    configuration : the folder of `prometheus.yml` and `rules.yml`
    target : host and port to scrape
    """
    own = folder / "observability"
    shutil.copytree(configuration, own)
    file = own / "prometheus.yml"
    file.write_text(file.read_text().replace("15s", "3s"))  # an API on a busy machine takes a second to answer
    (own / "targets").mkdir()
    (own / "targets" / "test.yml").write_text(f'- targets: ["{target}"]\n')
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [
        program("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'series'}",
        f"--web.listen-address={address}",
    ]
    server = Prometheus(f"http://{address}", folder / "prometheus.log")
    with server.log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            until = time.monotonic() + PATIENCE_S
            while not is_ready(server.url):
                assert process.poll() is None, server.log.read_text()
                assert time.monotonic() < until, server.log.read_text()
                time.sleep(0.2)
            yield server
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_S)


def is_ready(url: str) -> bool:
    """Whether it answers queries."""
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=60) as response:  # noqa: S310 - our own server
            return bool(response.status == 200)
    except OSError:
        return False
