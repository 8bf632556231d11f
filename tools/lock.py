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
WORK = REPOSITORY / "build" / "lock"

# What is chosen for each lock, and the locks that a project merges with it.
CHOICES = {
    "lightgbm": ("lightgbm", []),
    "xgboost": ("xgboost", []),
    "pytorch": ("pytorch", []),
    "keras": ("pytorch, keras", ["pytorch"]),
    "tensorflow": ("keras", ["keras"]),
    "text": ("pytorch", ["pytorch"]),
}
EXAMPLES = {"text"}
"""The locks that come with an example."""


def bake(frameworks: str, example: str = "tabular") -> Path:
    """A project with these frameworks and this example."""
    return Path(
        cookiecutter(
            str(REPOSITORY),
            no_input=True,
            default_config={"replay_dir": str(WORK / "home")},
            extra_context={"frameworks": frameworks, "example": example, "git_init": False},
            output_dir=str(WORK / re.sub(r"\W+", "-", f"{frameworks} {example}")),
        )
    )


def resolve(uv: str, output: Path, projects: list[Path], *options: str) -> Path:
    """Lock what projects and their development want."""
    command = [uv, "pip", "compile", "--quiet", "--universal", "--no-annotate", "--custom-compile-command", "make lock"]
    command += [word for project in projects for word in ("--group", f"{project}/pyproject.toml:dev")]
    # As [tool.uv] of the text example has it, which is not read from here.
    (WORK / "excluded.txt").write_text("sentence-transformers\n", encoding="utf-8")
    command += [*options, "--excludes", "excluded.txt", "--output-file", str(output)]
    command += [f"{project}/pyproject.toml" for project in projects]
    subprocess.run(command, cwd=WORK, check=True)
    return output


def entries_of(lock: Path) -> list[str]:
    """The comment at the head of a lock, then each package with its hashes."""
    return re.split(r"^(?=[a-z0-9])", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)


def main(uv: str) -> None:
    """Write the locks into the template."""
    shutil.rmtree(WORK, ignore_errors=True)
    base = bake("scikit-learn")
    projects = {
        name: bake(frameworks, name if name in EXAMPLES else "tabular") for name, (frameworks, _) in CHOICES.items()
    }
    # The locks that need nothing of the others: supply-chain.lock and torch.lock.
    subprocess.run(["make", "-C", str(projects["pytorch"]), "lock", f"UV={uv}"], check=True)
    everything = resolve(uv, WORK / "everything.txt", [base, *projects.values()], "--upgrade")
    options = ["--generate-hashes", "--constraints", str(everything)]
    locked = resolve(uv, WORK / "requirements.lock", [base], *options)
    added: dict[str, list[str]] = {}
    for name, (_, below) in CHOICES.items():
        head, *entries = entries_of(resolve(uv, WORK / f"{name}.lock", [projects[name]], *options))
        known = {*entries_of(locked), *(entry for each in below for entry in added[each])}
        added[name] = [entry for entry in entries if entry not in known]
        (PROJECT / "frameworks" / f"{name}.lock").write_text(head + "".join(added[name]), encoding="utf-8")
    shutil.copy(locked, PROJECT)
    for name in ("supply-chain.lock", "torch.lock"):
        shutil.copy(projects["pytorch"] / name, PROJECT)


if __name__ == "__main__":
    main(sys.argv[1])
