"""Signatures of models, in the format of OpenSSF Model Signing.

A hash shows that a file is the one that was saved; whoever may write to the registry may write the hash too. A
signature shows that it was saved by somebody with the private key, which the registry and the API never have.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelworks.errors import ConfigError, ReleaseError
from modelworks.settings import Settings


class Keys:
    """The keys of `[tracking] signing_key` and `verification_key`."""

    def __init__(self, settings: Settings) -> None:
        self._home = settings.home
        self._private, self._public = settings.tracking.signing_key, settings.tracking.verification_key

    @property
    def verifies(self) -> bool:
        """Whether a model has to be signed to be loaded."""
        return bool(self._public)

    def sign(self, file: Path, signature: Path) -> None:
        """Write the signature of a model's file, if there is a key.

        Raises
        ------
        ConfigError
            If the key, or what it takes to sign, is missing.
        """
        if self._private:
            signing, key = _load_library("signing_key"), self._find("signing_key", self._private)
            with _alone(file) as folder, _readable("signing_key", key):
                signing.signing.Config().use_elliptic_key_signer(private_key=key).sign(folder, signature)

    def verify(self, file: Path, signature: Path | None, name: str) -> None:
        """Check that a model's file was signed with the private key.

        Raises
        ------
        ReleaseError
            If it is not signed, or by another key, or was changed.
        ConfigError
            If the key, or what it takes to verify, is missing.
        """
        if signature is None:
            raise ReleaseError(
                f"{name}: the model is not signed, and [tracking] verification_key is set; train it again where "
                "[tracking] signing_key is set"
            )
        signing, key = _load_library("verification_key"), self._find("verification_key", self._public)
        with _readable("verification_key", key):
            verifier = signing.verifying.Config().use_elliptic_key_verifier(public_key=key)
        with _alone(file) as folder:
            try:
                verifier.verify(folder, signature)
            except Exception as error:  # the library has no error of its own for each way to be wrong
                raise ReleaseError(
                    f"{name}: the signature of {file.name} is not that of [tracking] verification_key ({key}): {error}"
                ) from None

    def _find(self, setting: str, name: str) -> Path:
        key = self._home / name
        if not key.is_file():
            raise ConfigError(f"[tracking] {setting} = {name!r}: there is no such file")
        return key


def _load_library(setting: str) -> Any:
    try:
        import model_signing
    except ImportError:
        raise ConfigError(
            f'[tracking] {setting}: model-signing is not installed; add the extra "signing" of modelworks to the '
            "dependencies in pyproject.toml, then make lock and make setup"
        ) from None
    return model_signing


@contextmanager
def _alone(file: Path) -> Iterator[Path]:
    """A folder with nothing but the file, whose name and content are what is signed."""
    with tempfile.TemporaryDirectory(prefix="signed-") as folder:
        shutil.copy(file, folder)
        yield Path(folder)


@contextmanager
def _readable(setting: str, key: Path) -> Iterator[None]:
    """Name the setting where a key cannot be read."""
    try:
        yield
    except (AttributeError, TypeError, ValueError) as error:  # the first for a key of another kind
        raise ConfigError(
            f"[tracking] {setting}: {key} is no such key of an elliptic curve in PEM, without a password: {error}"
        ) from None
