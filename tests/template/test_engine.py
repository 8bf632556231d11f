"""A project holds the whole engine, as it is in the template, and nothing that running it has left there."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter

from bakes import Bake, BakedProject, commit_all, git, tool

LINK = "{{cookiecutter.project_slug}}/vendor/modelworks"
TRACES = ["src/modelworks/__pycache__/a.pyc", "src/modelworks.egg-info/PKG-INFO", ".ruff_cache/x", "build/lib/a.py"]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def clone(template: Path, tmp_path: Path) -> Path:
    """A repository of the template."""
    origin = tmp_path / "template"
    shutil.copytree(template, origin, symlinks=True)
    commit_all(origin, "All")
    return origin


def generate(template: str | Path, folder: Path) -> Path:
    """Bake a project of a template that lies anywhere."""
    config = {"replay_dir": str(folder), "cookiecutters_dir": str(folder / "clones")}
    return Path(cookiecutter(str(template), no_input=True, default_config=config, output_dir=str(folder / "out")))


def test_project_has_the_whole_engine_as_real_files(bake: Bake, template: Path) -> None:
    engine = bake().path / "vendor" / "modelworks"
    assert not engine.is_symlink()
    assert contents(engine) == contents(template / "modelworks")
    assert {"pyproject.toml", "src/modelworks/__init__.py", "src/modelworks/py.typed"} <= contents(engine).keys()


def test_hash_of_each_engine_file_is_recorded(bake: Bake) -> None:
    vendor = bake().path / "vendor"
    lines = (vendor / "modelworks.sha256").read_text(encoding="utf-8").splitlines()
    found = {name: hashlib.sha256(content).hexdigest() for name, content in contents(vendor / "modelworks").items()}
    assert [line.split("  ")[1] for line in lines] == sorted(found)
    assert {line.split("  ")[1]: line.split("  ")[0] for line in lines} == found


def test_traces_of_running_and_building_stay_behind(clone: Path, tmp_path: Path) -> None:
    before = contents(clone / "modelworks")
    for name in TRACES:
        path = clone / "modelworks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("trace")
    compiled = clone / "{{cookiecutter.project_slug}}" / "dags" / "__pycache__" / "training.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"\0")
    project = generate(clone, tmp_path)
    assert contents(project / "vendor" / "modelworks") == before
    assert not (project / "dags" / "__pycache__").exists()


def test_overwriting_replaces_the_engine_as_a_whole(bake: Bake) -> None:
    project = bake()
    engine = project.path / "vendor" / "modelworks"
    before = contents(engine)
    (engine / "src" / "modelworks" / "gone.py").write_text("# of another version\n")
    (engine / "src" / "modelworks" / "project.py").write_text("# patched\n")
    bake(project.path.parent, overwrite_if_exists=True)
    assert contents(engine) == before


def assert_incomplete(message: str, out: Path) -> None:
    """Assert that a refusal says what is missing and what to do, and that nothing was made."""
    assert "No project was made: the template is incomplete" in message
    assert "engine is missing" in message
    assert "git -c core.symlinks=true clone" in message
    assert not any(out.iterdir())


def test_zip_whose_link_became_a_text_file_is_refused(
    clone: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As a forge's "Download ZIP" has it: cookiecutter's own unpacking makes files of links."""
    archive = tmp_path / "template.zip"
    git(clone, "archive", "--format=zip", "--prefix=template/", f"--output={archive}", "HEAD")
    with zipfile.ZipFile(archive) as zipped:
        assert zipped.read(f"template/{LINK}") == b"../../modelworks"
    with pytest.raises(FailedHookException):
        generate(archive, tmp_path)
    assert_incomplete(capfd.readouterr().err, tmp_path / "out")


@pytest.mark.slow
def test_clone_without_symbolic_links_is_refused_by_cruft_as_well(clone: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "--quiet", "--config", "core.symlinks=false", str(clone), "copy")
    assert (copy / LINK).read_text() == "../../modelworks"
    # Cruft clones it once more, so the text files are committed as such.
    shutil.rmtree(copy / ".git")
    commit_all(copy, "Text files")
    (tmp_path / "out").mkdir()
    command = [tool("cruft"), "create", str(copy), "--no-input", "--output-dir", str(tmp_path / "out")]
    environment = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode != 0
    assert_incomplete(done.stderr, tmp_path / "out")


def test_engine_is_marked_as_vendored_and_its_record_as_generated(bake: Bake) -> None:
    project = bake()
    files = ["vendor/modelworks/src/modelworks/project.py", "vendor/modelworks.sha256", "src/flight_delays/project.py"]
    shown = project.run("git", "check-attr", "linguist-vendored", "linguist-generated", "--", *files).stdout
    marked = {line.rsplit(": ", 1)[0] for line in shown.splitlines() if line.endswith(": set")}
    assert f"{files[0]}: linguist-vendored" in marked
    assert f"{files[1]}: linguist-generated" in marked
    assert not [each for each in marked if each.startswith(files[2])]


def test_engine_is_no_part_of_what_the_project_checks(bake: Bake) -> None:
    """Its own checks are the template's; a team's `make check` is about the team's files."""
    project = bake()
    broken = project.path / "vendor" / "modelworks" / "src" / "modelworks" / "broken.py"
    broken.write_text("import os\nx =   1\n")
    for arguments in (["check"], ["format", "--check"]):
        done = BakedProject(project.path, {}).run(tool("ruff"), *arguments, "--no-cache")
        assert "broken.py" not in done.stdout + done.stderr
