"""All checks of what a project stands on, each with its result."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from modelworks.errors import ConfigError
from modelworks.supply_chain import audit, licences, sbom, secrets

TOOLS = ".tools/supply-chain"
RESULTS = {0: "passed", 1: "failed", 2: "could not be checked"}


def check(home: Path, names: Sequence[str], database: Path | None) -> int:
    """Run the checks, each whatever the others found, and print the result of each last.

    Parameters
    ----------
    names : of the checks, all if there are none
    database : copy of the OSV database, in place of the network

    Returns
    -------
    Exit status: 0 if all passed, 1 if one failed, else 2: one could not be checked.

    Raises
    ------
    ConfigError
        If the tools are not installed, or there is no check of a name.
    """
    if not (home / TOOLS / "bin").is_dir():
        raise ConfigError(f"{home / TOOLS}: the tools of the supply chain are missing; `make audit` installs them")
    checks: dict[str, Callable[[], int]] = {
        "vulnerabilities": lambda: audit.audit(home, database),
        "licences": lambda: licences.check_licences(home),
        "secrets": lambda: secrets.search(home),
        "sbom": lambda: sbom.write_sbom(home),
    }
    if unknown := [name for name in names if name not in checks]:
        raise ConfigError(f"--only {unknown[0]}: no such check; there are {', '.join(checks)}")
    found = {name: _run(name, run) for name, run in checks.items() if name in (names or checks)}
    for name, status in found.items():
        print(f"{name}: {RESULTS[status]}")
    return 1 if 1 in found.values() else max(found.values())


def _run(name: str, run: Callable[[], int]) -> int:
    print(f"== {name}", flush=True)
    try:
        status = run()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"could not be checked: {error}", file=sys.stderr)
        status = 2
    print(flush=True)
    return status
