"""The project's folder, under a name that means nothing to the libraries that get it in URLs and patterns."""

import hashlib
import os
import re
import stat
import sys
from pathlib import Path

from modelworks.errors import ConfigError

SAFE = re.compile(r"[A-Za-z0-9_./ @+=,~-]*")
"""`?`, `#` and `%` mean something in URLs, `::` in fsspec, `*` and `[` in patterns, `:` in PATH, quotes in commands."""
LONGEST = 180  # characters; some programs cannot name a socket, or start an interpreter, below a longer path


def name_safely(home: Path) -> Path:
    """The folder itself, or, if its path has other characters than `SAFE`, a symbolic link to it in a private folder.

    Raises
    ------
    ConfigError
        If the private folder is somebody else's.
    """
    real = os.path.realpath(home)
    if SAFE.fullmatch(real) and len(real) <= LONGEST:
        return home
    link = private_folder() / hashlib.sha256(os.fsencode(real)).hexdigest()[:16]
    if not link.is_symlink() or str(link.readlink()) != real:
        new = link.with_name(f"{link.name}.{os.getpid()}")
        new.unlink(missing_ok=True)
        new.symlink_to(real)
        new.replace(link)
    return link


def private_folder() -> Path:
    """A folder with a short path for this user alone, made if it is missing.

    Raises
    ------
    ConfigError
        If it is somebody else's, or open to others.
    """
    folder = Path("/tmp") / f"modelworks-{os.getuid()}"  # noqa: S108 - checked below; $TMPDIR may differ
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700:
        raise ConfigError(f"{folder} is not a folder of ours alone; remove it")
    return folder


def restart_by_safe_name() -> None:
    """Start this program anew from its environment by the safe name of the folder, where that differs.

    Libraries lie below the environment: MLflow's migrations fail in a folder with a percent sign.
    """
    environment = Path(sys.prefix)
    safe = name_safely(environment.parent) / environment.name
    if safe != environment and (python := safe / "bin" / Path(sys.executable).name).exists():
        os.execv(python, [str(python), *sys.orig_argv[1:]])  # noqa: S606 - the same program
