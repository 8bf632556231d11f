"""A project follows the template by cruft, and what is the user's stays as the user left it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from bakes import PROJECT_FOLDER, REPOSITORY, BakedProject, commit_all, git, succeed, tool

pytestmark = pytest.mark.slow

BEFORE, AFTER = "v1.0.0", "v1.1.0"
ANSWERS = {
    "project_name": 'It\'s "late" \\ {again} & <again>',
    "project_slug": "late",
    "description": 'Says "late" \\n or not: 🛫 {x}',
    "author_name": "Zoë O'Hara-Ñandú 🛫",
    "ci": "GitLab CI",
}
ENGINE = "vendor/modelworks/src/modelworks"
REPLAYED = "\n".join(f"{{{{ cookiecutter.{name} }}}}" for name in ANSWERS)


def append(path: Path, line: str) -> None:
    """Add a line to a file, which is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def change_first_line(path: Path, line: str) -> None:
    """Put another first line into a file."""
    path.write_text("\n".join([line, *path.read_text(encoding="utf-8").splitlines()[1:]]) + "\n", encoding="utf-8")


def users(project: Path) -> list[str]:
    """What a project, or the template's, declares as the user's."""
    # The template's file is no TOML before it is rendered, but this table is, without what is an example's alone.
    table = re.search(r"^\[tool\.cruft\]\n.*?\n\n", (project / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    assert table
    of_all = re.sub(r"^\{%- if.*?^\{%- endif %\}\n", "", table[0], flags=re.MULTILINE | re.DOTALL)
    return list(tomllib.loads(of_all)["tool"]["cruft"]["skip"])


def is_users(name: str, project: Path) -> bool:
    """Whether a file is declared as the user's, or lies in a folder that is."""
    return any(name == declared or name.startswith(f"{declared}/") for declared in users(project))


def cruft(folder: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run cruft in a folder, with a home that holds no defaults of the user's."""
    home = os.environ | {"HOME": str(folder.parent)}
    command = [tool("cruft"), *arguments]
    return subprocess.run(command, cwd=folder, env=home, input=typed, capture_output=True, text=True, check=False)


def create(origin: Path, folder: Path, version: str = BEFORE) -> Path:
    """Make a project by cruft, of a version of the template; nothing of it is committed."""
    answers = json.dumps(ANSWERS)
    done = cruft(folder, "create", str(origin), "--no-input", "--checkout", version, "--extra-context", answers)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "late"


def release_the_next(template: Path) -> None:
    """Change the user's files, some of the others, and a line that a user may change as well; add and remove files."""
    project = template / PROJECT_FOLDER
    for name in users(project):
        path = project / name.replace("{{ cookiecutter.__package_name }}", "{{cookiecutter.__package_name}}")
        append(path / "new.csv" if path.is_dir() else path, "# of the template")
    for name in ("dags/training.py", "dags/scoring.py"):
        append(project / name, "# of the template")
    change_first_line(project / "Makefile", "# Commands of the template")
    change_first_line(project / "requirements.lock", "# Locked by the template")
    append(project / "ANSWERS.txt", REPLAYED)
    (project / ".dockerignore").unlink()
    renew_engine(template)


def renew_engine(template: Path) -> None:
    """Another version of the engine: a file changed, one added and one removed."""
    engine = template / "modelworks" / "src" / "modelworks"
    append(engine / "project.py", "# of the template")
    append(engine / "new" / "module.py", '"""New."""')
    (engine / "monitoring" / "drift.py").unlink()


@pytest.fixture(scope="module")
def origin(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the template with two versions, the newer one on its branch."""
    origin = tmp_path_factory.mktemp("origin") / "template"
    shutil.copytree(template, origin, symlinks=True)
    commit_all(origin, "Before")
    git(origin, "tag", BEFORE)
    release_the_next(origin)
    commit_all(origin, "After")
    git(origin, "tag", AFTER)
    return origin


@pytest.fixture(scope="module")
def created(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the version before, as cruft has made it."""
    return create(origin, tmp_path_factory.mktemp("created"))


@pytest.fixture
def project(created: Path, tmp_path: Path) -> Path:
    """A copy of that project for one test."""
    return shutil.copytree(created, tmp_path / "late")


class Updated(NamedTuple):
    """A project after an update, its files before, and what cruft said."""

    path: Path
    before: dict[str, bytes]
    check: subprocess.CompletedProcess[str]
    printed: str


def make_it_ours(project: Path) -> None:
    """Edit each file that is the user's, and add files that no template knows."""
    for name in users(project):
        path = project / name
        if path.is_dir():
            append(path / "ours.csv", "ours")
        elif path.exists():  # an older version may not have it
            path.write_text("# ours\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    settings = project / "pipeline.toml"
    text, count = re.subn(r"^seed = \d+", "seed = 7", settings.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count == 1
    settings.write_text(text, encoding="utf-8")
    append(project / "dags" / "ours.py", '"""Ours."""')


def files_of(project: Path) -> dict[str, bytes]:
    """Every file that git tracks in a project, with what is in it."""
    names = filter(None, git(project, "ls-files", "-z").split("\0"))
    return {name: (project / name).read_bytes() for name in names if (project / name).exists()}


@pytest.fixture(scope="module")
def updated(created: Path, tmp_path_factory: pytest.TempPathFactory) -> Updated:
    """The project, after a team has worked on it and taken the newer version."""
    path = shutil.copytree(created, tmp_path_factory.mktemp("updated") / "late")
    commit_all(path, "As generated")
    make_it_ours(path)
    change_first_line(path / "dags" / "training.py", '"""Our training.')
    (path / "dags" / "scoring.py").unlink()
    (path / "data" / "flights-2013-01.csv.gz").unlink()
    commit_all(path, "Ours")
    before = files_of(path)
    check = cruft(path, "check")
    done = cruft(path, "update", "--skip-apply-ask", "--checkout", AFTER)
    assert done.returncode == 0, done.stdout + done.stderr
    return Updated(path, before, check, done.stdout + done.stderr)


def test_a_project_records_its_answers_and_the_version_of_its_template(created: Path, origin: Path) -> None:
    recorded = json.loads((created / ".cruft.json").read_text(encoding="utf-8"))
    assert recorded["template"] == str(origin)
    assert recorded["checkout"] == BEFORE
    assert recorded["commit"] == git(origin, "rev-parse", BEFORE).strip()
    assert ANSWERS.items() <= recorded["context"]["cookiecutter"].items()


def test_check_shows_whether_there_is_a_newer_version(updated: Updated) -> None:
    assert updated.check.returncode == 1
    assert "out of date" in updated.check.stdout
    assert cruft(updated.path, "check").returncode == 0
    assert cruft(updated.path, "check", "--checkout", BEFORE).returncode == 1


def test_update_takes_what_the_template_has_changed_added_and_removed(updated: Updated) -> None:
    assert (updated.path / "Makefile").read_text(encoding="utf-8").startswith("# Commands of the template\n")
    assert not (updated.path / ".dockerignore").exists()
    assert (updated.path / "ANSWERS.txt").exists()
    assert json.loads((updated.path / ".cruft.json").read_text(encoding="utf-8"))["checkout"] == AFTER


def test_engine_is_replaced_as_a_whole(updated: Updated, origin: Path) -> None:
    """What the template has of it is what the project has, to the byte, and so are the recorded hashes."""
    vendor, names = updated.path / "vendor", git(origin, "ls-files", "-z", "modelworks").split("\0")[:-1]
    engine = {str(path.relative_to(vendor)) for path in (vendor / "modelworks").rglob("*") if path.is_file()}
    assert engine == set(names)
    assert {"modelworks/src/modelworks/new/module.py"} < engine
    assert "modelworks/src/modelworks/monitoring/drift.py" not in engine
    assert [name for name in names if (vendor / name).read_bytes() != (origin / name).read_bytes()] == []
    recorded = (vendor / "modelworks.sha256").read_text(encoding="utf-8").splitlines()
    hashes = {f"modelworks/{line.split('  ')[1]}": line.split("  ")[0] for line in recorded}
    assert hashes == {name: hashlib.sha256((vendor / name).read_bytes()).hexdigest() for name in names}


def test_both_sides_of_a_file_that_both_have_changed_are_kept(updated: Updated) -> None:
    lines = (updated.path / "dags" / "training.py").read_text(encoding="utf-8").splitlines()
    assert lines[0] == '"""Our training.'
    assert lines[-1] == "# of the template"


def test_what_is_the_users_is_the_same_to_the_byte(updated: Updated) -> None:
    after = {name: (updated.path / name).read_bytes() for name in updated.before if (updated.path / name).exists()}
    ours = {name for name in updated.before if is_users(name, updated.path)} | {"dags/ours.py"}
    package = {f"src/late/{name}.py" for name in ("checks", "contract", "features", "models", "project")}
    assert {"pipeline.toml", "README.md", "data/ours.csv", "data/MANIFEST.json"} | package <= ours
    assert {name for name in ours if after.get(name) != updated.before[name]} == set()


def test_what_the_user_has_deleted_does_not_come_back_and_no_data_are_added(updated: Updated) -> None:
    gone = ["dags/scoring.py", "data/flights-2013-01.csv.gz", "data/new.csv"]
    assert [name for name in gone if (updated.path / name).exists()] == []


def test_nothing_is_touched_that_neither_side_knows_of(updated: Updated) -> None:
    status = git(updated.path, "status", "--porcelain", "--untracked-files=all").splitlines()
    assert {line.split()[-1] for line in status} == {
        ".cruft.json",
        ".dockerignore",
        "ANSWERS.txt",
        "Makefile",
        "dags/training.py",
        "requirements.lock",
        f"{ENGINE}/monitoring/drift.py",
        f"{ENGINE}/new/module.py",
        f"{ENGINE}/project.py",
        "vendor/modelworks.sha256",
    }


def test_an_update_without_a_conflict_shows_none(updated: Updated) -> None:
    shown = git(updated.path, "status", "--short")
    assert not re.search(r"^(UU|AA|\?\?)", shown, re.MULTILINE), shown
    assert [name for name, content in files_of(updated.path).items() if re.search(rb"(?m)^<<<<<<< ", content)] == []


def test_an_update_does_not_announce_the_projects_that_cruft_makes_only_to_compare_them(updated: Updated) -> None:
    assert "The project is in" not in updated.printed
    assert "make run" not in updated.printed


def test_answers_are_given_again_as_they_were(updated: Updated) -> None:
    assert (updated.path / "ANSWERS.txt").read_text(encoding="utf-8").splitlines() == list(ANSWERS.values())
    recorded = json.loads((updated.path / ".cruft.json").read_text(encoding="utf-8"))["context"]["cookiecutter"]
    assert ANSWERS.items() <= recorded.items()


def change_the_same_line(project: Path, *, before_the_first_commit: bool) -> str:
    """Change what the next version changes too, with or without a commit of the file as it was; git's short status."""
    if not before_the_first_commit:
        commit_all(project, "As generated")
    change_first_line(project / "Makefile", "# Our commands")
    commit_all(project, "Ours")
    # It is a success to cruft, whatever happens: hence the look at git's status.
    done = cruft(project, "update", "--skip-apply-ask")
    assert done.returncode == 0
    assert "Good work!" in done.stdout
    return git(project, "status", "--short")


def assert_it_can_be_taken_back(project: Path) -> None:
    """Undo an update as the README says, which leaves no trace."""
    git(project, "reset", "--quiet", "--hard")
    git(project, "clean", "--quiet", "-d", "--force")
    assert git(project, "status", "--short") == ""
    assert json.loads((project / ".cruft.json").read_text(encoding="utf-8"))["checkout"] == BEFORE
    assert (project / "Makefile").read_text(encoding="utf-8").startswith("# Our commands\n")


def test_the_same_line_changed_by_both_is_a_conflict_in_git_with_both_lines_marked(project: Path) -> None:
    assert "UU Makefile\n" in change_the_same_line(project, before_the_first_commit=False)
    text = (project / "Makefile").read_text(encoding="utf-8")
    assert text.startswith(
        "<<<<<<< ours\n# Our commands\n=======\n# Commands of the template\n>>>>>>> theirs\n",
    )
    assert "+# Commands of the template" in git(project, "diff", "HEAD")
    assert BakedProject(project, {}).run("git", "commit", "--message", "Not yet").returncode != 0
    assert_it_can_be_taken_back(project)


def test_a_repository_that_never_held_the_file_as_it_was_keeps_its_own_and_shows_what_was_not_taken(
    project: Path,
) -> None:
    """Git merges against what the file was; where it cannot find that, as after a squash, the change lies beside it."""
    assert "?? Makefile.rej\n" in change_the_same_line(project, before_the_first_commit=True)
    assert (project / "Makefile").read_text(encoding="utf-8").startswith("# Our commands\n")
    assert "+# Commands of the template" in (project / "Makefile.rej").read_text(encoding="utf-8")
    assert (project / "ANSWERS.txt").exists()
    assert_it_can_be_taken_back(project)


def test_a_file_that_the_user_changed_and_the_template_removed_stays(project: Path) -> None:
    commit_all(project, "As generated")
    append(project / ".dockerignore", "# ours")
    commit_all(project, "Ours")
    done = cruft(project, "update", "--skip-apply-ask")
    assert "removal patch leaves file contents" in done.stderr
    assert ".dockerignore" in done.stderr
    assert (project / ".dockerignore").read_text(encoding="utf-8").endswith("# ours\n")


def test_diff_shows_what_the_team_has_changed_of_what_is_not_its_own(project: Path) -> None:
    make_it_ours(project)
    assert cruft(project, "diff").stdout == ""
    append(project / "dags" / "training.py", "# ours")
    append(project / ENGINE / "project.py", "# ours")
    diff = cruft(project, "diff", "--exit-code")
    assert diff.returncode == 1
    assert re.findall(r"^-# ours$|^diff.*", diff.stdout, re.MULTILINE) == [
        "diff --git upstream-template-old/dags/training.py upstream-template-new/dags/training.py",
        "-# ours",
        f"diff --git upstream-template-old/{ENGINE}/project.py upstream-template-new/{ENGINE}/project.py",
        "-# ours",
    ]


def test_a_lock_in_conflict_is_taken_from_the_commit_to_be_made_anew(project: Path) -> None:
    commit_all(project, "As generated")
    change_first_line(project / "requirements.lock", "# Ours")
    commit_all(project, "Ours")
    cruft(project, "update", "--skip-apply-ask")
    assert "UU requirements.lock\n" in git(project, "status", "--short")
    git(project, "checkout", "--quiet", "HEAD", "--", "requirements.lock")
    assert "requirements.lock" not in git(project, "status", "--short")
    assert (project / "requirements.lock").read_text(encoding="utf-8").startswith("# Ours\n")


def test_uncommitted_work_is_refused(project: Path) -> None:
    commit_all(project, "As generated")
    append(project / "README.md", "# not committed")
    done = cruft(project, "update", "--skip-apply-ask")
    assert done.returncode == 1
    assert "unclean" in done.stdout


def test_a_project_of_plain_cookiecutter_is_linked_by_the_same_answers(
    template: Path, origin: Path, tmp_path: Path
) -> None:
    """Cruft asks the eleven questions and the commit; right answers leave no difference."""
    home = {"HOME": str(tmp_path)}
    made = BakedProject(tmp_path, {}).run(tool("cookiecutter"), str(template), "--no-input", "--default-config", **home)
    assert made.returncode == 0, made.stderr
    project = tmp_path / "flight-delays"
    linked = cruft(project, "link", str(origin), "--checkout", BEFORE, typed="\n" * 30)
    assert linked.returncode == 0, linked.stdout + linked.stderr
    assert git(project, "status", "--short") == "?? .cruft.json\n"
    assert cruft(project, "diff").stdout == ""
    commit_all(project, "Link it to its template")
    assert cruft(project, "update", "--skip-apply-ask").returncode == 0
    assert (project / "ANSWERS.txt").read_text(encoding="utf-8").startswith("Flight Delays\n")


def test_a_framework_comes_later_by_another_answer_and_goes_again(project: Path) -> None:
    """Its packages, and its lock; the team names the model type in models.py, which is its own."""
    commit_all(project, "As generated")
    lock, models = project / "requirements.lock", project / "src" / "late" / "models.py"
    plain, named = lock.read_text(encoding="utf-8").splitlines()[1:], models.read_bytes()  # but for the first line
    for answer, there in (("scikit-learn, lightgbm", True), ("scikit-learn", False)):
        given = json.dumps({"frameworks": answer})
        done = cruft(project, "update", "--skip-apply-ask", "--variables-to-update", given)
        assert done.returncode == 0, done.stdout + done.stderr
        assert models.read_bytes() == named
        [dependencies] = re.findall(r"modelworks\[?([\w,]*)", (project / "pyproject.toml").read_text(encoding="utf-8"))[
            :1
        ]
        assert ("lightgbm" in dependencies) == there
        assert (lock.read_text(encoding="utf-8").splitlines()[1:] == plain) != there
        assert ("\nlightgbm==" in lock.read_text(encoding="utf-8")) == there
        recorded = json.loads((project / ".cruft.json").read_text(encoding="utf-8"))["context"]["cookiecutter"]
        assert recorded["frameworks"] == answer
        assert not re.search(r"^UU|\.rej$", git(project, "status", "--short"), re.MULTILINE)
        commit_all(project, answer)


def test_a_project_from_before_the_question_of_frameworks_has_scikit_learn_alone(project: Path) -> None:
    recorded = project / ".cruft.json"
    notes = json.loads(recorded.read_text(encoding="utf-8"))
    assert notes["context"]["cookiecutter"].pop("frameworks") == "scikit-learn"
    recorded.write_text(json.dumps(notes), encoding="utf-8")
    commit_all(project, "From before")
    done = cruft(project, "update", "--skip-apply-ask")
    assert done.returncode == 0, done.stdout + done.stderr
    notes = json.loads(recorded.read_text(encoding="utf-8"))
    assert notes["context"]["cookiecutter"]["frameworks"] == "scikit-learn"
    assert "lightgbm==" not in (project / "requirements.lock").read_text(encoding="utf-8")


def rename_a_question(origin: Path, copy: Path) -> Path:
    """Make a further version of the template, whose `description` is called `summary`."""
    git(origin.parent, "clone", "--quiet", str(origin), str(copy))
    for path in [copy / "cookiecutter.json", *(copy / PROJECT_FOLDER).rglob("*"), *(copy / "hooks").iterdir()]:
        if path.is_file() and b"description" in path.read_bytes():
            text = path.read_text(encoding="utf-8").replace("cookiecutter.description", "cookiecutter.summary")
            path.write_text(text.replace('"description": ', '"summary": '), encoding="utf-8")
    commit_all(copy, "Rename a question")
    return copy


def test_a_renamed_question_has_to_be_answered_again(project: Path, origin: Path, tmp_path: Path) -> None:
    """By itself an update takes the default of a question that it does not know: hence the note in the changelog."""
    commit_all(project, "As generated")
    renamed = str(rename_a_question(origin, tmp_path / "renamed"))
    given = json.dumps({"summary": ANSWERS["description"]})
    for extra, expected in ([], "Predicts two hours ahead"), (["--variables-to-update", given], ANSWERS["description"]):
        done = cruft(project, "update", "--skip-apply-ask", "--template-path", renamed, *extra)
        assert done.returncode == 0, done.stdout + done.stderr
        answers = json.loads((project / ".cruft.json").read_text(encoding="utf-8"))["context"]["cookiecutter"]
        assert answers["summary"].startswith(expected)
        git(project, "reset", "--quiet", "--hard")


def test_what_is_declared_as_the_users_is_there_and_the_readme_says_so(created: Path) -> None:
    assert [name for name in users(created) if not (created / name).exists()] == []
    readme = (created / "README.md").read_text(encoding="utf-8")
    yours, update = (
        readme.partition(f"\n## {title}")[2].partition("\n## ")[0] for title in ("What is yours", "Update")
    )
    files = [f"src/late/{name}.py" for name in ("checks", "contract", "features", "models", "project")]
    assert [name for name in (*files, "pipeline.toml", "tests/") if f"| `{name}` |" not in yours] == []
    assert all(is_users(name.rstrip("/"), created) for name in (*files, "pipeline.toml", "tests/"))
    assert "`[tool.cruft]` in `pyproject.toml`" in update


def previous_release(repository: Path, revision: str = "HEAD^") -> str | None:
    """The newest tag of a version before the present commit, which may be a release itself; None without one."""
    # In a container the checkout often belongs to another user, which git refuses without this.
    command = ["git", "-c", "safe.directory=*", "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", revision]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def archive(revision: str, folder: Path) -> Path:
    """The files of a revision of this repository, committed in another one."""
    command = ["git", "-c", "safe.directory=*", "archive", revision]
    packed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        tar.extractall(folder, filter="tar")  # a link leads out of its folder
    return folder


def test_the_release_before_is_found_once_there_is_one(tmp_path: Path) -> None:
    found = []
    for tag in (None, "v1.0.0", None, "v1.1.0", None):
        append(tmp_path / "file", "more")
        commit_all(tmp_path, "More")
        if tag:
            git(tmp_path, "tag", tag)
        found.append(previous_release(tmp_path))
    assert found == [None, None, "v1.0.0", "v1.0.0", "v1.1.0"]


def update_from(revision: str, template: Path, folder: Path) -> Updated:
    """A project of a revision of this repository, worked on by a team and updated to what is here and its next."""
    origin = archive(revision, folder / "template")
    commit_all(origin, "Before")
    git(origin, "tag", BEFORE)
    git(origin, "rm", "--quiet", "-r", ".")
    shutil.copytree(template, origin, symlinks=True, dirs_exist_ok=True)
    renew_engine(origin)
    commit_all(origin, "What is here, and the next version of the engine")
    path = create(origin, folder, BEFORE)
    commit_all(path, "As generated")
    make_it_ours(path)
    commit_all(path, "Ours")
    before = files_of(path)
    check = cruft(path, "check")
    done = cruft(path, "update", "--skip-apply-ask")
    assert done.returncode == 0, done.stdout + done.stderr
    return Updated(path, before, check, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def from_the_commit_before(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Updated:
    """A project of the last commit, updated to the next of what is here, edits that are not committed included."""
    listed = ["git", "-c", "safe.directory=*", "ls-tree", "HEAD", "modelworks"]
    if not subprocess.run(listed, cwd=REPOSITORY, capture_output=True, check=True).stdout:
        pytest.skip("the last commit is of version 1, whose projects are moved by hand")
    return update_from("HEAD", template, tmp_path_factory.mktemp("commit-before"))


def test_update_from_the_commit_before_renews_the_engine_and_leaves_the_rest(
    from_the_commit_before: Updated,
) -> None:
    path = from_the_commit_before.path
    engine = {name: content for name, content in files_of(path).items() if name.startswith("vendor/modelworks/")}
    origin = path.parent / "template"
    wanted = [each for each in (origin / "modelworks").rglob("*") if each.is_file()]
    assert engine == {f"vendor/{each.relative_to(origin)}": each.read_bytes() for each in wanted}
    assert_updated_cleanly(from_the_commit_before)


@pytest.fixture(scope="module")
def from_the_release_before(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Updated:
    """A project of the newest release, worked on by a team and updated to what is here."""
    if (tag := previous_release(REPOSITORY)) is None:
        pytest.skip("no tag v* before this commit: nothing has been released yet, or this clone was made without tags")
    if tag.startswith("v1."):
        pytest.skip(f"{tag}: projects of version 1 are moved by hand, as the changelog says")
    return update_from(tag, template, tmp_path_factory.mktemp("released"))


def assert_updated_cleanly(updated: Updated) -> None:
    """Assert that what is the user's is as it was, without a conflict, and that all is linted."""
    path = updated.path
    after = files_of(path)
    kept = {name for name in updated.before if is_users(name, path)} | {"dags/ours.py"}
    assert {name for name in kept if after.get(name) != updated.before[name]} == set()
    assert not re.search(r"^UU|\.rej$", git(path, "status", "--short"), re.MULTILINE)
    for arguments in (["check"], ["format", "--check"]):
        done = BakedProject(path, {}).run(tool("ruff"), *arguments, "--no-cache")
        assert done.returncode == 0, done.stdout


def test_update_from_the_release_before_keeps_what_is_the_users_and_is_clean(from_the_release_before: Updated) -> None:
    assert_updated_cleanly(from_the_release_before)


@pytest.mark.slow
def test_update_from_the_release_before_passes_the_tests(from_the_release_before: Updated) -> None:
    project = BakedProject(from_the_release_before.path, {})
    succeed(project, "make", "setup")
    succeed(project, "make", "test")


@pytest.mark.slow
def test_champion_of_the_release_before_is_used_and_compared_with_after_the_update(
    from_the_release_before: Updated,
) -> None:
    project = BakedProject(from_the_release_before.path, {})
    git(project.path, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "stash", "--include-untracked")
    succeed(project, "make", "setup")
    assert "version 1 is the champion" in succeed(project, "make", "run", "ARGS=--period 2013-06")
    git(project.path, "stash", "pop", "--index")
    succeed(project, "make", "setup")
    assert "by version 1" in succeed(project, "make", "score")
    assert "version 2 is the champion, instead of 1" in succeed(project, "make", "run", "ARGS=--period 2013-06")
