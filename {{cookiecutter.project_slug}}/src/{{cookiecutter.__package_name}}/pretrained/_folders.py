"""Where the folder of a network of Hugging Face or spaCy is."""

import os
import re
from functools import lru_cache
from pathlib import Path

from ..config import find_home
from ..errors import ConfigError
from ._weights import PACKAGE_MARK, WEIGHTS_FILE, find_in_package


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
        folder = find_in_package(weights)
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
