"""The project's notebook works on a released project; it is stored without outputs."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from flights import TEMPLATE

CELLS = json.loads((TEMPLATE / "notebooks" / "explore.ipynb").read_text(encoding="utf-8"))["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]


def test_it_is_stored_without_outputs() -> None:
    cells = [cell for cell in CELLS if cell["cell_type"] == "code"]
    assert [cell["outputs"] for cell in cells] == [[]] * len(cells)
    assert {cell["execution_count"] for cell in cells} == {None}


def test_it_holds_no_template_marks() -> None:
    assert "{{" not in "".join(CODE)


def test_its_cells_run_from_the_first_to_the_last(released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plt, "show", lambda: None)
    names: dict[str, Any] = {}
    for number, cell in enumerate(CODE):
        exec(compile(cell, f"cell {number}", "exec"), names)  # noqa: S102 - the project's own
    assert [each.period for each in names["newest"]] == ["2013-05", "2013-06", "2013-07"]
    assert names["champion"].version == "2"
    assert set(names["derived"]) - set(names["features"]) == {"north_wind", "frost"}
    assert names["losses"]["champion"].mean() < names["losses"]["baseline"].mean()
    assert names["axes"].has_data()
    plt.close("all")
