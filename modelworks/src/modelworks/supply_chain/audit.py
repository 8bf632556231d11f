"""Look up every locked package in a database of known vulnerabilities.

By default pip-audit asks PyPI. Without a network a copy of the OSV database will do: the unpacked files or the zip of
its PyPI export.
"""

import json
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, canonicalize_version
from packaging.version import InvalidVersion, Version

PIP_AUDIT = ".tools/supply-chain/bin/pip-audit"

Advisory = dict[str, Any]
Pin = tuple[str, str]  # name and version


class NotAuditedError(Exception):
    """The packages could not be looked up."""


def find_locks(home: Path) -> list[Path]:
    """The locks of a project."""
    own = [home / "requirements.lock", home / "supply-chain.lock", *home.glob("torch.lock")]
    return own + sorted(home.glob("deploy/*/requirements.lock"))


def pins_of(lock: Path) -> list[Pin]:
    """All that a lock may install, whatever the platform."""
    lines = [line.removesuffix("\\") for line in lock.read_text().splitlines() if "==" in line]
    requirements = [Requirement(line) for line in lines if not line.startswith(("#", " "))]
    return [(canonicalize_name(each.name), str(each.specifier).removeprefix("==")) for each in requirements]


def advisories_in(database: Path) -> Iterator[Advisory]:
    """Each advisory of a folder of OSV files, or of a zip of them, but for those withdrawn."""
    if database.is_dir():
        texts: Iterator[bytes] = (file.read_bytes() for file in sorted(database.rglob("*.json")))
    elif zipfile.is_zipfile(database):
        archive = zipfile.ZipFile(database)
        texts = (archive.read(name) for name in archive.namelist() if name.endswith(".json"))
    else:
        raise NotAuditedError(f"{database}: neither a folder nor a zip of OSV advisories")
    try:
        yield from (advisory for advisory in map(json.loads, texts) if not advisory.get("withdrawn"))
    except ValueError as error:
        raise NotAuditedError(f"{database}: holds a file that is not JSON: {error}") from error


def affects(affected: dict[str, Any], version: str) -> bool:
    """Whether a version is among those listed, or lies in one of the ranges, of an OSV `affected`."""
    listed = {canonicalize_version(each) for each in affected.get("versions", [])}
    ranges = [each["events"] for each in affected.get("ranges", []) if each["type"] == "ECOSYSTEM"]
    return canonicalize_version(version) in listed or any(lies_in(events, Version(version)) for events in ranges)


def lies_in(events: list[dict[str, str]], version: Version) -> bool:
    """Whether the last event up to a version is that the flaw was introduced."""
    inside = False
    for kind, at in sorted((next(iter(event.items())) for event in events), key=lambda event: Version(event[1])):
        if kind == "introduced" and version >= Version(at):
            inside = True
        elif (kind == "fixed" and version >= Version(at)) or (kind == "last_affected" and version > Version(at)):
            inside = False
    return inside


def look_up(pins: list[Pin], database: Path) -> list[tuple[Pin, Advisory]]:
    """The advisories of a copy of OSV that concern the pins."""
    versions: dict[str, set[str]] = {}
    for name, version in pins:
        versions.setdefault(name, set()).add(version)
    found: list[tuple[Pin, Advisory]] = []
    newest, count = "", 0
    for advisory in advisories_in(database):
        newest, count = max(newest, str(advisory.get("modified", ""))), count + 1
        for affected in advisory.get("affected", []):
            package = affected.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            if package.get("ecosystem") != "PyPI" or name not in versions:
                continue
            try:
                hits = [(name, version) for version in sorted(versions[name]) if affects(affected, version)]
            except InvalidVersion as error:
                raise NotAuditedError(f"{advisory['id']} cannot be compared with {name}: {error}") from error
            found.extend((hit, advisory) for hit in hits)
    if not count:
        raise NotAuditedError(f"{database}: holds no advisories")
    print(f"{database}: {count:,} advisories, the newest of {newest[:10] or 'an unknown day'}")
    return found


def ask_pip_audit(pip_audit: Path, lock: Path) -> list[tuple[Pin, Advisory]]:
    """What PyPI knows of a lock. Offline, pip-audit skips every package and calls that a success."""
    # The pins only: hashes are compared at the installation, and torch.lock has none.
    command = [str(pip_audit), "--requirement", str(lock), "--no-deps", "--disable-pip", "--format", "json"]
    done = subprocess.run([*command, "--progress-spinner", "off"], capture_output=True, text=True, check=False)
    try:
        return read_report(json.loads(done.stdout))
    except ValueError as error:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise NotAuditedError(f"no vulnerability database reachable, or pip-audit failed: {last}") from error


def read_report(report: dict[str, Any]) -> list[tuple[Pin, Advisory]]:
    """The findings of a report in which no package may be missing."""
    packages = report["dependencies"]
    skipped = [package["name"] for package in packages if "vulns" not in package]
    if len(skipped) == len(packages):
        raise NotAuditedError("no vulnerability database reachable")
    if skipped:
        raise NotAuditedError(f"{len(skipped)} of {len(packages)} packages were not looked up: {', '.join(skipped)}")
    return [((package["name"], package["version"]), advisory) for package in packages for advisory in package["vulns"]]


def audit(home: Path, database: Path | None) -> int:
    """Print what is known of the locked packages.

    Parameters
    ----------
    database : folder or zip of OSV advisories, in place of the network

    Returns
    -------
    Exit status: 0 if all packages were looked up and no vulnerability is known, 1 if some are known, 2 if packages
    could not be looked up.
    """
    locks, pip_audit = find_locks(home), home / PIP_AUDIT
    supply_chain = tomllib.loads((home / "pyproject.toml").read_text())["tool"]["supply-chain"]
    pins = sorted({pin for lock in locks for pin in pins_of(lock)})
    try:
        found = (
            look_up(pins, database) if database else [hit for lock in locks for hit in ask_pip_audit(pip_audit, lock)]
        )
    except NotAuditedError as error:
        print(f"could not be audited: {error}", file=sys.stderr)
        print('Without a network, give a copy of the OSV database: make audit ARGS="--db all.zip"', file=sys.stderr)
        return 2
    known = print_findings(found, supply_chain["accepted-advisories"])
    print(f"{len(pins)} locked packages looked up, {known} known vulnerabilities that nobody has accepted")
    return 1 if known else 0


def print_findings(found: list[tuple[Pin, Advisory]], accepted: dict[str, str]) -> int:
    """Print each finding on a line; returns how many nobody has accepted."""
    known = 0
    for (name, version), advisory in found:
        names = [advisory["id"], *advisory.get("aliases", [])]
        reason = next((accepted[each] for each in names if each in accepted), None)
        known += reason is None
        print(f"{name} {version}: {', '.join(names)}{f'; accepted: {reason}' if reason else ''}")
    return known
