"""Remove what was not asked for, make the first commit where asked, and say what to do next."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

GITHUB = [".github/workflows/ci.yml", ".github/workflows/dependencies.yml"]
GITLAB = [".gitlab-ci.yml"]

# Files, not folders: a project generated over an existing one keeps what else its folders hold.
UNWANTED = {
    "ci": {
        "GitHub Actions": GITLAB,
        "GitLab CI": GITHUB,
        "none": GITHUB + GITLAB,
    },
}


# What the networks of PyTorch and of Keras share.
NETWORKS = ["networks/__init__.py", "networks/table.py"]

# The files of the package that are for a framework, and its lock: what it needs beside requirements.lock.
FRAMEWORKS = {
    "lightgbm": ["families/lightgbm.py"],
    "xgboost": ["families/xgboost.py"],
    "pytorch": ["families/pytorch.py", "networks/pytorch.py", *NETWORKS],
    "keras": ["families/keras.py", "networks/keras.py", *NETWORKS],
}


# What the encoders of texts and of images share.
DOCUMENTS = ["src/{package}/pretrained/" + name for name in ("_documents.py", "_memory.py", "_weights.py")]

# What is there with an example alone; of the package, and beside it.
EXAMPLES = {
    "tabular": [],
    "text": [
        *DOCUMENTS,
        "src/{package}/families/fine_tuned.py",
        "src/{package}/pretrained/_fine_tuning.py",
        "src/{package}/pretrained/_folders.py",
        "src/{package}/pretrained/spacy_vectors.py",
        "src/{package}/pretrained/tokens.py",
        "src/{package}/pretrained/transformer.py",
        "tests/text/conftest.py",
        "tests/text/test_encoder.py",
        "tests/text/test_fine_tuned.py",
        "tests/text/test_spacy.py",
        "tests/text/test_texts.py",
    ],
    "image": [
        *DOCUMENTS,
        "src/{package}/images.py",
        "src/{package}/pretrained/pixels.py",
        "src/{package}/pretrained/vision.py",
        "tests/image/conftest.py",
        "tests/image/drawing.py",
        "tests/image/test_images.py",
        "tests/image/test_pixels.py",
        "tests/image/test_vision.py",
    ],
}

# On what the encoders of an example run.
EXAMPLE_FRAMEWORKS: dict[str, set[str]] = {"tabular": set(), "text": {"pytorch"}, "image": {"pytorch", "keras"}}


def chosen_frameworks(answers: dict[str, str]) -> set[str]:
    """The frameworks beside scikit-learn; Keras runs on PyTorch if that is there, or else on TensorFlow."""
    named = {name.strip().lower() for name in answers["frameworks"].split(",")}
    return (named & FRAMEWORKS.keys()) | EXAMPLE_FRAMEWORKS[answers["example"]]


def remove_unwanted(project: Path, answers: dict[str, str]) -> None:
    """Unlink the files that the answers leave out, and the folders that this empties."""
    names = [name for question, by_answer in UNWANTED.items() for name in by_answer[answers[question]]]
    for name in names + left_by_frameworks(answers) + left_by_examples(project, answers):
        path = project / name
        path.unlink()
        for folder in path.relative_to(project).parents[:-1]:
            if not any((project / folder).iterdir()):
                (project / folder).rmdir()


def left_by_frameworks(answers: dict[str, str]) -> list[str]:
    """The files of frameworks that were not chosen, and the locks of all, which are merged by then."""
    chosen = chosen_frameworks(answers)
    wanted = {name for framework in chosen for name in FRAMEWORKS[framework]}
    files = sorted({name for names in FRAMEWORKS.values() for name in names} - wanted)
    locks = [f"frameworks/{name}.lock" for name in (*FRAMEWORKS, "tensorflow", "text")]
    torch = [] if "pytorch" in chosen else ["torch.lock"]
    return [f"src/{answers['__package_name']}/{name}" for name in files] + locks + torch


def left_by_examples(project: Path, answers: dict[str, str]) -> list[str]:
    """The files of the examples that were not chosen, and the folder of all, of which each file is in its place."""
    chosen, package = answers["example"], answers["__package_name"]
    unwanted = sorted({name for names in EXAMPLES.values() for name in names} - {*EXAMPLES[chosen]})
    flights = [] if chosen == "tabular" else [*project.glob("data/flights-*"), *project.glob("tests/flights/**/*")]
    flights += [] if chosen == "tabular" else [project / "data" / "MANIFEST.json"]
    files = [path for path in [*flights, *project.glob("examples/**/*")] if path.is_file()]
    return [name.format(package=package) for name in unwanted] + [str(path.relative_to(project)) for path in files]


def place_example(project: Path, answers: dict[str, str]) -> None:
    """Put an example's contract, data, weights and settings in the place of the flights'."""
    folder = project / "examples" / answers["example"]
    if not folder.is_dir():
        return
    shutil.copy(folder / "contract.py", project / "src" / answers["__package_name"])
    for name in ("data", "weights"):
        if (folder / name).is_dir():
            shutil.copytree(folder / name, project / name, dirs_exist_ok=True)
    settings = project / "pipeline.toml"
    changes = (folder / "pipeline.toml").read_text(encoding="utf-8")
    settings.write_text(change_settings(settings.read_text(encoding="utf-8"), changes), encoding="utf-8")


def change_settings(text: str, changes: str) -> str:
    """The lines of a TOML file, with others in place of those of the same section and key, or at a section's end."""
    wanted = lines_by_section(changes)
    made = []
    for section, lines in lines_by_section(text).items():
        new = {key: line for key, line in wanted.get(section, {}).items() if key.isidentifier()}
        kept = [new.get(key, line) for key, line in lines.items()]
        added = [line for key, line in new.items() if key not in lines]
        while kept and not kept[-1]:
            added.append(kept.pop())
        made += kept + added
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
    """Add to requirements.lock what the chosen frameworks need beside it."""
    chosen = chosen_frameworks(answers)
    if "keras" in chosen and "pytorch" not in chosen:
        chosen = chosen | {"tensorflow"}
    lock = project / "requirements.lock"
    head, *entries = entries_of(lock)
    for framework in chosen | ({"text"} & {answers["example"]}):
        entries += entries_of(project / "frameworks" / f"{framework}.lock")[1:]
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
    # The hook runs inside the project; only the shell's own variable tells where the user stands.
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
    merge_locks(project, answers)
    place_example(project, answers)
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
