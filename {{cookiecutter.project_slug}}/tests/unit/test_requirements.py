import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]


PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())
GROUPS = PYPROJECT["dependency-groups"]


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", [*PYPROJECT["project"]["dependencies"], *GROUPS["dev"]]),
        ("supply-chain.lock", GROUPS["supply-chain"]),
        *([("torch.lock", GROUPS["torch"])] if "torch" in GROUPS else []),
    ],
)
def test_lock_fits_the_project(lock: str, wanted: list[str]) -> None:
    """If this fails, run `make lock`."""
    lines = (PROJECT / lock).read_text().splitlines()
    locked = [Requirement(line.removesuffix("\\")) for line in lines if "==" in line]
    for requirement in map(Requirement, wanted):
        pins = [pin for pin in locked if canonicalize_name(pin.name) == canonicalize_name(requirement.name)]
        assert pins, f"{requirement} is not locked"
        for pin in pins:
            [version] = pin.specifier
            assert requirement.specifier.contains(version.version), f"{pin} does not fit {requirement}"
