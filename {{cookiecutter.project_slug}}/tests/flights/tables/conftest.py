from pathlib import Path

import pytest

from {{ cookiecutter.__package_name }}.config import HOME_VARIABLE

from adopting import make_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, with the flights' contract and everything committed."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    return make_project(tmp_path)
