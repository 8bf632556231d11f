"""Every combination of answers gives a project that is whole, clean and checked by its own tools."""

from __future__ import annotations

import ast
import itertools
import json
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cookiecutter.exceptions import OutputDirExistsException
from cookiecutter.generate import generate_context, generate_files
from cookiecutter.main import cookiecutter
from cookiecutter.prompt import prompt_for_config

from bakes import PROJECT_FOLDER, REPOSITORY, Bake, BakedProject, commit_all, git, tool

LICENSES = {
    "MIT": "Permission is hereby granted, free of charge",
    "Apache-2.0": "END OF TERMS AND CONDITIONS",
    "BSD-3-Clause": "Neither the name of the copyright holder",
    "Proprietary": "All rights reserved",
}
GITHUB = ".github/workflows/ci.yml"
GITHUB_SCHEDULED = ".github/workflows/dependencies.yml"
GITHUB_ENVIRONMENTS = ".github/workflows/environments.yml"
GITLAB = ".gitlab-ci.yml"
AZURE = "azure-pipelines.yml"
CI = {
    "GitHub Actions": {GITHUB, GITHUB_SCHEDULED, GITHUB_ENVIRONMENTS},
    "GitLab CI": {GITLAB},
    "Azure DevOps": {AZURE},
    "none": set[str](),
}

# Which a team's own template sets.
AUTHOR = json.loads((REPOSITORY / "cookiecutter.json").read_text(encoding="utf-8"))["author_name"]

COMBINATIONS = [
    {"license": license_name, "ci": ci, "git_init": git_init}
    for license_name, ci, git_init in itertools.product(LICENSES, CI, [True, False])
]


@pytest.fixture(scope="module", params=COMBINATIONS, ids=lambda answers: "-".join(map(str, answers.values())))
def project(request: pytest.FixtureRequest, bake: Bake) -> BakedProject:
    """One project for each combination of answers."""
    return bake(**request.param)


def test_the_project_holds_what_was_asked_for_and_no_more(project: BakedProject) -> None:
    pipelines = {name for name in set[str]().union(*CI.values()) if (project.path / name).exists()}
    assert pipelines == CI[str(project.answers["ci"])]
    assert (project.path / ".github").exists() == (GITHUB in pipelines)
    text = (project.path / "LICENSE").read_text(encoding="utf-8")
    assert LICENSES[str(project.answers["license"])] in text
    assert "2026" in text
    assert AUTHOR in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert (project.path / ".git").exists() == project.answers["git_init"]
    assert (project.package_dir / "__init__.py").exists()


def test_no_template_mark_is_left(project: BakedProject) -> None:
    mark = re.compile(rb"\{[{%] *cookiecutter|\{\{ *cookiecutter")
    assert [path for path in project.own_files if mark.search(path.read_bytes())] == []
    assert [path for path in project.own_files if "cookiecutter" in path.name] == []


def test_every_file_parses(project: BakedProject) -> None:
    parsers: dict[str, Callable[[str], object]] = {
        ".py": ast.parse,
        ".toml": tomllib.loads,
        ".json": json.loads,
        ".yml": yaml.safe_load,
        ".yaml": yaml.safe_load,
    }
    known = [path for path in project.own_files if path.suffix in parsers]
    assert {path.suffix for path in known} >= {".py", ".toml", ".json"}
    for path in known:
        parsers[path.suffix](path.read_text(encoding="utf-8"))


def test_it_is_born_linted_and_formatted_by_its_own_settings(project: BakedProject) -> None:
    assert_linted(project)


@pytest.mark.parametrize("slug", ["x", "zz-" + "very-" * 9 + "x1"])
def test_neither_a_short_nor_a_long_name_changes_that(slug: str, bake: Bake) -> None:
    """The package's name stands in imports, whose order and line breaks hang on it."""
    assert_linted(bake(project_slug=slug))


def assert_linted(project: BakedProject) -> None:
    """Run the linter and the formatter with the settings that the project brings."""
    for arguments in (["check"], ["format", "--check"]):
        done = project.run(tool("ruff"), *arguments, "--no-cache")
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_lock_the_data_and_the_workflow_files_are_the_template_s_byte_for_byte(
    project: BakedProject, template: Path
) -> None:
    """The template's lock is resolved again by `test_lock.py`; three tools of `make check` check its workflow files."""
    source = template / PROJECT_FOLDER
    workflows = [source / name for name in CI[str(project.answers["ci"])]]
    data = [path for path in (source / "data").rglob("*") if path.is_file()]
    copied = [source / "requirements.lock", *data, *workflows]
    changed = [path for path in copied if (project.path / path.relative_to(source)).read_bytes() != path.read_bytes()]
    assert changed == []


ON_CHANGE = {
    "test": ["make check", "make test"],
    "run": ["make run"],
    "supply-chain": ["make audit"],
    "image": ["make image"],
}
VULNERABILITIES = "--only vulnerabilities"
SCHEDULED = {
    "audit": [f'make audit ARGS="{VULNERABILITIES}"'],
    "update": [
        *("make lock", "make check", "make test", "make run"),
        f'make audit ARGS="{VULNERABILITIES} --only licences"',
    ],
}


ENVIRONMENTS = {
    "staging": ['make run ARGS="--env staging"'],
    "promote": ["make setup"],
}


def lines_of(job: dict[str, Any]) -> list[str]:
    """The commands of a job of any vendor."""
    steps = job.get("steps") or job.get("strategy", {}).get("runOnce", {}).get("deploy", {}).get("steps", [])
    return job.get("script") or [step.get("run") or step.get("script", "") for step in steps]


def made_by(job: dict[str, Any]) -> list[str]:
    """The commands of make in a job of any vendor."""
    return [line for line in lines_of(job) if line.startswith("make ")]


def test_github_runs_each_check_with_no_more_than_it_needs(bake: Bake) -> None:
    project = bake()
    change, scheduled = (yaml.safe_load((project.path / name).read_text()) for name in (GITHUB, GITHUB_SCHEDULED))
    assert {name: made_by(job) for name, job in change["jobs"].items()} == ON_CHANGE
    assert {name: made_by(job) for name, job in scheduled["jobs"].items()} == SCHEDULED | {"propose": []}
    releasing = yaml.safe_load((project.path / GITHUB_ENVIRONMENTS).read_text())
    assert {name: made_by(job) for name, job in releasing["jobs"].items()} == ENVIRONMENTS
    # The engine's tests run on three Pythons in the template; a project's on its own one.
    pythons = [
        step["with"]["python-version"] for step in change["jobs"]["test"]["steps"] if "python-version" in str(step)
    ]
    assert pythons == ["3.11"]
    assert "strategy" not in change["jobs"]["test"]
    for workflow in (change, scheduled, releasing):
        assert workflow["permissions"] == {}
        assert workflow["concurrency"]
        for name, job in workflow["jobs"].items():
            # Who may write runs nothing of what was just fetched.
            writes = {"actions": "read", "contents": "write", "pull-requests": "write"}
            assert job["permissions"] == (writes if name == "propose" else {"contents": "read"})
            assert job["timeout-minutes"] <= 60
            for step in job["steps"]:
                assert "uses" not in step or re.search(r"@[0-9a-f]{40}$", step["uses"])


def test_gitlab_runs_the_same(bake: Bake) -> None:
    pipeline = yaml.safe_load((bake(ci="GitLab CI").path / GITLAB).read_text())
    jobs = {name: made_by(job) for name, job in pipeline.items() if isinstance(job, dict) and "script" in job}
    jobs["image"] = jobs.pop("build-image")
    assert jobs == ON_CHANGE | SCHEDULED | {"propose": []} | ENVIRONMENTS
    assert pipeline["variables"]["PYTHON"] == "3.11"
    assert "parallel" not in pipeline["test"]
    # The one job that holds a token for writing.
    assert [name for name, job in pipeline.items() if "UPDATE_TOKEN" in str(job)] == ["propose"]


def test_azure_runs_the_same(bake: Bake) -> None:
    stages = yaml.safe_load((bake(ci="Azure DevOps").path / AZURE).read_text())["stages"]
    jobs = {job.get("job") or job["deployment"]: job for stage in stages for job in stage["jobs"]}
    jobs["supply-chain"] = jobs.pop("supply_chain")
    # It has no command of its own that opens a pull request: the patch is there to apply.
    assert {name: made_by(job) for name, job in jobs.items()} == ON_CHANGE | SCHEDULED | ENVIRONMENTS
    assert {name: job["environment"] for name, job in jobs.items() if "environment" in job} == {
        "staging": "staging",
        "promote": "prod",
    }
    for stage in stages:
        assert ("ENVIRONMENTS" in stage["condition"]) == (stage["stage"] in ENVIRONMENTS)
    for job in jobs.values():
        assert int(job["timeoutInMinutes"]) <= 60


def environment_jobs(project: Path, ci: str) -> dict[str, dict[str, Any]]:
    """The jobs of a vendor that release."""
    if ci == "GitHub Actions":
        jobs = yaml.safe_load((project / GITHUB_ENVIRONMENTS).read_text())["jobs"]
    elif ci == "GitLab CI":
        jobs = yaml.safe_load((project / GITLAB).read_text())
    else:
        stages = yaml.safe_load((project / AZURE).read_text())["stages"]
        jobs = {stage["stage"]: stage["jobs"][0] | {"condition": stage["condition"]} for stage in stages}
    return {name: jobs[name] for name in ENVIRONMENTS}


@pytest.mark.parametrize("ci", [name for name in CI if name != "none"])
def test_merge_releases_in_staging_and_a_tag_promotes_to_prod_only_where_a_team_asks_for_it(
    bake: Bake, ci: str
) -> None:
    jobs = environment_jobs(bake(ci=ci).path, ci)
    assert {name: made_by(job) for name, job in jobs.items()} == ENVIRONMENTS
    for name, job in jobs.items():
        # A fresh project has neither environments nor the variable, and its pipeline stays green.
        assert "ENVIRONMENTS" in str(job.get("if") or job.get("rules") or job.get("condition"))
        assert job["environment"] == {"staging": "staging", "promote": "prod"}[name]  # where a person approves
    [promoted] = [line for line in lines_of(jobs["promote"]) if "promote" in line]
    command = r'\.venv/bin/python -m modelworks promote "\$\{\w+#model-\}" --from staging --env prod --approve'
    assert re.match(rf'{command} --reason "Tag ', promoted)


def test_the_first_commit_holds_everything_and_is_the_author_s(bake: Bake) -> None:
    project = bake(author_name="Ada Lovelace", author_email="ada@example.com")
    assert project.run("git", "log", "--format=%an <%ae> %cn <%ce>").stdout == (
        "Ada Lovelace <ada@example.com> Ada Lovelace <ada@example.com>\n"
    )
    assert project.run("git", "status", "--porcelain", "--ignored").stdout == ""
    assert project.run("git", "branch", "--show-current").stdout == "main\n"
    tracked = project.run("git", "ls-files", "-z").stdout.split("\0")[:-1]
    assert sorted(tracked) == sorted(str(path.relative_to(project.path)) for path in project.files)


def test_the_user_s_git_settings_do_not_change_the_first_commit(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = tmp_path / "hooks" / "pre-commit"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    (tmp_path / "ignored").write_text("*.toml\n")
    (tmp_path / ".gitconfig").write_text(
        f"[core]\n hooksPath = {hook.parent}\n excludesFile = {tmp_path}/ignored\n"
        "[commit]\n gpgSign = true\n[gpg]\n program = false\n[init]\n defaultBranch = trunk\n[user]\n name = Else\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    with monkeypatch.context() as surrounding:
        surrounding.setenv("GIT_AUTHOR_NAME", "Someone Else")
        surrounding.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
        project = bake()
    assert project.run("git", "log", "--format=%an %cn %D").stdout == f"{AUTHOR} {AUTHOR} HEAD -> main\n"
    assert "pyproject.toml" in project.run("git", "ls-files").stdout.splitlines()


@pytest.mark.parametrize("convert", ["true", "input", "false"])
def test_a_clone_has_the_same_bytes_however_git_treats_ends_of_lines(bake: Bake, tmp_path: Path, convert: str) -> None:
    project, clone = bake(), tmp_path / "clone"
    (project.path / "data" / "ours.csv").write_bytes(b"a,b\r\n1,2\r\n")
    commit_all(project.path, "Data of a program that ends lines as Windows does")
    git(tmp_path, "clone", "--quiet", "--config", f"core.autocrlf={convert}", str(project.path), str(clone))
    names = git(project.path, "ls-files", "-z").rstrip("\0").split("\0")
    assert "data/ours.csv" in names
    assert [name for name in names if (clone / name).read_bytes() != (project.path / name).read_bytes()] == []


def test_inside_a_repository_no_other_is_started(bake: Bake, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".git").mkdir()
    assert not (bake(tmp_path / "teams").path / ".git").exists()
    assert "lies inside one" in capfd.readouterr().out


def test_two_bakes_for_an_update_by_cruft_are_equal(template: Path, tmp_path: Path) -> None:
    """Cruft bakes the old and the new template through these calls and applies the difference to the project."""
    for side in ("old", "new"):
        context = generate_context(str(template / "cookiecutter.json"))
        context["cookiecutter"] = prompt_for_config(context, no_input=True) | {"_commit": "0" * 40}
        generate_files(template, context, tmp_path / side)
    command = ["git", "diff", "--no-index", "--stat", "old", "new"]
    assert BakedProject(tmp_path, {}).run(*command).stdout == ""


def test_without_git_the_project_is_made_all_the_same(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    project = bake()
    assert (project.path / "pyproject.toml").exists()
    assert not (project.path / ".git").exists()
    assert "git is not installed" in capfd.readouterr().out


def test_a_git_that_fails_is_reported_and_the_project_kept(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\necho 'disk is full' >&2\nexit 128\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (bake().path / "pyproject.toml").exists()
    assert "git made no first commit: disk is full" in capfd.readouterr().out


def test_a_second_bake_needs_the_option_to_overwrite(bake: Bake) -> None:
    project = bake()
    with pytest.raises(OutputDirExistsException):
        bake(project.path.parent)


def test_overwriting_keeps_what_the_template_does_not_know(bake: Bake) -> None:
    project = bake()
    owners = project.path / ".github" / "CODEOWNERS"
    owners.write_text("* @ada\n")
    bake(project.path.parent, overwrite_if_exists=True, ci="none")
    assert owners.read_text() == "* @ada\n"
    assert not (project.path / GITHUB).exists()
    assert project.run("git", "rev-list", "--count", "HEAD").stdout == "1\n"


def test_the_next_commands_are_printed(bake: Bake, capfd: pytest.CaptureFixture[str]) -> None:
    project = bake()
    printed = capfd.readouterr().out
    assert f"  cd {project.path}\n  make run " in printed
    assert "  make help " in printed


def test_the_folder_s_name_is_enough_where_it_was_made_on_the_spot(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PWD", str(tmp_path))
    bake(tmp_path)
    assert "  cd flight-delays\n" in capfd.readouterr().out


@pytest.mark.slow
def test_it_can_be_baked_from_a_git_address(template: Path, tmp_path: Path) -> None:
    """Cookiecutter clones it first, and finds the license texts in the clone."""
    origin = BakedProject(tmp_path / "origin", {})
    shutil.copytree(template, origin.path, symlinks=True)
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for command in (["init", "--quiet"], ["add", "--all"], [*identity, "commit", "--quiet", "--message", "All"]):
        assert origin.run("git", *command).returncode == 0
    path = cookiecutter(
        f"git+file://{origin.path}",
        no_input=True,
        extra_context={"license": "MIT"},
        default_config={"replay_dir": str(tmp_path), "cookiecutters_dir": str(tmp_path / "clones")},
        output_dir=str(tmp_path / "out"),
    )
    assert LICENSES["MIT"] in (Path(path) / "LICENSE").read_text(encoding="utf-8")
