import json
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from modelworks.errors import ConfigError
from modelworks.supply_chain import check
from modelworks.supply_chain.audit import NotAuditedError, affects, find_locks, look_up, pins_of, read_report
from modelworks.supply_chain.engine import describe_changes
from modelworks.supply_chain.licences import problem_of

DENIED = ["AGPL", "GPL", "GNU General Public"]


def ranged(*events: tuple[str, str]) -> dict[str, Any]:
    """The `affected` of an advisory with one range."""
    return {"ranges": [{"type": "ECOSYSTEM", "events": [dict([event]) for event in events]}]}


def advisory(name: str = "Scikit_Learn", ecosystem: str = "PyPI", **facts: Any) -> dict[str, Any]:
    """An advisory on all versions below 1.5.0."""
    affected = ranged(("introduced", "0"), ("fixed", "1.5.0")) | {"package": {"ecosystem": ecosystem, "name": name}}
    return {"id": "PYSEC-2024-110", "modified": "2026-11-01T00:00:00Z", "affected": [affected], **facts}


def test_locks_of_platforms_are_audited_as_well(tmp_path: Path) -> None:
    (tmp_path / "deploy" / "aws").mkdir(parents=True)
    (tmp_path / "deploy" / "aws" / "requirements.lock").touch()
    found = [str(path.relative_to(tmp_path)) for path in find_locks(tmp_path)]
    assert found == ["requirements.lock", "supply-chain.lock", "deploy/aws/requirements.lock"]


@pytest.mark.parametrize(
    ("version", "vulnerable"),
    [("0.9", True), ("1.4.9", True), ("1.5.0rc1", True), ("1.5.0", False), ("1.10", False)],
)
def test_version_is_vulnerable_until_the_fix(version: str, vulnerable: bool) -> None:
    assert affects(ranged(("introduced", "0"), ("fixed", "1.5.0")), version) is vulnerable


@pytest.mark.parametrize(
    ("version", "vulnerable"),
    [("1.9", False), ("2.0", True), ("2.1", False), ("3.0", True), ("3.1", True), ("3.2", False)],
)
def test_flaw_may_come_back_and_the_last_version_with_it_has_it(version: str, vulnerable: bool) -> None:
    events = [("introduced", "3.0"), ("last_affected", "3.1"), ("introduced", "2.0"), ("fixed", "2.1")]
    assert affects(ranged(*events), version) is vulnerable


def test_listed_version_is_vulnerable_however_it_is_written() -> None:
    assert affects({"versions": ["dev-r12", "1.0.0"]}, "1.0")
    assert not affects({"versions": ["dev-r12", "1.0.0"]}, "1.0.1")


def test_only_advisories_on_the_packages_of_the_index_that_were_not_withdrawn_are_found(tmp_path: Path) -> None:
    pins = [("numpy", "1.0"), ("scikit-learn", "1.4.2")]
    given = {
        "hit": advisory(),
        "elsewhere": advisory(ecosystem="npm"),
        "another": advisory("pandas"),
        "withdrawn": advisory(withdrawn="2026-11-02T00:00:00Z"),
    }
    for name, each in given.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(each))
    assert look_up(pins, tmp_path) == [(("scikit-learn", "1.4.2"), given["hit"])]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("hit.json", json.dumps(given["hit"]))
    assert look_up(pins, tmp_path / "all.zip") == [(("scikit-learn", "1.4.2"), given["hit"])]


def test_database_that_is_missing_empty_or_broken_is_no_audit(tmp_path: Path) -> None:
    with pytest.raises(NotAuditedError, match="neither a folder nor a zip"):
        look_up([], tmp_path / "all.zip")
    with pytest.raises(NotAuditedError, match="holds no advisories"):
        look_up([], tmp_path)
    (tmp_path / "broken.json").write_text("<html>")
    with pytest.raises(NotAuditedError, match="not JSON"):
        look_up([], tmp_path)


def test_version_that_cannot_be_compared_is_no_audit(tmp_path: Path) -> None:
    odd = advisory()
    odd["affected"][0] |= ranged(("introduced", "dev-r12"))
    (tmp_path / "odd.json").write_text(json.dumps(odd))
    with pytest.raises(NotAuditedError, match=r"PYSEC-2024-110 cannot be compared with scikit-learn: .*dev-r12"):
        look_up([("scikit-learn", "1.4.2")], tmp_path)


def test_packages_that_were_not_looked_up_are_no_audit() -> None:
    """What pip-audit reports, with exit status 0, where no database can be reached."""
    skipped = {"name": "numpy", "skip_reason": "Dependency not found on PyPI and could not be audited: numpy (2.4)"}
    clean = {"name": "pandas", "version": "3.1.1", "vulns": []}
    for nothing in ([], [skipped]):
        with pytest.raises(NotAuditedError, match="no vulnerability database reachable"):
            read_report({"dependencies": nothing})
    with pytest.raises(NotAuditedError, match="1 of 2 packages were not looked up: numpy"):
        read_report({"dependencies": [skipped, clean]})
    flaw = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"]}
    assert read_report({"dependencies": [clean, clean | {"vulns": [flaw]}]}) == [(("pandas", "3.1.1"), flaw)]


def test_pins_are_read_with_and_without_extras_and_markers(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    pins = "Foo.Bar[all]==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:00==\nb==2.0.post1\n"
    lock.write_text(f"# made by\n#    make lock\n{pins}")
    assert pins_of(lock) == [("foo-bar", "1.0"), ("b", "2.0.post1")]


@pytest.mark.parametrize(
    ("licence", "denied"),
    [
        ("MIT", False),
        ("LGPL-2.1-only", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("GPL-3.0-only", True),
        ("GNU General Public License v2 (GPLv2)", True),
        ("AGPL-3.0", True),
        ("MIT OR GPL-2.0-only", False),
        ("MIT AND GPL-2.0-only", True),
        ("(MIT OR Apache-2.0) AND GPL-2.0-only", True),
        ("Artistic License; GNU General Public License (GPL)", True),
        ("UNKNOWN", True),
    ],
)
def test_licence_is_denied_by_its_name_unless_there_is_a_choice(licence: str, denied: bool) -> None:
    assert (problem_of("thing", licence, DENIED, {}) is not None) is denied
    assert problem_of("thing", licence, DENIED, {"thing": "MIT, by its licence file"}) is None


def test_changed_files_of_the_engine_are_named(tmp_path: Path) -> None:
    engine = tmp_path / "vendor" / "modelworks"
    for name in ("src/kept.py", "src/patched.py", "src/gone.py"):
        (engine / name).parent.mkdir(parents=True, exist_ok=True)
        (engine / name).write_text(name)
    assert "no vendor/modelworks.sha256" in describe_changes(tmp_path)
    lines = [f"{sha256(file.read_bytes()).hexdigest()}  {file.relative_to(engine)}" for file in engine.rglob("*.py")]
    (tmp_path / "vendor" / "modelworks.sha256").write_text("\n".join(lines) + "\n")
    assert describe_changes(tmp_path) == "engine: as the template wrote it"
    (engine / "src" / "patched.py").write_text("patched")
    (engine / "src" / "gone.py").unlink()
    (engine / "src" / "new.py").touch()
    (engine / "src" / "__pycache__").mkdir()
    (engine / "src" / "__pycache__" / "kept.pyc").touch()
    title, *named = describe_changes(tmp_path).splitlines()
    assert title.startswith("warning: 3 files of vendor/modelworks changed")
    assert named == ["  src/gone.py: removed", "  src/new.py: added", "  src/patched.py: changed"]


def test_every_check_is_made_whatever_the_others_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def is_missing(home: Path) -> int:
        raise FileNotFoundError("no pip-licenses")

    (tmp_path / ".tools" / "supply-chain" / "bin").mkdir(parents=True)
    monkeypatch.setattr(check.audit, "audit", lambda home, database: 1)
    monkeypatch.setattr(check.licences, "check_licences", is_missing)
    monkeypatch.setattr(check.secrets, "search", lambda home: 0)
    monkeypatch.setattr(check.sbom, "write_sbom", lambda home: 0)
    assert check.check(tmp_path, [], None) == 1
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "vulnerabilities: failed",
        "licences: could not be checked",
        "secrets: passed",
        "sbom: passed",
    ]
    assert check.check(tmp_path, ["sbom", "licences"], None) == 2
    assert check.check(tmp_path, ["secrets"], None) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "secrets: passed"


def test_checks_without_their_tools_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`make audit` installs them"):
        check.check(tmp_path, [], None)


def test_a_check_that_there_is_not_is_refused_with_the_names_of_those_that_there_are(tmp_path: Path) -> None:
    (tmp_path / ".tools" / "supply-chain" / "bin").mkdir(parents=True)
    with pytest.raises(ConfigError, match="--only sboms: no such check; there are vulnerabilities, licences, secrets"):
        check.check(tmp_path, ["sboms"], None)
