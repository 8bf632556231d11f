"""Renew the project's locks: all that can be chosen is resolved at once, and then cut into what each choice adds.

So a package has the same version in every project, and the hook can put a project's lock together without a network.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from cookiecutter.main import cookiecutter

REPOSITORY = Path(__file__).parents[1]
PROJECT = REPOSITORY / "{{cookiecutter.project_slug}}"
ENGINE = REPOSITORY / "modelworks" / "pyproject.toml"
WORK = REPOSITORY / "build" / "lock"

# The extras of the engine that each lock is for, and the locks that a project merges with it.
CHOICES = {
    "lightgbm": (["lightgbm"], []),
    "xgboost": (["xgboost"], []),
    "pytorch": (["pytorch"], []),
    "keras": (["pytorch", "keras"], ["pytorch"]),
    "tensorflow": (["keras", "tensorflow"], ["keras"]),
    "text": (["pytorch", "text"], ["pytorch"]),
    "spark": (["spark"], []),
    "spark-classic": (["spark-classic"], []),
    "cluster": (["cluster"], []),
}
EVERYTHING = [
    *("lightgbm", "xgboost", "pytorch", "keras", "tensorflow", "text", "image", "spark", "spark-classic", "cluster"),
]


def bake(frameworks: str) -> Path:
    """A project with these frameworks, and the platforms that have locks of their own."""
    return Path(
        cookiecutter(
            str(REPOSITORY),
            no_input=True,
            default_config={"replay_dir": str(WORK / "home")},
            extra_context={"frameworks": frameworks, "platforms": "aws, kubeflow", "git_init": False},
            output_dir=str(WORK / re.sub(r"\W+", "-", frameworks)),
        )
    )


def resolve(uv: str, output: Path, project: Path, extras: list[str], *options: str) -> Path:
    """Lock what the engine with some extras wants, and what a project's development wants."""
    command = [uv, "pip", "compile", "--quiet", "--universal", "--no-annotate", "--custom-compile-command", "make lock"]
    command += ["--group", f"{project}/pyproject.toml:dev", *(word for extra in extras for word in ("--extra", extra))]
    # As [tool.uv] of the text example has it, which is not read from here.
    (WORK / "excluded.txt").write_text("sentence-transformers\n", encoding="utf-8")
    command += [*options, "--excludes", "excluded.txt", "--output-file", str(output), str(ENGINE)]
    subprocess.run(command, cwd=WORK, check=True)
    return output


def entries_of(lock: Path) -> list[str]:
    """The comment at the head of a lock, then each package with its hashes."""
    return re.split(r"^(?=[a-z0-9])", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)


def main(uv: str) -> None:
    """Write the locks into the template."""
    shutil.rmtree(WORK, ignore_errors=True)
    project = bake("pytorch")
    # The locks that need nothing of the others: supply-chain.lock, torch.lock and those of platforms.
    subprocess.run(["make", "-C", str(project), "lock", f"UV={uv}"], check=True)
    everything = resolve(uv, WORK / "everything.txt", project, EVERYTHING, "--upgrade")
    options = ["--generate-hashes", "--constraints", str(everything)]
    locked = resolve(uv, WORK / "requirements.lock", project, [], *options)
    added: dict[str, list[str]] = {}
    for name, (extras, below) in CHOICES.items():
        head, *entries = entries_of(resolve(uv, WORK / f"{name}.lock", project, extras, *options))
        known = {*entries_of(locked), *(entry for each in below for entry in added[each])}
        added[name] = [entry for entry in entries if entry not in known]
        (PROJECT / "frameworks" / f"{name}.lock").write_text(head + "".join(added[name]), encoding="utf-8")
    # What the engine's own tests need is no part of a project.
    tests = resolve(uv, WORK / "tests.lock", project, [], "--group", f"{ENGINE}:test", *options)
    head, *entries = entries_of(tests)
    of_tests = "".join(entry for entry in entries if entry not in entries_of(locked))
    (REPOSITORY / "tests" / "requirements.lock").write_text(head + of_tests, encoding="utf-8")
    shutil.copy(locked, PROJECT)
    of_platforms = [f"deploy/{name}/requirements.lock" for name in ("aws", "kubeflow")]
    for name in ("supply-chain.lock", "torch.lock", *of_platforms):
        shutil.copy(project / name, PROJECT / name)


if __name__ == "__main__":
    main(sys.argv[1])
