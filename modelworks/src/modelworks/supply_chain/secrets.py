"""Search for keys and passwords in the files that git tracks or would track, and in every commit.

A false alarm is listed by its fingerprint in a line of `.gitleaksignore`, or marked by `gitleaks:allow` in its line.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from modelworks.wording import count

GITLEAKS = ".tools/supply-chain/bin/gitleaks"


def git(home: Path, *arguments: str) -> str:
    """The output of git in the project."""
    return subprocess.run(["git", *arguments], cwd=home, capture_output=True, text=True, check=True).stdout


def finds_nothing(home: Path, mode: str, folder: Path) -> bool:
    """Whether gitleaks finds no secret; it prints where one is, never the secret."""
    options = ["--no-banner", "--no-color", "--log-level=warn", "--verbose", "--redact", "--exit-code=1"]
    ignored = f"--gitleaks-ignore-path={home}"
    status = subprocess.run([home / GITLEAKS, mode, *options, ignored, "."], cwd=folder, check=False).returncode
    if status not in {0, 1}:
        raise subprocess.CalledProcessError(status, GITLEAKS)
    return status == 0


def search(home: Path) -> int:
    """Print where there are secrets; returns the exit status, 1 if one was found or something cannot be searched."""
    try:
        commits = int(git(home, "rev-list", "--all", "--count"))
        files = [name for name in git(home, "ls-files", "-z", "-co", "--exclude-standard").split("\0") if name]
        shallow = git(home, "rev-parse", "--is-shallow-repository").strip() == "true"
    except (OSError, subprocess.CalledProcessError):
        print("There is no git repository to search: git init", file=sys.stderr)
        return 1
    if shallow:
        print("The history is cut off, so it cannot be searched: git fetch --unshallow", file=sys.stderr)
        return 1
    if not files:
        print("The git repository around this folder ignores it, so there is nothing to search", file=sys.stderr)
        return 1
    clean = search_files(home, files)
    clean = finds_nothing(home, "git", home) and clean
    found = "no secret" if clean else "a secret: make it invalid where it is from, before anything else"
    print(f"searched {count(len(files), 'file')} and {count(commits, 'commit')}; {found}")
    return 0 if clean else 1


def search_files(home: Path, files: list[str]) -> bool:
    """Whether gitleaks finds no secret in the files."""
    # Copied, since gitleaks does not heed .gitignore, and var and .env hold the secrets that belong there.
    with tempfile.TemporaryDirectory() as copy:
        for name in files:
            if (home / name).is_file():
                (Path(copy) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(home / name, Path(copy) / name)
        return finds_nothing(home, "dir", Path(copy))
