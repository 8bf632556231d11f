"""The checks of `make audit` in a fresh bake: green where they may be, and red where they must."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bakes import Bake, BakedProject

pytestmark = pytest.mark.slow

# No database of vulnerabilities can be had through this, and it answers at once.
NO_NETWORK = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@pytest.fixture
def repository(project: BakedProject, bake: Bake) -> BakedProject:
    """A project of its own, to be changed, that is lent the installed tools."""
    assert project.run("make", "-s", ".tools/supply-chain/installed").returncode == 0
    fresh = bake()
    for name in (".venv", ".tools"):
        (fresh.path / name).symlink_to(project.path / name)
    return fresh


def audit(project: BakedProject, *options: str | Path) -> CompletedProcess[str]:
    """The command itself, which installs nothing."""
    return project.run(project.command, "audit", *options)


def replace(repository: BakedProject, old: str, new: str) -> None:
    """Edit its pyproject.toml. After that no `make`, which would install the environment that is lent again."""
    pyproject = repository.path / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    assert old in text
    pyproject.write_text(text.replace(old, new), encoding="utf-8")


def pinned(project: BakedProject, package: str) -> str:
    """The version of a package in the lock."""
    found = re.search(rf"^{package}==(\S+)", (project.path / "requirements.lock").read_text(), re.MULTILINE)
    assert found
    return found[1]


def test_sbom_names_the_whole_environment_and_neither_the_machine_nor_the_moment(project: BakedProject) -> None:
    texts = []
    for _ in range(2):
        done = project.run("make", "audit", "ARGS=--only sbom")
        assert done.returncode == 0, done.stderr
        texts.append((project.path / "var/sbom.json").read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    assert str(project.path) not in texts[0]
    assert "file:" not in texts[0]
    bill = json.loads(texts[0])
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == project.path.name
    named = {component["purl"] for component in bill["components"] if "purl" in component}
    [engine] = [component for component in bill["components"] if "purl" not in component]  # of no registry
    assert (engine["name"], engine["externalReferences"][0]["url"]) == ("modelworks", "vendor/modelworks")
    assert f"pkg:pypi/scikit-learn@{pinned(project, 'scikit-learn')}" in named
    assert len(named) > 200


def test_licences_are_listed_and_a_denied_one_is_refused(project: BakedProject, repository: BakedProject) -> None:
    done = project.run("make", "audit", "ARGS=--only licences")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"| scikit-learn | {pinned(project, 'scikit-learn')} | BSD-3-Clause |" in done.stdout
    assert (project.path / "var/licences.md").read_text() in done.stdout
    replace(repository, "denied-licences = [", 'denied-licences = ["Mozilla Public",')
    refused = audit(repository, "--only", "licences")
    assert refused.returncode == 1
    assert "certifi is under a denied licence: Mozilla Public License 2.0 (MPL 2.0)" in refused.stderr


def test_audit_without_a_network_says_that_it_could_not_and_fails(project: BakedProject) -> None:
    done = project.run("make", "audit", "ARGS=--only vulnerabilities", **NO_NETWORK)
    assert done.returncode != 0
    assert "vulnerabilities: could not be checked" in done.stdout
    assert "could not be audited: no vulnerability database reachable" in done.stderr
    assert "looked up" not in done.stdout


def test_audit_by_a_given_database_finds_what_is_in_it_and_takes_a_reason(
    project: BakedProject, repository: BakedProject, tmp_path: Path
) -> None:
    version = pinned(project, "scikit-learn")
    affected = {
        "package": {"ecosystem": "PyPI", "name": "Scikit_learn"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"last_affected": version}]}],
    }
    advisory = {"id": "PYSEC-2099-1", "aliases": ["CVE-2099-1"], "modified": "2099-01-02T00:00:00Z"}
    (tmp_path / "flaw.json").write_text(json.dumps(advisory | {"affected": [affected]}))
    found = project.run("make", "audit", f"ARGS=--only vulnerabilities --db {tmp_path}")
    assert found.returncode != 0
    assert f"scikit-learn {version}: PYSEC-2099-1, CVE-2099-1\n" in found.stdout
    assert "1 known vulnerabilities" in found.stdout
    heading = "[tool.supply-chain.accepted-advisories]\n"
    replace(repository, heading, f'{heading}CVE-2099-1 = "only on Windows"\n')
    accepted = audit(repository, "--only", "vulnerabilities", "--db", tmp_path)
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    assert "accepted: only on Windows" in accepted.stdout
    affected["ranges"] = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": version}]}]
    (tmp_path / "flaw.json").write_text(json.dumps(advisory | {"affected": [affected]}))
    assert project.run("make", "audit", f"ARGS=--only vulnerabilities --db {tmp_path}").returncode == 0


def test_a_secret_is_found_wherever_it_is_and_never_shown(project: BakedProject, repository: BakedProject) -> None:
    assert project.run("make", "audit", "ARGS=--only secrets").returncode == 0
    look = "--only", "secrets"
    clean = audit(repository, *look)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert "and 1 commit; no secret" in clean.stdout
    key = "AKIA" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16))
    planted = repository.path / "notes.txt"
    planted.write_text(f"aws_access_key_id = {key}\n")
    in_file = audit(repository, *look)
    commit(repository)
    planted.unlink()
    commit(repository)
    in_history = audit(repository, *look)
    for found in (in_file, in_history):
        assert found.returncode == 1
        assert "notes.txt" in found.stdout
        assert key not in found.stdout + found.stderr
    (repository.path / ".env").write_text(f"AWS_ACCESS_KEY_ID={key}\n")
    fingerprint = re.search(r"^Fingerprint: (\S+)", in_history.stdout, re.MULTILINE)
    assert fingerprint
    (repository.path / ".gitleaksignore").write_text(f"{fingerprint[1]}\n")
    ignored = audit(repository, *look)
    assert ignored.returncode == 0, ignored.stdout + ignored.stderr


def commit(repository: BakedProject) -> None:
    """Commit everything but the tools that are lent."""
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    assert repository.run("git", "add", "--all", "--", ".", ":!.venv", ":!.tools").returncode == 0
    assert repository.run("git", *identity, "commit", "--quiet", "--message", "Change").returncode == 0


def test_a_history_that_is_cut_off_is_no_pass(repository: BakedProject, tmp_path: Path) -> None:
    commands = ["git", "clone", "--quiet", "--depth=1", f"file://{repository.path}", str(tmp_path / "shallow")]
    (repository.path / "second.txt").write_text("second\n")
    commit(repository)
    assert repository.run(*commands).returncode == 0
    shallow = BakedProject(tmp_path / "shallow", {})
    (shallow.path / ".tools").symlink_to(repository.path / ".tools")
    done = shallow.run(repository.command, "audit", "--only", "secrets")
    assert done.returncode == 1
    assert "git fetch --unshallow" in done.stderr


def test_every_check_is_made_and_reported_whatever_the_others_found(project: BakedProject, tmp_path: Path) -> None:
    """An empty database cannot be looked up; the licences, the files and the packages can."""
    done = project.run("make", "audit", f"ARGS=--db {tmp_path}")
    assert done.returncode != 0
    results = ["vulnerabilities: could not be checked", "licences: passed", "secrets: passed", "sbom: passed"]
    assert done.stdout.splitlines()[-4:] == results
