"""When the makefile of a project makes its environment anew, and that it does so once: with a uv that installs nothing.

The real one is in tests/system, where a project runs.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bakes import Bake, BakedProject, in_foreground

# Notes each call; makes programs that fail without a whole environment; takes a moment, in which others might begin.
UV = """\
#!/bin/sh
echo "$*" >> "{calls}"
case "$1 $2" in
"venv --quiet")
  rm -rf .venv
  mkdir -p .venv/bin
  ln -s "{python}" .venv/bin/python
  for program in pytest ruff mypy lint-imports "{slug}"; do
    printf '#!/bin/sh\\ntest -s .venv/installed || {{ echo "no environment" >&2; exit 1; }}\\n' > ".venv/bin/$program"
    chmod +x ".venv/bin/$program"
  done ;;
"pip sync") sleep "{seconds}" ;;
esac
"""


@pytest.fixture
def project(bake: Bake) -> BakedProject:
    return bake(git_init=False)


def make(project: BakedProject, *words: str, seconds: float = 0.3) -> list[str]:
    """Run make with that uv; the calls of uv."""
    calls = project.path.parent / "calls"
    calls.unlink(missing_ok=True)
    done = project.run("make", f"UV={write_uv(project, calls, seconds)}", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return calls.read_text().splitlines() if calls.exists() else []


def write_uv(project: BakedProject, calls: Path, seconds: float) -> Path:
    uv = project.path.parent / "uv"
    uv.write_text(UV.format(calls=calls, python=sys.executable, slug=project.path.name, seconds=seconds))
    uv.chmod(0o755)
    return uv


def test_it_is_made_once_whatever_runs_side_by_side(project: BakedProject) -> None:
    calls = make(project, "-j8", "run", "test", "check", "status", "setup")
    assert [call.split()[0:2] for call in calls] == [["venv", "--quiet"], ["pip", "sync"], ["pip", "install"]]
    assert make(project, "-j8", "run", "test", "check") == []


def move(project: BakedProject) -> BakedProject:
    """The same project in another folder."""
    folder = project.path.parent / "elsewhere" / project.path.name
    folder.parent.mkdir()
    shutil.move(project.path, folder)
    return BakedProject(folder, project.answers)


def copy(project: BakedProject) -> BakedProject:
    """A copy beside it."""
    folder = project.path.parent / "copies" / project.path.name
    shutil.copytree(project.path, folder, symlinks=True)
    return BakedProject(folder, project.answers)


def lose_python(project: BakedProject) -> BakedProject:
    """Its interpreter is gone."""
    python = project.path / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    return project


def upgrade_python(project: BakedProject) -> BakedProject:
    """Its interpreter is another version by now."""
    python = project.path / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.version_info = (3, 9, 1); $2"\n')
    python.chmod(0o755)
    return project


def change_lock(project: BakedProject) -> BakedProject:
    """The lock has another package."""
    with (project.path / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    return project


@pytest.mark.slow
@pytest.mark.parametrize("change", [move, copy, lose_python, upgrade_python, change_lock])
def test_it_is_made_anew_once_it_fits_no_more(
    project: BakedProject, change: Callable[[BakedProject], BakedProject]
) -> None:
    make(project, "setup", seconds=0)
    changed = change(project)
    assert make(changed, "status", seconds=0)[0].startswith("venv --quiet --clear")
    assert make(changed, "status", seconds=0) == []


@pytest.mark.slow
def test_installation_that_ctrl_c_has_ended_begins_anew(project: BakedProject) -> None:
    calls = project.path.parent / "calls"
    command = ["make", f"UV={write_uv(project, calls, 60)}", "setup"]
    process = in_foreground(command, project.path, os.environ, subprocess.DEVNULL)
    while not calls.exists() or "pip sync" not in calls.read_text():
        assert process.poll() is None
        time.sleep(0.02)
    while process.poll() is None:  # a program that is just starting another may miss the first
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.5)
    assert process.returncode != 0
    assert [call.split()[0] for call in make(project, "status", seconds=0)] == ["venv", "pip", "pip"]
