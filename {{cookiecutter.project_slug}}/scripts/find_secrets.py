"""Look for keys and passwords in what git tracks or would track, and in every commit there has been.

A false alarm is taken out by its fingerprint, a line of `.gitleaksignore`, or by `gitleaks:allow` in its line.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
GITLEAKS = PROJECT / ".tools/supply-chain/bin/gitleaks"


def git(*arguments: str) -> str:
    """What git says of the project."""
    return subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=True).stdout


def finds_nothing(mode: str, folder: Path) -> bool:
    """Whether gitleaks finds no secret; it prints where one is, never the secret."""
    options = ["--no-banner", "--no-color", "--log-level=warn", "--verbose", "--redact", "--exit-code=1"]
    ignored = f"--gitleaks-ignore-path={PROJECT}"
    status = subprocess.run([GITLEAKS, mode, *options, ignored, "."], cwd=folder, check=False).returncode
    if status not in {0, 1}:
        raise SystemExit(f"gitleaks ended with {status}")
    return status == 0


def main() -> int:
    """Look, tell, and return 1 if something was found or could not be looked at."""
    try:
        commits = int(git("rev-list", "--all", "--count"))
        files = [name for name in git("ls-files", "-z", "-co", "--exclude-standard").split("\0") if name]
        shallow = git("rev-parse", "--is-shallow-repository").strip() == "true"
    except (OSError, subprocess.CalledProcessError):
        print("There is no git repository to look through: git init", file=sys.stderr)
        return 1
    if shallow:
        print("The history is cut off, so it cannot be looked through: git fetch --unshallow", file=sys.stderr)
        return 1
    if not files:
        print("The git repository around this folder ignores it, so there is nothing to look through", file=sys.stderr)
        return 1
    # Copied, since gitleaks knows nothing of .gitignore, and var and .env hold the secrets that belong there.
    with tempfile.TemporaryDirectory() as copy:
        for name in files:
            if (PROJECT / name).is_file():
                (Path(copy) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(PROJECT / name, Path(copy) / name)
        clean = finds_nothing("dir", Path(copy))
    clean = finds_nothing("git", PROJECT) and clean
    found = "no secret" if clean else "a secret: make it invalid where it is from, before anything else"
    print(f"looked through: {len(files):,} files, commits: {commits:,}; {found}")
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
