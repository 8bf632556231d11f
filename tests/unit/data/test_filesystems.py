import sys

import pytest
from fsspec.registry import _registry

from modelworks.data.filesystems import open_filesystem
from modelworks.errors import ConfigError


@pytest.mark.parametrize(
    ("uri", "package"),
    [("gs://lake/rows.csv", "gcsfs"), ("abfs://lake/rows.csv", "adlfs"), ("s3://lake/rows.csv", "s3fs")],
)
def test_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, uri: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not there
    monkeypatch.delitem(_registry, uri.partition(":")[0], raising=False)
    with pytest.raises(ConfigError, match=rf"^{uri}: .*nstall {package} .*; add {package} to the dependencies in pypr"):
        open_filesystem(uri)


def test_unknown_protocol_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^s4://lake/rows.csv: unknown protocol 's4'; fsspec knows s3://, gs://"):
        open_filesystem("s4://lake/rows.csv")
