"""Where the weights of a pre-trained network are, and that they are the same as when a model was trained."""

import hashlib
import os
import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from ..config import find_home
from ..errors import ConfigError, ReleaseError

PACKAGE_MARK = "package:"
WEIGHTS_FILE = "model.safetensors"


def find_folder(weights: str, revision: str, file: str = WEIGHTS_FILE) -> Path:
    """The folder of a network: configuration, vocabulary and weights, as Hugging Face or spaCy lays them out.

    Parameters
    ----------
    weights : a folder, of which a relative path starts at pipeline.toml; `package:NAME/FOLDER`, a folder within an
        installed package; or a name on the Hugging Face hub, such as sentence-transformers/all-MiniLM-L6-v2
    revision : of the hub, the commit as 40 hex digits; what has been downloaded once is found again without a network,
        and where HF_HUB_OFFLINE=1 nothing is downloaded
    file : that has to be in it

    Raises
    ------
    ConfigError
        If there are no weights, or it is not said which.
    """
    if weights.startswith(PACKAGE_MARK):
        folder = _find_in_package(weights)
    elif (path := find_home() / Path(weights).expanduser()).is_dir():
        folder = path
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", weights):
        folder = _find_on_hub(weights, revision)
    else:
        raise ConfigError(
            f"[model] weights = {weights!r}: no such folder, and no name on the Hugging Face hub, such as "
            "sentence-transformers/all-MiniLM-L6-v2"
        )
    if not (folder / file).is_file():
        # Other formats can hold code, which is run when they are loaded.
        raise ConfigError(f"[model] weights = {weights!r}: {folder} has no {file}")
    return folder


def _find_in_package(weights: str) -> Path:
    package, _, below = weights.removeprefix(PACKAGE_MARK).partition("/")
    found = find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise ConfigError(f"[model] weights = {weights!r}: no package {package!r} is installed")
    return Path(found.submodule_search_locations[0]) / below


@lru_cache
def _find_on_hub(weights: str, revision: str) -> Path:
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise ConfigError(
            f"[model] weights_revision = {revision!r}: of the hub's {weights} a commit is wanted, 40 hex digits, "
            "as what a branch holds can change"
        )
    from huggingface_hub import snapshot_download  # takes a second to import, and is only there with an encoder
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                weights, revision=revision, allow_patterns=["*.json", "*.txt", "*.model", WEIGHTS_FILE, "1_Pooling/*"]
            )
        )
    except LocalEntryNotFoundError as error:
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        raise ConfigError(
            f"[model] weights = {weights!r}, {revision}: neither downloaded before, nor to be had now{offline}: {error}"
        ) from None


@lru_cache
def identify(folder: Path) -> str:
    """SHA-256 of the weights in a folder: of their file, or else of all files and their names."""
    if (file := folder / WEIGHTS_FILE).is_file():
        return _hash(file)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    told = "".join(f"{path.relative_to(folder).as_posix()} {_hash(path)}\n" for path in files)
    return hashlib.sha256(told.encode()).hexdigest()


def _hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def check_same(folder: Path, sha256: str) -> None:
    """Make sure that weights are those that a model was trained with.

    Raises
    ------
    ReleaseError
        If they are others.
    """
    if (found := identify(folder)) != sha256:
        raise ReleaseError(
            f"{folder} has other weights than the model was trained with: SHA-256 {found[:12]}... "
            f"instead of {sha256[:12]}...; bring those back, or train and release a model with these"
        )
