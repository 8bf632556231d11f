"""The filesystem of a URI, by fsspec."""

from typing import Any

import fsspec
from fsspec.registry import known_implementations

from modelworks.errors import ConfigError


def open_filesystem(uri: str) -> tuple[Any, str]:
    """The filesystem of a URI, and the path in it.

    Raises
    ------
    ConfigError
        If the protocol is unknown, or its package is not installed.
    """
    try:
        return fsspec.core.url_to_fs(uri)
    except ImportError as error:
        package = known_implementations[uri.partition("://")[0]]["class"].partition(".")[0]
        name = package if package != "fsspec" else "that package"
        raise ConfigError(
            f"{uri}: {error}; add {name} to the dependencies in pyproject.toml, then make lock and make setup"
        ) from None
    except ValueError as error:
        if "Protocol not known" not in str(error):
            raise
        protocol = uri.partition("://")[0]
        raise ConfigError(
            f"{uri}: unknown protocol {protocol!r}; fsspec knows s3://, gs://, abfs://, https:// and others"
        ) from None
