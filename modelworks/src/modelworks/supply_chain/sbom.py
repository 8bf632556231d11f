"""Write the packages of the environment to var/sbom.json, as CycloneDX; two calls give the same bytes."""

import re
import subprocess
import sys
from pathlib import Path

CYCLONEDX = ".tools/supply-chain/bin/cyclonedx-py"
BILL = "var/sbom.json"


def write_sbom(home: Path) -> int:
    """Write the bill of materials; returns the exit status."""
    (home / BILL).parent.mkdir(exist_ok=True)
    part = home / "var" / "sbom.part"
    command = [str(home / CYCLONEDX), "environment", "--output-reproducible", "--short-PURLs"]
    command += ["--pyproject", "pyproject.toml", "--output-file", str(part), sys.executable]
    try:
        subprocess.run(command, cwd=home, check=True)
        # Of the engine, the folder that it was installed from: without that of this machine.
        text = re.sub(r'"file://[^"]*/vendor/', '"vendor/', part.read_text(encoding="utf-8"))
    finally:
        part.unlink(missing_ok=True)
    (home / BILL).write_text(text, encoding="utf-8")
    print(BILL)
    return 0
