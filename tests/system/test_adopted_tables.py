"""Tables of other shapes than the flights', from a file to a model that answers, without an edit by hand."""

from __future__ import annotations

import json
import os
import random
import urllib.error
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cookiecutter.exceptions import FailedHookException

from bakes import Bake, BakedProject, answer_to_example, git, restored, succeed
from live_project import fetch, stack, wait_until
from own_tables import write_customers, write_rentals

pytestmark = pytest.mark.slow

# scikit-learn's own data come with it, and are no part of this repository.
NUMERALS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
DIGITS = """
from sklearn.datasets import load_digits
digits = load_digits(as_frame=True)
names = {names}
digits.frame.assign(target=[names[each] for each in digits.target]).to_parquet("{path}", index=False)
"""


def champion(project: BakedProject) -> dict[str, object]:
    """What the project says of its champion."""
    found: dict[str, object] = json.loads(succeed(project, project.command, "status", "--json"))["champion"]
    return found


@pytest.fixture(scope="module")
def customers(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> BakedProject:
    """A project that was generated from a file of one's own."""
    file = tmp_path_factory.mktemp("data") / "kunden.csv"
    write_customers(file)
    return bake(project_name="Customer Churn", data_path=str(file), target="gekündigt")


def test_project_of_ones_own_data_has_nothing_of_the_flights(customers: BakedProject) -> None:
    assert not list(customers.path.glob("data/flights*"))
    own = [path for folder in ("src", "dags", "tests", "data") for path in (customers.path / folder).rglob("*")]
    text = {path: path.read_text(encoding="utf-8", errors="replace").lower() for path in own if path.is_file()}
    assert {path.name for path, each in text.items() if "flight" in each or "carrier" in each} == set()
    changed = git(customers.path, "status", "--short")
    assert " M pipeline.toml" in changed
    assert " M src/customer_churn/contract.py" in changed
    # The team's files alone: nothing of the engine, the DAGs, the Makefile or the deployment is another.
    assert {line.split()[-1].split("/")[0] for line in changed.splitlines()} <= {
        "data",
        "pipeline.toml",
        "src",
        "tests",
    }


def test_project_of_ones_own_data_is_clean_and_green(customers: BakedProject) -> None:
    succeed(customers, "make", "check")
    assert " passed" in succeed(customers, "make", "test")


def test_project_of_ones_own_data_serves_what_it_has_trained(customers: BakedProject) -> None:
    succeed(customers, "make", "run")
    assert champion(customers)["version"] == "1"
    with stack(customers.path, dict(os.environ)) as live:
        row = {"Umsatz [EUR/Monat]": 55.5, "class": 7, "Tarif": "Grün", "Größe": None}
        wait_until("the champion is loaded", lambda: fetch(f"{live.api}/ready"))
        [answer] = fetch(f"{live.api}/predict", row)["predictions"]
        assert answer["decision"] == "ja"
        assert 0.5 < answer["probability"] < 1
        with pytest.raises(urllib.error.HTTPError) as refused:
            fetch(f"{live.api}/predict", {"class": "x"})
        assert {each["field"] for each in json.load(refused.value)["errors"]} >= {"class", "Tarif"}


def adopt(project: BakedProject, file: str, *options: str) -> str:
    """What `adopt` says of a file in the project's folder."""
    return succeed(project, project.command, "adopt", file, *options, "--yes", "--force")


def test_many_classes_in_parquet_without_time(project: BakedProject) -> None:
    succeed(project, ".venv/bin/python", "-c", DIGITS.format(path="digits.parquet", names=NUMERALS))
    summary = adopt(project, "digits.parquet", "--target", "target")
    assert "multiclass" in summary
    assert "at random" in summary
    succeed(project, "make", "run")
    assert champion(project)["version"] == "1"
    assert " passed" in succeed(project, "make", "test")
    succeed(project, "make", "check")
    [answer] = answer_to_example(project)["predictions"]
    assert answer["probabilities"].keys() == set(NUMERALS)
    assert answer["decision"] in NUMERALS


def test_numbers_over_fourteen_months_and_the_month_after(project: BakedProject) -> None:
    restored(project)
    write_rentals(project.path / "rentals.csv", days=425)
    summary = adopt(project, "rentals.csv", "--target", "rentals", "--time", "day", "--key", "day", "--key", "station")
    assert "regression" in summary
    succeed(project, "make", "run")
    first = champion(project)
    assert (first["version"], str(first["held_out"])[-7:]) == ("1", "2025-02")
    assert " passed" in succeed(project, "make", "test")
    assert 0 < answer_to_example(project)["predictions"][0]["prediction"] < 500

    write_rentals(project.path / "march.csv", days=31, first=date(2025, 3, 1))
    succeed(project, project.command, "import", "march.csv")
    done = project.run("make", "run")
    assert done.returncode == 0, done.stdout
    assert (champion(project)["version"], str(champion(project)["held_out"])[-7:]) == ("2", "2025-03")
    assert "nothing new: no file is written" in succeed(project, project.command, "import", "march.csv")


def test_example_of_the_readme(project: BakedProject) -> None:
    """After another table: nothing of that is left, and its champion is none here."""
    write_customers(project.path / "customers.csv", target="churned")
    write_customers(project.path / "customers-november.csv", target="churned", first=3000)
    adopt(project, "customers.csv", "--target", "churned")
    # A table without a time is of the month in which it comes, so the README's month may be taken.
    later = (datetime.now(UTC).replace(day=28) + timedelta(days=4)).strftime("%Y-%m")
    succeed(project, project.command, "import", "customers-november.csv", "--period", later)
    assert (project.path / "data" / f"customers-{later}.parquet").is_file()
    assert not list(project.path.glob("data/rentals*"))
    assert champion(project) is None


def test_table_that_says_nothing_of_the_target_is_refused_with_advice(project: BakedProject) -> None:
    chance = random.Random(3)  # noqa: S311 - rows, not secrets
    lines = [f"{chance.random():.4f},{chance.choice('abc')},{chance.choice(['no', 'yes'])}" for _ in range(800)]
    (project.path / "noise.csv").write_text("x,letter,result\n" + "\n".join(lines) + "\n", encoding="utf-8")
    adopt(project, "noise.csv", "--target", "result")
    done = project.run("make", "run")
    assert done.returncode != 0
    assert "beats the baseline" in done.stdout
    assert "the features do not predict the target" in done.stdout
    assert champion(project) is None


def test_file_that_cannot_be_adopted_makes_no_project(bake: Bake, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("a,b\n1,2\n3,4\n", encoding="utf-8")
    with pytest.raises(FailedHookException):
        bake(tmp_path, project_name="Mine", data_path=str(tmp_path / "mine.csv"), target="c")
    assert not (tmp_path / "mine").exists()
