"""Put the chosen example and locks in place, remove what was not asked for, commit, and print what to do next."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

GITHUB = [f".github/workflows/{name}.yml" for name in ("ci", "dependencies", "environments")]
GITLAB = [".gitlab-ci.yml"]
AZURE = ["azure-pipelines.yml"]

# Files, not folders: a project generated over an existing one keeps what else its folders hold.
UNWANTED = {
    "ci": {
        "GitHub Actions": GITLAB + AZURE,
        "GitLab CI": GITHUB + AZURE,
        "Azure DevOps": GITHUB + GITLAB,
        "none": GITHUB + GITLAB + AZURE,
    },
}

# Each is an extra of the engine, and a lock: what it needs beside requirements.lock.
MODEL_TYPES = {"lightgbm", "xgboost", "pytorch", "keras"}
FRAMEWORKS = MODEL_TYPES | {"spark", "spark-classic"}

# What the encoders of an example run on.
EXAMPLE_FRAMEWORKS: dict[str, set[str]] = {"tabular": set(), "text": {"pytorch"}, "image": {"pytorch", "keras"}}

# The folders of an example that have the same name in a project; its Python files go into the package.
EXAMPLE_FOLDERS = ["data", "tests", "weights"]

# The folders below deploy/ that a platform needs; observability is that of both that run servers.
PLATFORMS = {
    "compose": ["compose", "observability"],
    "kubernetes": ["kubernetes", "observability"],
    "aws": ["aws"],
    "kubeflow": ["kubeflow"],
}
# Those whose Airflow has workers of its own: frameworks/cluster.lock.
WITH_WORKERS = {"compose", "kubernetes"}

ENGINE = Path("vendor", "modelworks")
# Without anything of the flights: what a project of one's own data starts from.
PLAIN = ENGINE / "src" / "modelworks" / "adopt" / "plain"
# What running, testing and building leave in the engine's folder of the template.
LEFTOVERS = ["**/__pycache__", "**/*.egg-info", "**/.*_cache", "**/.DS_Store", "build", "dist"]

NO_ENGINE = """
No project was made: the template is incomplete. vendor/modelworks is no folder, so the engine is missing.

The template holds it as a symbolic link, which a zip archive, and git on Windows without symbolic links, replace by a
text file. Use the git address of the template or a clone of it, made with `git -c core.symlinks=true clone ...`.
"""


def refuse_without_engine(project: Path) -> None:
    """Exit with 1 if the template arrived without the engine: its link was a text file, or led nowhere."""
    if not (project / ENGINE / "src" / "modelworks" / "__init__.py").is_file():
        print(NO_ENGINE, file=sys.stderr)
        sys.exit(1)


def clean_engine(project: Path) -> None:
    """Remove from the copied engine what is no source, and record the hash of each file that is left."""
    engine = project / ENGINE
    for path in [path for pattern in LEFTOVERS for path in engine.glob(pattern)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    files = sorted(path.relative_to(engine).as_posix() for path in engine.rglob("*") if path.is_file())
    lines = [f"{hashlib.sha256((engine / name).read_bytes()).hexdigest()}  {name}\n" for name in files]
    # As sha256sum writes it. `make check` compares, and names what the team has patched.
    (engine.parent / f"{engine.name}.sha256").write_text("".join(lines), encoding="utf-8")


def remove_bytecode(project: Path) -> None:
    """Remove what Python has compiled in the template's own folders."""
    for name in ("dags", "src", "tests"):
        for folder in list((project / name).rglob("__pycache__")):
            shutil.rmtree(folder)


def chosen_frameworks(answers: dict[str, str]) -> set[str]:
    """The frameworks beside scikit-learn; Keras runs on PyTorch if that is there, or else on TensorFlow."""
    named = {name.strip().lower() for name in answers["frameworks"].split(",")}
    return (named & FRAMEWORKS) | EXAMPLE_FRAMEWORKS[answers["example"]]


def name_model_types(project: Path, answers: dict[str, str]) -> None:
    """Add the model types that the chosen frameworks bring to models.py."""
    models = project / "src" / answers["__package_name"] / "models.py"
    text = models.read_text(encoding="utf-8")
    imported = re.search(r"^from modelworks\.models\.types import (.+)$", text, re.MULTILINE)
    assert imported
    there = imported[1].split(", ")
    names = sorted({*there, *(chosen_frameworks(answers) & MODEL_TYPES)})
    text = text.replace(imported[0], f"from modelworks.models.types import {', '.join(names)}")
    before, after = ("".join(f'    "{name}": {name}.MODEL_TYPE,\n' for name in each) for each in (there, names))
    assert before in text
    models.write_text(text.replace(before, after), encoding="utf-8")


def remove_unwanted(project: Path, answers: dict[str, str]) -> None:
    """Unlink the files that the answers leave out, and the folders that this empties."""
    names = [name for question, by_answer in UNWANTED.items() for name in by_answer[answers[question]]]
    torch = [] if "pytorch" in chosen_frameworks(answers) else ["torch.lock"]
    folders = [project / "frameworks", project / "examples"]  # merged and placed by then
    folders += [project / "deploy" / name for name in unwanted_platform_folders(answers)]
    for path in [*(project / name for name in names + torch), *(path for each in folders for path in each.rglob("*"))]:
        if not path.is_file():
            continue
        path.unlink()
        for folder in path.relative_to(project).parents[:-1]:
            if not any((project / folder).iterdir()):
                (project / folder).rmdir()


def chosen_platforms(answers: dict[str, str]) -> set[str]:
    """Where the project is to run."""
    return PLATFORMS.keys() & {name.strip().lower() for name in answers["platforms"].split(",")}


def unwanted_platform_folders(answers: dict[str, str]) -> list[str]:
    """The folders below deploy/ that no chosen platform needs."""
    wanted = {folder for name in chosen_platforms(answers) for folder in PLATFORMS[name]}
    return sorted({folder for folders in PLATFORMS.values() for folder in folders} - wanted)


def place_example(project: Path, answers: dict[str, str]) -> None:
    """Put an example's Python files, data, weights, tests and settings in the place of the flights'."""
    folder = project / "examples" / answers["example"]
    if not folder.is_dir():
        return
    for path in [*project.glob("data/flights-*"), project / "data" / "MANIFEST.json"]:
        path.unlink()
    package = project / "src" / answers["__package_name"]
    for path in (project / PLAIN).glob("*.py.txt"):
        target = project / "tests" if path.name.startswith("test_") else package
        shutil.copy(path, target / path.name.removesuffix(".txt"))
    for path in folder.glob("*.py"):
        shutil.copy(path, package)
    for name in EXAMPLE_FOLDERS:
        if (folder / name).is_dir():
            shutil.copytree(folder / name, project / name, dirs_exist_ok=True)
    settings = project / "pipeline.toml"
    changes = (folder / "pipeline.toml").read_text(encoding="utf-8")
    settings.write_text(change_settings(settings.read_text(encoding="utf-8"), changes), encoding="utf-8")


def change_settings(text: str, changes: str) -> str:
    """The lines of a TOML file, with others in place of those of the same section and key, or at an end.

    The entries of a table, such as [model.parameters], belong together: theirs are replaced as a whole.
    """
    wanted = lines_by_section(changes)
    present = lines_by_section(text)
    made = []
    for section, lines in present.items():
        new = {key: line for key, line in wanted.get(section, {}).items() if key.isidentifier()}
        kept = [new.get(key, line) for key, line in lines.items()]
        added = [line for key, line in new.items() if key not in lines]
        if "." in section and new:
            kept, added = [lines[""], *new.values(), ""], []
        while kept and not kept[-1]:
            added.append(kept.pop())
        made += kept + added
    for section in [name for name in wanted if name not in present]:
        made += ["", *(line for line in wanted[section].values() if line)]
    return "\n".join(made) + "\n"


def lines_by_section(text: str) -> dict[str, dict[str, str]]:
    """Lines of a TOML file by section and key; those without a key by their number."""
    sections: dict[str, dict[str, str]] = {"": {}}
    for number, line in enumerate(text.splitlines()):
        if header := re.match(r"\[([\w.]+)\]", line):
            sections[header[1]] = {"": line}
            continue
        key = re.match(r"(\w+) =", line)
        next(reversed(sections.values()))[key[1] if key else str(number)] = line
    return sections


def merge_locks(project: Path, answers: dict[str, str]) -> None:
    """Add to requirements.lock what the chosen frameworks and platforms need beside it."""
    chosen = chosen_frameworks(answers)
    if "keras" in chosen and "pytorch" not in chosen:
        chosen = chosen | {"tensorflow"}
    lock = project / "requirements.lock"
    head, *entries = entries_of(lock)
    chosen = chosen | ({"text"} & {answers["example"]})
    if chosen_platforms(answers) & WITH_WORKERS:
        chosen = chosen | {"cluster"}
    for name in chosen:
        entries += entries_of(project / "frameworks" / f"{name}.lock")[1:]
    by_name = sorted(set(entries), key=lambda entry: (entry.split("==")[0], entry))
    lock.write_text(head + "".join(by_name), encoding="utf-8")


def entries_of(lock: Path) -> list[str]:
    """The comment at the head of a lock, then each package with its hashes."""
    return re.split(r"^(?=[a-z0-9])", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)


def first_commit(project: Path, answers: dict[str, str]) -> str:
    """Start a repository with one commit by the author; return what happened, in a sentence."""
    # An update compares two bakes, and two repositories never compare equal. Only cruft notes the template's commit.
    if "_commit" in answers:
        return "No git repository was started: commit it yourself, with the .cruft.json that cruft adds."
    # Found by its folder, not by asking git, which denies a repository that another user owns.
    if any((folder / ".git").exists() for folder in [project, *project.parents]):
        return "No git repository was started: the project lies inside one."
    if not shutil.which("git"):
        return "No git repository was started: git is not installed."
    try:
        git(project, answers, "init", "--quiet")
        git(project, answers, "add", "--all")
        git(project, answers, "commit", "--quiet", "--message", "Generate the project from its template")
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", "") or str(error)
        return f"The project is complete, but git made no first commit: {reason.strip()}"
    return "A git repository holds it, with a first commit."


def git(project: Path, answers: dict[str, str], *arguments: str) -> None:
    """Run git as the project's author, whatever the user's own git is set to."""
    ours = {
        "init.defaultBranch": "main",
        "core.hooksPath": os.devnull,
        "core.excludesFile": os.devnull,
        "commit.gpgSign": "false",
    }
    settings = [part for name, value in ours.items() for part in ("-c", f"{name}={value}")]
    # Left in place, GIT_DIR and its like would send the commit to another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    for role in ("AUTHOR", "COMMITTER"):
        environment[f"GIT_{role}_NAME"] = answers["author_name"]
        environment[f"GIT_{role}_EMAIL"] = answers["author_email"]
    subprocess.run(
        ["git", *settings, *arguments], cwd=project, env=environment, check=True, capture_output=True, text=True
    )


def is_for_comparison(project: Path, answers: dict[str, str]) -> bool:
    """Whether cruft makes this bake for an update, only to compare it with another and to throw both away."""
    in_scratch = project.parent.parent == Path(tempfile.gettempdir()).resolve()
    return "_commit" in answers and in_scratch and bool(re.fullmatch(r"tmp[a-z0-9_]{8}", project.parent.name))


def adopt(project: Path, answers: dict[str, str]) -> None:
    """Put the user's data in place of the flights; a project that cannot have them is not made."""
    data_path = answers["data_path"]
    if "://" not in data_path:
        # From where the user stands, by the shell's own variable, or else from beside the project.
        folders = [Path(os.environ.get("PWD", "/")), project.parent]
        paths = [folder / Path(data_path).expanduser() for folder in folders]
        data_path = str(next((path.resolve() for path in paths if path.is_file()), paths[0]))
    print(f"Installing what it takes to read {data_path} ...", flush=True)
    command = [
        f".venv/bin/{answers['project_slug']}",
        "adopt",
        data_path,
        "--target",
        answers["target"],
        "--yes",
        "--force",
    ]
    environment = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    }
    for step in (["make", "--silent", "setup"], command):
        try:
            subprocess.run(step, cwd=project, env=environment, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"\nNo project was made: {shlex.join(step)} failed; see above.\n{error}", file=sys.stderr)
            sys.exit(1)


def next_steps(project: Path) -> str:
    """The commands to type now."""
    # The hook runs inside the project; only the shell's own variable holds the user's folder.
    beside = os.environ.get("PWD") == str(project.parent)
    folder = shlex.quote(project.name if beside else str(project))
    return (
        f"\n  cd {folder}\n"
        "  make run     trains, evaluates and deploys the model: installs what it needs first\n"
        "  make help    lists the other commands\n"
    )


def main() -> None:
    """Finish the project in the current folder."""
    answers = json.loads(r"""{{ cookiecutter | tojson }}""")
    project = Path.cwd()
    refuse_without_engine(project)
    clean_engine(project)
    remove_bytecode(project)
    merge_locks(project, answers)
    place_example(project, answers)
    name_model_types(project, answers)
    remove_unwanted(project, answers)
    if is_for_comparison(project, answers):
        return
    # A folder's name may not fit the terminal's encoding, and a hook that fails takes the project with it.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    print(f"\nThe project is in {project}.")
    if answers["git_init"]:
        print(first_commit(project, answers))
    if answers["data_path"]:
        adopt(project, answers)
    print(next_steps(project))


if __name__ == "__main__":
    main()
