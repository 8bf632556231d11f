"""Servers that a project may stand on, for tests: PostgreSQL, Redis, and an S3 store; on free ports of 127.0.0.1."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bakes import serving, tool
from live_project import PATIENCE_S, free_ports, wait_until


@dataclass(frozen=True)
class PostgreSQL:
    """A running server, whose administrator is ada."""

    programs: Path
    port: int
    password: str

    def url(self, driver: str = "psycopg2", *, password: str = "", port: int = 0, database: str = "lake") -> str:
        """Where SQLAlchemy finds a database."""
        return f"postgresql+{driver}://ada:{password or self.password}@127.0.0.1:{port or self.port}/{database}"

    def command(self, line: str) -> list[str]:
        """One of PostgreSQL's programs and its arguments, all without spaces."""
        program, *arguments = line.split()
        return [str(self.programs / program), *arguments]

    def psql(self, script: str, folder: Path, database: str = "lake") -> str:
        """Run statements and psql's own commands, which have to succeed."""
        command = self.command(
            f"psql -X --quiet --tuples-only --set ON_ERROR_STOP=1 --username ada --dbname {database}"
        )
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGPASSWORD": self.password},
            input=script,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return str(done.stdout).strip()


def find_programs() -> Path:
    """The folder of PostgreSQL's programs, which Debian keeps off the PATH."""
    found = shutil.which("initdb")  # which may be a link to one of many
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    folders = [folder for folder in folders if (folder / "initdb").exists() and (folder / "psql").exists()]
    if not folders:
        # Where nobody looks at what was skipped, a missing server must not pass for a tested source.
        must_be_there = os.environ.get("CI") and sys.platform == "linux"
        (pytest.fail if must_be_there else pytest.skip)("no PostgreSQL server installed (Debian: postgresql)")
    return folders[-1]


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """A new server, up until the block ends."""
    server = PostgreSQL(find_programs(), free_ports(0)[0], secrets.token_hex(12))
    # PostgreSQL does not run as root, and pytest's own folders are closed to other users.
    user = "nobody" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="postgres-") as name, (Path(name) / "log").open("w") as log:
        folder = Path(name)
        (folder / "password").write_text(server.password)
        for path in (folder, folder / "password"):
            shutil.chown(path, user or os.geteuid())
        make = "initdb --pgdata=data --username=ada --pwfile=password --auth=scram-sha-256 --encoding=UTF8 --no-locale"
        done = subprocess.run(server.command(make), cwd=folder, user=user, stdout=log, stderr=log, check=False)
        assert done.returncode == 0, (folder / "log").read_text()
        run = f"postgres -D data -p {server.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        process = subprocess.Popen(server.command(run), cwd=folder, user=user, stdout=log, stderr=log)
        try:
            ready = server.command(f"pg_isready --quiet --host=127.0.0.1 --port={server.port}")
            wait_until("PostgreSQL", lambda: subprocess.run(ready, check=False).returncode == 0)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # which ends connections, where SIGTERM waits for them
            process.wait(timeout=PATIENCE_S)


@contextmanager
def object_store(folder: Path, roles: Mapping[str, tuple[str, str, str]] | None = None) -> Iterator[str]:
    """A real S3-compatible server, up until the block ends; yields its endpoint. The keys are `key` and `secret`.

    Parameters
    ----------
    roles : access key, secret key and policy, as JSON, of those who may do what their policy allows and nothing else
    """
    identities: list[dict[str, object]] = [{"name": "tester", "actions": ["Admin"]} | _credentials("key", "secret")]
    policies = []
    for name, (key, secret, policy) in (roles or {}).items():
        identities.append({"name": name, "actions": [], "policyNames": [name]} | _credentials(key, secret))
        policies.append({"name": name, "content": policy})
    (folder / "s3.json").write_text(json.dumps({"identities": identities, "policies": policies}))
    ports = dict(zip(("master", "volume", "filer"), free_ports(0, 0, 0), strict=True))
    # Without ports of their own for gRPC, the servers take theirs plus 10,000.
    command = [tool("weed"), "server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.config=s3.json", "-dir=."]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]  # else fixed ports, which another store may have
    command += ["-volume.max=100"]  # a bucket takes seven at a time, and by default there are eight
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    grpc_ports = zip((*ports, "s3"), free_ports(0, 0, 0, 0), strict=True)
    command += [f"-{name}.port.grpc={port}" for name, port in grpc_ports]
    with serving([*command, "-s3.port={port}"], folder, path="/healthz") as url:
        yield url


@contextmanager
def redis(folder: Path) -> Iterator[int]:
    """A server that keeps nothing, up until the block ends; yields its port."""
    if not (program := shutil.which("redis-server")):
        pytest.fail("no Redis server installed (Debian: apt-get install redis-server)")
    [port] = free_ports(0)
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        ping = [shutil.which("redis-cli") or "redis-cli", "-p", str(port), "ping"]
        wait_until("Redis", lambda: subprocess.run(ping, capture_output=True, check=False).stdout == b"PONG\n")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _credentials(key: str, secret: str) -> dict[str, object]:
    return {"credentials": [{"accessKey": key, "secretKey": secret}]}
