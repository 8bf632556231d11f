from pathlib import Path

import pytest

from adopting import make_project
from modelworks.settings import HOME_VARIABLE


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, with the flights' contract and everything committed."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    return make_project(tmp_path)
