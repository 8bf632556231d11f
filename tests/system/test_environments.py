"""From staging to prod as the page says it: two MLflow servers, two buckets of a real S3 server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from backends import object_store
from bakes import REPOSITORY, BakedProject, git, restored, serving, succeed
from documents import Reader, steps_of

pytestmark = pytest.mark.slow

PAGE = REPOSITORY / "docs" / "how-to" / "dev-staging-prod.md"
NAMES = ("staging", "prod")
AUTHOR = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "Ada"), ("EMAIL", "a@example.com"))
}


@pytest.fixture
def servers(installed: BakedProject, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What replaces the addresses of the page, and the variables with which the buckets are reached."""
    python = str(installed.path / ".venv" / "bin" / "python")
    with ExitStack() as up:
        (tmp_path / "s3").mkdir()
        s3 = up.enter_context(object_store(tmp_path / "s3"))
        access = {"AWS_ENDPOINT_URL": s3, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        made = (
            "import fsspec; fs = fsspec.filesystem('s3'); [fs.makedirs(f'lake-{name}') for name in ('staging', 'prod')]"
        )
        succeed(installed, python, "-c", made, **access)
        for name in NAMES:
            folder = tmp_path / name
            folder.mkdir()
            store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
            store += ["--artifacts-destination", str(folder / "files"), "--workers", "1"]
            command = [python, "-m", "modelworks.registry.mlflow_server", "server", "--host", "127.0.0.1"]
            url = serving(
                [*command, "--port", "{port}", *store],
                folder,
                "/health",
                **access,
                MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
            )
            access[f"https://mlflow-{name}.example.com"] = up.enter_context(url)
        yield access


def test_page_about_environments_leads_from_staging_to_prod(installed: BakedProject, servers: dict[str, str]) -> None:
    project = restored(installed)
    replaced = {name: url for name, url in servers.items() if name.startswith("https")}
    access = {name: value for name, value in servers.items() if name not in replaced}
    reader = Reader(project.path, access | AUTHOR, replaced, replaces_in_files=True)
    reader.follow(steps_of(PAGE))

    command = project.path / ".venv" / "bin" / "flight-delays"
    [entry] = json.loads(succeed(project, command, "history", "--env", "prod", "--json", **access))
    assert entry["environment"] == "prod"
    assert (entry["promoted_from"]["environment"], entry["promoted_from"]["version"]) == ("staging", "1")
    assert entry["reason"] == "Good in staging"
    [there] = json.loads(succeed(project, command, "history", "--env", "staging", "--json", **access))
    assert there["run_id"] == entry["promoted_from"]["run_id"]
    # The DAG is new, and so the code is in no commit: prod refuses, staging does not.
    assert git(project.path, "status", "--short") == "?? dags/promotion.py\n"
    refused = project.run(str(command), "promote", "1", "--from", "staging", "--env", "prod", **access)
    assert refused.returncode == 1
    assert "the environment prod refuses to go on: committed code: not committed: dags/promotion.py" in refused.stderr
    done = project.run("make", "check")
    assert done.returncode == 0, done.stdout + done.stderr
    listed = (
        "from airflow.dag_processing.dagbag import DagBag; bag = DagBag('dags'); print(bag.import_errors, *bag.dags)"
    )
    shown = succeed(project, command.with_name("python"), "-c", listed, MODELWORKS_ENV="prod", **access)
    assert "{}" in shown
    assert "flight_delays_promotion" in shown
