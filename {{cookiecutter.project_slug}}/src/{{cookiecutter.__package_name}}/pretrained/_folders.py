"""Where the folder of a network of Hugging Face or spaCy is."""

import re
from functools import lru_cache
from pathlib import Path

from ..config import find_home
from ..errors import ConfigError, WeightsError
from ._weights import PACKAGE_MARK, WEIGHTS_FILE, find_in_package, first_line


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
    WeightsError
        If there are none.
    ConfigError
        If it is not said which.
    ConnectionError
        If the hub does not answer, and they were not downloaded before.
    """
    if weights.startswith(PACKAGE_MARK):
        folder = find_in_package(weights)
    elif (path := find_home() / Path(weights).expanduser()).is_dir():
        folder = path
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", weights):
        folder = _find_on_hub(weights, revision)
    else:
        raise WeightsError(
            f"[model] weights = {weights!r}: no such folder, and no name on the Hugging Face hub, such as "
            "sentence-transformers/all-MiniLM-L6-v2"
        )
    if not (folder / file).is_file():
        # Other formats can hold code, which is run when they are loaded.
        raise WeightsError(f"[model] weights = {weights!r}: {folder} has no {file}")
    return folder


@lru_cache
def _find_on_hub(weights: str, revision: str) -> Path:
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise ConfigError(
            f"[model] weights_revision = {revision!r}: of the hub's {weights} a commit is wanted, 40 hex digits, "
            "as what a branch holds can change"
        )
    from huggingface_hub import snapshot_download  # takes a second to import, and is only there with an encoder
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    told = f"[model] weights = {weights!r}, {revision}"
    try:
        return Path(
            snapshot_download(
                weights, revision=revision, allow_patterns=["*.json", "*.txt", "*.model", WEIGHTS_FILE, "1_Pooling/*"]
            )
        )
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:  # of one that is gated as well
        raise WeightsError(
            f"{told}: the hub has no such repository or commit, or shows it to nobody without the right HF_TOKEN: "
            f"{first_line(error)}"
        ) from None
    except LocalEntryNotFoundError as error:
        if HF_HUB_OFFLINE:
            raise WeightsError(f"{told}: not downloaded before, and HF_HUB_OFFLINE is set") from None
        # A connection may come back, so that this is tried again.
        raise ConnectionError(f"{told}: neither downloaded before, nor to be had now: {first_line(error)}") from None
