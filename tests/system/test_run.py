"""What a user does, done: from a clean copy to a deployed model, on real Airflow and real MLflow."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends import object_store
from bakes import REPOSITORY, Bake, BakedProject, serving
from documents import Reader, first_missing, steps_of

pytestmark = pytest.mark.slow

HOSTILE = {
    "project_name": 'It\'s "late" \\ {again} & <again>',
    "project_slug": "a-name-of-fifty-characters-which-is-the-most-there",
    "author_name": "Zoë O'Hara-Ñandú 🛫",
}


@pytest.fixture(scope="session")
def clone(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the template, as a user's git makes it."""
    origin = tmp_path_factory.mktemp("origin") / "template"
    shutil.copytree(template, origin, symlinks=True)
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    for command in (["init", "--quiet"], ["add", "--all"], [*identity, "commit", "--quiet", "--message", "all"]):
        subprocess.run(["git", *command], cwd=origin, check=True)
    copy = tmp_path_factory.mktemp("clone") / "template"
    subprocess.run(["git", "clone", "--quiet", str(origin), str(copy)], check=True)
    return copy


def new_machine(home: Path) -> dict[str, str]:
    """The environment of a machine without uv and with an empty home; only uv's download cache is shared."""
    cache = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")
    folders = [folder for folder in os.environ["PATH"].split(os.pathsep) if not (Path(folder) / "uv").exists()]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "UV_"))}
    return kept | {"PATH": os.pathsep.join(folders), "HOME": str(home), "UV_CACHE_DIR": cache}


def call(*command: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> str:
    """Run a command that has to succeed; what it printed."""
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def command(project: Path) -> Path:
    """The command of a project."""
    return BakedProject(project, {}).command


def status_of(project: Path) -> dict[str, Any]:
    """The project's own account of its state."""
    printed: dict[str, Any] = json.loads(call(command(project), "status", "--json", cwd=project))
    return printed


@pytest.fixture(scope="session")
def demo(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The project that `make demo` leaves, and what it printed."""
    home = tmp_path_factory.mktemp("home")
    printed = call("make", "demo", cwd=clone, environment=new_machine(home))
    # Airflow and MLflow keep caches of their own in the home; of the template and of uv there must be nothing.
    assert not [
        path for path in home.rglob("*") if path.name in {"uv", "uvx", ".cookiecutters", ".cookiecutter_replay"}
    ]
    return clone / "build/demo/flight-delays", printed


@pytest.fixture(scope="session")
def project(demo: tuple[Path, str]) -> Path:
    """The generated project of `make demo`, with its environment and a deployed model."""
    return demo[0]


def test_demo_on_a_new_machine_ends_in_a_deployed_model(demo: tuple[Path, str]) -> None:
    project, printed = demo
    [shown] = [step.text for step in steps_of(project / "README.md") if step.language == "text"]
    stages = ["ingest", "validate", "compare", "train", "evaluate", "deploy"]
    assert [line.split()[2] for line in shown.splitlines()] == stages
    assert first_missing(shown.splitlines(), printed) is None, printed
    assert "version 1 is the champion" in printed
    champion = status_of(project)["champion"]
    assert champion["version"] == "1"
    assert 0.60 <= champion["metrics"]["roc_auc"] <= 0.80


def test_demo_again_works_and_git_sees_nothing_new(demo: tuple[Path, str], clone: Path, tmp_path: Path) -> None:
    before = status_of(demo[0])
    assert "nothing new to release" in call("make", "demo", cwd=clone, environment=new_machine(tmp_path))
    assert status_of(demo[0])["ledger"] == before["ledger"]
    assert call("git", "status", "--porcelain", cwd=clone) == ""


def test_plain_run_gives_the_model_and_figures_of_the_dag_run(project: Path) -> None:
    dag = status_of(project)["champion"]
    assert "is the champion" in call(command(project), "run", "--without-airflow", "--force", cwd=project)
    plain = status_of(project)["champion"]
    assert plain["run_id"] != dag["run_id"]
    assert plain["data_digest"] == dag["data_digest"]
    own = {name: value for name, value in plain["metrics"].items() if "champion" not in name}
    assert own.items() <= dag["metrics"].items()
    assert plain["metrics"]["gain_over_champion"] == 0


def test_tests_and_checks_of_the_generated_project_pass(project: Path) -> None:
    assert " passed" in call("make", "test", cwd=project)
    assert "0 broken" in call("make", "check", cwd=project)


def test_every_command_of_the_project_explains_itself(project: Path) -> None:
    printed = call(command(project), "--help", cwd=project)
    stages = ("run", "explore", "tune", "ingest", "validate", "train", "evaluate", "deploy", "score", "monitor")
    releases = (
        "approve",
        "reject",
        "rollback",
        "history",
        "explain",
        "reproduce",
        "backtest",
        "simulate-drift",
        "adopt",
        "audit",
    )
    for name in (*stages, *releases, "status", "report", "up", "down", "trigger", "logs", "import", "engine-status"):
        assert f" {name} " in printed


def test_releases_are_listed_reproduced_and_used_for_scores(project: Path) -> None:
    program = command(project)
    assert "passed every check on 2013-12" in call(program, "history", cwd=project)
    version = status_of(project)["champion"]["version"]
    assert "equal in all 111,279 predictions" in call(program, "reproduce", version, cwd=project)
    for found in ("scored", "found"):
        assert f"8,710 rows {found}, by version {version}" in call(
            "make", "score", "ARGS=--period 2013-11", cwd=project
        )


def test_patched_engine_is_named_by_make_check_which_passes(project: Path) -> None:
    """And a release is identified by the data and settings that it was trained with."""
    patched = project / "vendor" / "modelworks" / "src" / "modelworks" / "data" / "periods.py"
    text = patched.read_text()
    patched.write_text(text + "# ours\n")
    try:
        done = BakedProject(project, {}).run("make", "check")
        version = status_of(project)["champion"]["version"]
        reproduced = BakedProject(project, {}).run(command(project), "reproduce", version)
    finally:
        patched.write_text(text)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "src/modelworks/data/periods.py" in done.stdout + done.stderr
    assert "engine" in reproduced.stdout + reproduced.stderr
    unchanged = BakedProject(project, {}).run("make", "check")
    assert "periods.py" not in unchanged.stdout + unchanged.stderr


def test_refused_model_fails_make_run_and_leaves_the_champion(project: Path) -> None:
    before = status_of(project)
    environment = os.environ | {"MODELWORKS_TRAINING__FEATURES": '["distance"]'}
    done = subprocess.run(["make", "run"], cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert re.search(r"✗ \S+ +evaluate", done.stdout)
    assert "Not released" in done.stdout
    assert re.search(r"log: \S+\.log", done.stdout)
    after = status_of(project)
    assert before.pop("health")["condition"] != after.pop("health")["condition"] == "refused"
    assert after == before


def test_tuning_shows_every_model_type_and_releases_nothing(project: Path) -> None:
    before = status_of(project)
    environment = os.environ | {"MODELWORKS_TRAINING__FEATURES": '["recent_delay", "carrier", "visibility"]'}
    printed = call("make", "tune", "ARGS=--trials 2 --period 2013-04", cwd=project, environment=environment)
    for trial in ("boosting 0 (default)", "boosting 1", "blend 0", "blend 1", "forest 0", "linear 1", "baseline"):
        assert f" {trial} " in printed
    kept = tomllib.loads(printed.partition("```toml")[2].partition("```")[0])["model"]
    assert kept["type"] in {"blend", "boosting", "forest", "linear"}
    assert status_of(project) == before


def test_notebook_runs_and_is_stored_without_outputs(project: Path, tmp_path: Path) -> None:
    """Its cells, one after the other, as a kernel runs them."""
    cells = json.loads((project / "notebooks" / "explore.ipynb").read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []
    script = tmp_path / "explore.py"
    lines = [line for cell in code for line in [*"".join(cell["source"]).splitlines(), ""]]
    assert not [line for line in lines if line.startswith(("%", "!"))]
    script.write_text("import matplotlib; matplotlib.use('Agg')\n" + "\n".join(lines))
    call(project / ".venv/bin/python", script, cwd=project / "notebooks")


def test_user_path_with_uvx(clone: Path, uv: str, tmp_path: Path) -> None:
    """With the names and choices that are the hardest to write; `make demo` takes the defaults."""
    locked = re.search(r"^cookiecutter==(\S+)", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE)
    assert locked
    environment = os.environ | {"HOME": str(tmp_path / "home")}
    environment.setdefault("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))
    answers = HOSTILE | {"license": "Proprietary", "ci": "GitLab CI", "git_init": "False"}
    given = [f"{name}={answer}" for name, answer in answers.items()]
    command = [uv, "tool", "run", f"cookiecutter@{locked[1]}", "--no-input", str(clone), *given]
    printed = call(*command, cwd=tmp_path, environment=environment)
    project = tmp_path / HOSTILE["project_slug"]
    assert re.search(rf"  cd \S*{project.name}\n", printed)
    # Python compiles what it imports; to compile all of an environment that is used once would take longer.
    lazily = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    assert "is the champion" in call("make", "run", "UV_COMPILE_BYTECODE=0", cwd=project, environment=lazily)
    assert "0 broken" in call("make", "check", cwd=project)
    assert " passed" in call(project / ".venv/bin/pytest", cwd=project)
    assert not (project / ".git").exists()
    assert (project / ".gitlab-ci.yml").exists()


def test_lock_installs_with_plain_pip(bake: Bake) -> None:
    project = bake().path
    call(sys.executable, "-m", "venv", ".venv", cwd=project)
    pip = [".venv/bin/pip", "--quiet", "--disable-pip-version-check", "install", "--no-compile"]
    call(*pip, "--require-hashes", "-r", "requirements.lock", cwd=project)
    call(*pip, "--no-deps", "--no-build-isolation", "-e", "vendor/modelworks", "-e", ".", cwd=project)
    assert status_of(project)["champion"] is None


@pytest.fixture(scope="session")
def web(project: Path) -> Iterator[str]:
    """The project's sample files behind HTTP."""
    with serving([sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1"], project / "data") as url:
        yield url


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of an S3 store."""
    with object_store(tmp_path_factory.mktemp("s3")) as endpoint:
        yield endpoint


def test_source_may_be_a_web_server(project: Path, web: str, tmp_path: Path) -> None:
    facts = ingest(project, f"{web}/flights-{{period}}.csv.gz", str(tmp_path))
    assert facts["summary"] == "2 periods 2013-01 to 2013-02, 17,582 rows (2 new)"
    refused = call_ingest(project, f"{web}/nothing-{{period}}.csv.gz", str(tmp_path))
    assert refused.returncode == 1
    assert f"{web}/nothing-2013-01.csv.gz: no such file" in refused.stderr


def test_source_and_storage_may_be_s3(project: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    put = (
        "import fsspec; fs = fsspec.filesystem('s3'); fs.makedirs('lake', exist_ok=True)\n"
        "for m in ('01', '02'): fs.put(f'data/flights-2013-{m}.csv.gz', f'lake/in/flights-2013-{m}.csv.gz')"
    )
    call(".venv/bin/python", "-c", put, cwd=project)
    first, again = (ingest(project, "s3://lake/in/flights-{period}.csv.gz", "s3://lake/store") for _ in range(2))
    assert first["summary"].endswith("(2 new)")
    assert again["summary"].endswith("(0 new)")
    assert again["dataset_uri"] == first["dataset_uri"]
    assert first["dataset_uri"].startswith("s3://lake/store/datasets/")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    refused = call_ingest(project, "s3://lake/in/flights-{period}.csv.gz", "s3://lake/store")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr


def test_page_about_s3_leads_to_periods_in_a_bucket(project: Path, s3: str) -> None:
    made = "import fsspec; fsspec.filesystem('s3').makedirs('lake', exist_ok=True)"
    access = {"AWS_ENDPOINT_URL": s3, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    assert BakedProject(project, {}).run(".venv/bin/python", "-c", made, **access).returncode == 0
    settings = project / "pipeline.toml"
    before = settings.read_text(encoding="utf-8")
    reader = Reader(project, replaced={"https://s3.example.com": s3, "my-key": "key", "my-secret": "secret"})
    try:
        reader.follow(steps_of(REPOSITORY / "docs" / "how-to" / "use-s3.md"))
    finally:
        settings.write_text(before, encoding="utf-8")
        (project / ".env").unlink()


def ingest(project: Path, source: str, storage: str) -> dict[str, Any]:
    """Ingest two periods from elsewhere; what the stage printed."""
    done = call_ingest(project, source, storage)
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def call_ingest(project: Path, source: str, storage: str) -> subprocess.CompletedProcess[str]:
    """Start the ingest stage with another source and storage."""
    return BakedProject(project, {}).run(
        command(project),
        "ingest",
        "--period",
        "2013-02",
        MODELWORKS_SOURCE__URI=source,
        MODELWORKS_STORAGE__URI=storage,
    )
