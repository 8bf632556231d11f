"""Where the folder of a network of Hugging Face or spaCy is."""

import re
from functools import lru_cache
from pathlib import Path

from modelworks.errors import ConfigError, WeightsError
from modelworks.models.encoders.weights import PACKAGE_MARK, WEIGHTS_FILE, find_in_package, first_line, name_setting
from modelworks.settings import find_home


def find_folder(weights: str, revision: str, file: str = WEIGHTS_FILE) -> Path:
    """The folder of a network: configuration, vocabulary and weights, as Hugging Face or spaCy lays them out.

    Parameters
    ----------
    weights : a folder, relative to pipeline.toml; `package:NAME/FOLDER`, a folder within an
        installed package; or a name on the Hugging Face hub, such as sentence-transformers/all-MiniLM-L6-v2
    revision : the commit on the hub, 40 hex digits; a downloaded one is found again without a network, and with
        HF_HUB_OFFLINE=1 nothing is downloaded
    file : that the folder has to hold

    Raises
    ------
    WeightsError
        If there are none.
    ConfigError
        If the revision is not a commit.
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
            f"{name_setting(weights)}: no such folder, and no name on the Hugging Face hub, such as "
            "sentence-transformers/all-MiniLM-L6-v2"
        )
    if not (folder / file).is_file():
        # Other formats can hold code, which is run when they are loaded.
        raise WeightsError(f"{name_setting(weights)}: {folder} has no {file}")
    return folder


@lru_cache
def _find_on_hub(weights: str, revision: str) -> Path:
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise ConfigError(
            f"[model.parameters] weights_revision = {revision!r}: of the hub's {weights} a commit is wanted, 40 hex "
            "digits, as what a branch holds can change"
        )
    from huggingface_hub import snapshot_download  # takes a second
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    setting = f"{name_setting(weights)}, {revision}"
    try:
        return Path(
            snapshot_download(
                weights, revision=revision, allow_patterns=["*.json", "*.txt", "*.model", WEIGHTS_FILE, "1_Pooling/*"]
            )
        )
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:  # a gated repository raises it too
        raise WeightsError(
            f"{setting}: the hub has no such repository or commit, or shows it to nobody without the right HF_TOKEN: "
            f"{first_line(error)}"
        ) from None
    except LocalEntryNotFoundError as error:
        if HF_HUB_OFFLINE:
            raise WeightsError(f"{setting}: not downloaded before, and HF_HUB_OFFLINE is set") from None
        # A connection may come back, so the task is retried.
        raise ConnectionError(f"{setting}: neither downloaded before nor available now: {first_line(error)}") from None
