"""List each installed package with its licence in var/licences.md; fail on those that the project denies.

The denied licences, and the packages that a person has reviewed, are under `[tool.supply-chain]` in pyproject.toml.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

PIP_LICENSES = ".tools/supply-chain/bin/pip-licenses"
TABLE = "var/licences.md"


def is_denied(licence: str, denied: list[str]) -> bool:
    """Whether a licence contains a denied name as the beginning of a word: LGPL is not GPL.

    A plain `A OR B` is a choice, and denied only if both are. Any other expression is denied if one of its parts is.
    """
    choices = [licence] if "(" in licence or " AND " in licence else licence.split(" OR ")
    names = re.compile("|".join(rf"(?<![a-z]){re.escape(name)}" for name in denied), re.IGNORECASE)
    return all(names.search(choice) for choice in choices)


def problem_of(name: str, licence: str, denied: list[str], reviewed: dict[str, str]) -> str | None:
    """Why a package may not be used, or None if it may."""
    if name in reviewed:
        return None
    if licence == "UNKNOWN":
        return f"{name} does not say under which licence it is"
    return f"{name} is under a denied licence: {licence}" if is_denied(licence, denied) else None


def check_licences(home: Path) -> int:
    """Write the table; returns the exit status, 1 if there is a problem."""
    pyproject = tomllib.loads((home / "pyproject.toml").read_text())
    supply_chain = pyproject["tool"]["supply-chain"]
    denied, reviewed = supply_chain["denied-licences"], supply_chain["reviewed-licences"]
    command = [str(home / PIP_LICENSES), f"--python={sys.executable}", "--from=mixed", "--format=json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    packages = [
        (re.sub("[-_.]+", "-", each["Name"]).lower(), each["Version"], each["License"])
        for each in json.loads(done.stdout)
    ]
    packages = sorted(package for package in packages if package[0] != pyproject["project"]["name"])
    rows = [f"| {name} | {version} | {reviewed.get(name, licence)} |" for name, version, licence in packages]
    table = "\n".join(["| package | version | licence |", "| --- | --- | --- |", *rows]) + "\n"
    (home / TABLE).parent.mkdir(exist_ok=True)
    (home / TABLE).write_text(table)
    print(table)
    problems = [found for name, _, licence in packages if (found := problem_of(name, licence, denied, reviewed))]
    for problem in problems:
        print(f"{problem}: remove it, or have it reviewed and add it to reviewed-licences", file=sys.stderr)
    print(f"{len(packages)} packages, {len(problems)} that may not be used; {TABLE}")
    return 1 if problems else 0
