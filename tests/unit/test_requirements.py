import tomllib

import pytest
from jinja2 import Template
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from flights import REPOSITORY, TEMPLATE


def read_pyproject(**answers: str) -> dict:
    """The project's pyproject.toml; answers that it does not ask for are empty."""
    names = {"project_slug": "flight-delays", "__package_name": "flight_delays", "platforms": "none"}
    quoted = dict.fromkeys(("__description_quoted", "__author_name_quoted", "__author_email_quoted"), '""')
    text = Template((TEMPLATE / "pyproject.toml").read_text()).render(cookiecutter={**names, **quoted, **answers})
    return tomllib.loads(text)


ENGINE = tomllib.loads((REPOSITORY / "modelworks" / "pyproject.toml").read_text())["project"]
GROUPS = read_pyproject(frameworks="pytorch", example="tabular")["dependency-groups"]


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", [*ENGINE["dependencies"], *GROUPS["dev"]]),
        ("supply-chain.lock", GROUPS["supply-chain"]),
        ("torch.lock", GROUPS["torch"]),
    ],
)
def test_lock_fits_the_project(lock: str, wanted: list[str]) -> None:
    """If this fails, run `make lock`."""
    lines = (TEMPLATE / lock).read_text().splitlines()
    locked = [Requirement(line.removesuffix("\\")) for line in lines if "==" in line]
    for requirement in map(Requirement, wanted):
        pins = [pin for pin in locked if canonicalize_name(pin.name) == canonicalize_name(requirement.name)]
        assert pins, f"{requirement} is not locked"
        for pin in pins:
            [version] = pin.specifier
            assert requirement.specifier.contains(version.version), f"{pin} does not fit {requirement}"


@pytest.mark.parametrize(
    ("frameworks", "example", "wanted"),
    [
        ("scikit-learn", "tabular", set()),
        ("XGBoost, lightgbm", "tabular", {"lightgbm", "xgboost"}),
        ("keras", "tabular", {"keras", "tensorflow"}),
        ("keras,pytorch", "tabular", {"keras", "pytorch"}),
        ("spark, lightgbm", "tabular", {"lightgbm", "spark"}),
        ("spark-classic", "tabular", {"spark-classic"}),
        ("scikit-learn", "text", {"pytorch", "text"}),
        ("scikit-learn", "image", {"pytorch", "keras", "image"}),
    ],
)
def test_project_asks_for_the_extras_of_its_frameworks(frameworks: str, example: str, wanted: set[str]) -> None:
    [engine] = map(Requirement, read_pyproject(frameworks=frameworks, example=example)["project"]["dependencies"])
    assert engine.name == "modelworks"
    assert engine.extras == wanted <= ENGINE["optional-dependencies"].keys()
