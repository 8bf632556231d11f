"""The reference of the DAGs names their tasks, assets and parameters."""

import re

import pytest
from airflow.dag_processing.dagbag import DagBag

from flights import PACKAGE, REPOSITORY
from modelworks.airflow.assets import Assets

PAGE = (REPOSITORY / "docs" / "reference" / "dags.md").read_text(encoding="utf-8")
TASKS, ASSETS, FORMS = (
    PAGE.split(f"## {title}\n")[1].split("\n## ")[0] for title in ("Tasks", "Assets", "Trigger forms")
)


def rows(text: str) -> list[list[str]]:
    """The cells of each row of the tables of a text, headings left out."""
    lines = re.findall(r"^\| (`.+) \|$", text, re.MULTILINE)
    return [line.split(" | ") for line in lines]


def names(cell: str) -> list[str]:
    """The names in code of a cell."""
    return re.findall(r"`(\w+)`", cell)


DAGS = {names(cells[0])[0]: cells for cells in rows(PAGE.split("## Tasks")[0])}


def test_every_dag_is_on_the_page(bag: DagBag) -> None:
    assert {f"{PACKAGE}_{name}" for name in DAGS} == set(bag.dags)


@pytest.mark.parametrize("name", DAGS)
def test_each_dag_has_the_tasks_and_assets_of_the_page(bag: DagBag, name: str) -> None:
    dag, cells = bag.dags[f"{PACKAGE}_{name}"], DAGS[name]
    order = [task.task_id for task in dag.topological_sort()]
    assert set(names(cells[2])) == set(order)
    positions = {task: at for at, task in enumerate(names(cells[2]))}
    for task in dag.tasks:
        assert all(positions[before] < positions[task.task_id] for before in task.upstream_task_ids)
    emitted = {asset.name for task in dag.tasks for asset in task.outlets}
    assert {f"{PACKAGE}_{each}" for each in names(cells[3])} == emitted
    awaited = set(re.findall(rf"'{PACKAGE}_(\w+)'", str(getattr(dag.timetable, "asset_condition", ""))))
    assert awaited == set(names(cells[1])) & set(Assets._fields)


def test_every_task_and_asset_is_explained(bag: DagBag) -> None:
    explained = {name for cells in rows(TASKS) for name in names(cells[0])}
    assert explained == {task.task_id for dag in bag.dags.values() for task in dag.tasks}
    assert {names(cells[0])[0] for cells in rows(ASSETS)} == set(Assets._fields)


@pytest.mark.parametrize("name", DAGS)
def test_form_has_the_parameters_of_the_page(bag: DagBag, name: str) -> None:
    listed = {names(cells[0])[0] for cells in rows(FORMS) if name in names(cells[1]) or cells[1] == "all"}
    assert listed == set(bag.dags[f"{PACKAGE}_{name}"].params)
