"""The reference of the prediction API is what the app answers."""

import re

from flights import FLIGHTS, REPOSITORY, make_home
from modelworks.serving import create_app
from modelworks.settings import load_settings

PAGE = (REPOSITORY / "docs" / "reference" / "api.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The part of the page under a heading."""
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def first_cells(text: str) -> set[str]:
    """The names in code in the first column of the tables of a text."""
    cells = re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_path_status_and_field_of_the_specification_is_on_the_page(tmp_path) -> None:
    make_home(tmp_path)
    specification = create_app(FLIGHTS, load_settings(tmp_path)).openapi()
    paths = {
        f"{method.upper()} {path}": call
        for path, each in specification["paths"].items()
        for method, call in each.items()
    }
    assert first_cells(PAGE.split("## Who gets in")[0]) == set(paths)
    statuses = {status for call in paths.values() for status in call["responses"] if status != "200"}
    assert statuses | {"500"} == set(re.findall(r"^\| (\d+) \|", section("Errors"), re.MULTILINE))
    schemas = specification["components"]["schemas"]
    assert first_cells(section("`/model`")) == set(schemas["ModelInfo"]["properties"])
    for name in ("Answer", "Prediction", "Explanation", "RowExplanation", "Problem", "FieldError"):
        assert [field for field in schemas[name]["properties"] if f'"{field}"' not in PAGE] == []


def test_every_metric_for_prometheus_is_on_the_page(tmp_path) -> None:
    make_home(tmp_path)
    collected = list(create_app(FLIGHTS, load_settings(tmp_path)).state.api.metrics.registry.collect())
    exposed = {f"{each.name}_total" if each.type == "counter" else each.name for each in collected}
    assert first_cells(section("`/metrics`")) == exposed
