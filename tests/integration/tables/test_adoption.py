"""From a table to a contract, settings and data, for tables of every kind."""

import json
import os
import pty
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from sklearn import datasets

from adopting import CONTRACT, Adopted, adopt, commit, git
from flights import PACKAGE, TEMPLATE
from modelworks import Project, stages
from modelworks.adopt import conversion, import_file, pipeline_toml, recipe
from modelworks.adopt.contract_source import contract_source
from modelworks.adopt.project_files import remove_names
from modelworks.adopt.ranges import widen
from modelworks.adopt.splitting import choose_split
from modelworks.adopt.statistics import ColumnStatistics
from modelworks.errors import AdoptionError, ConfigError, MissingAnswerError, SourceError
from modelworks.models.types import boosting
from modelworks.settings import load_settings


def make_table(rows: int = 600, seed: int = 0, days: int = 0) -> pd.DataFrame:
    """Two columns, one of them informative of the target, and times if days are given."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"size": random.normal(10, 2, rows).round(6), "kind": random.choice(["a", "b", "c"], rows)})
    frame = frame.assign(target=np.where(frame["size"] + random.normal(0, 2, rows) > 10, "yes", "no"))
    if days:
        at = pd.Timestamp("2024-01-01") + pd.to_timedelta(
            np.linspace(0, days * 24 * 60, rows).astype("int64"), unit="min"
        )
        frame.insert(0, "at", at)
    return frame


def settings_of(adopted: Adopted) -> dict[str, dict[str, object]]:
    return tomllib.loads((adopted.folder / "pipeline.toml").read_text())


@pytest.mark.parametrize(
    ("load", "task", "classes"),
    [
        (datasets.load_breast_cancer, "binary", [0, 1]),
        (datasets.load_wine, "multiclass", [0, 1, 2]),
        (datasets.load_diabetes, "regression", []),
        (datasets.load_digits, "multiclass", list(range(10))),
    ],
)
def test_real_tables_are_adopted(project: Path, load, task: str, classes: list[int]) -> None:
    frame = load(as_frame=True).frame
    adopted = adopt(project, frame, "target")
    assert (adopted.contract.target.kind, adopted.contract.target.classes) == (task, classes)
    assert adopted.contract.key == ["row_number"]
    assert "not by time" in adopted.said
    assert "likely leak" not in adopted.said
    rows = adopted.rows()
    assert rows["row_number"].tolist() == list(range(1, len(frame) + 1))
    assert np.allclose(rows[frame.columns].to_numpy("float64"), frame.to_numpy("float64"))
    load_settings()


def test_settings_and_contract_are_written_and_all_else_stays(project: Path) -> None:
    before = (project / "pipeline.toml").read_text()
    adopted = adopt(project, make_table(1200, days=180), "target")
    settings = settings_of(adopted)
    assert settings["source"]["uri"] == "data/table-{period}.parquet"
    assert (settings["source"]["first"], settings["source"]["last"]) == ("2024-01", "2024-06")
    assert settings["training"]["holdout"] == 1
    after = (project / "pipeline.toml").read_text()
    assert "half way" in after
    assert before.splitlines()[:2] == after.splitlines()[:2]
    keys = [line.partition("=")[0].strip() for line in before.splitlines()]
    written = iter(line.partition("=")[0].strip() for line in after.splitlines())
    assert all(key in written for key in keys), "the lines that were there stay, in their order"
    assert sorted(file.name for file in (project / "data").iterdir()) == [
        "README.md", "import.toml", *(f"table-2024-0{month}.parquet" for month in range(1, 7))
    ]  # fmt: skip


FEATURES = """\
import pandas as pd


def add_features(flights: pd.DataFrame) -> pd.DataFrame:
    return flights.assign(is_stormy=flights.visibility < 3)
"""
CHECKS = """\
def no_visibility_missing(period):
    return Check("visibility", period["visibility"].notna().all(), "")


def enough_rows(period):
    return Check("rows", len(period) > 10, "")
"""
OWN_PROJECT = """\
\"\"\"Ours.\"\"\"

from modelworks import Project

from .checks import enough_rows, no_visibility_missing
from .contract import CONTRACT
from .features import add_features
from .models import MODEL_TYPES
from .pagers import page  # ours

project = Project(
    contract=CONTRACT,
    model_types=MODEL_TYPES,
    features=add_features,
    data_checks=[no_visibility_missing, enough_rows],
    notifiers=[page],
)
"""


def test_settings_that_an_editor_of_windows_has_saved_are_read(project: Path) -> None:
    file = project / "pipeline.toml"
    file.write_text(file.read_text(encoding="utf-8"), encoding="utf-8-sig", newline="\r\n")
    commit(project)
    adopt(project, make_table(), "target")
    assert load_settings().source.uri == "data/table-{period}.parquet"


def test_what_is_about_the_table_before_is_reset_and_nothing_else(project: Path) -> None:
    package = project / "src" / PACKAGE
    for name, text in (("features.py", FEATURES), ("checks.py", CHECKS), ("project.py", OWN_PROJECT)):
        (package / name).write_text(text)
    (package / "pagers.py").write_text('def page(message):\n    print(message["text"])\n')
    (project / "tests" / "test_features.py").write_text("def test_storms():\n    assert frame_of(visibility=[1.0])\n")
    (project / "tests" / "test_pagers.py").write_text('def test_page():\n    page({"text": "x"})\n')
    (project / "README.md").write_text("# Ours\n\nThe flights of 2013.\n")
    commit(project)
    adopted = adopt(project, make_table(days=180), "target")
    changed = {line[3:] for line in git(project, "status", "--porcelain", "--untracked-files=all").splitlines()}
    ours = f"src/{PACKAGE}"
    assert {each for each in changed if not each.startswith(("data/", "tests/sample/"))} == {
        "pipeline.toml", CONTRACT, f"{ours}/features.py", f"{ours}/checks.py", f"{ours}/project.py",
        "tests/test_features.py", "tests/test_models.py",
    }  # fmt: skip
    for file in (package / "features.py", package / "checks.py", project / "tests" / "test_features.py"):
        assert "visibility" not in file.read_text()
    assert (package / "project.py").read_text() == OWN_PROJECT.replace(
        "from .checks import enough_rows, no_visibility_missing\n", ""
    ).replace("from .features import add_features\n", "").replace(
        """Project(
    contract=CONTRACT,
    model_types=MODEL_TYPES,
    features=add_features,
    data_checks=[no_visibility_missing, enough_rows],
    notifiers=[page],
)""",
        "Project(contract=CONTRACT, model_types=MODEL_TYPES, notifiers=[page])",
    )
    assert "README.md still speaks of the flights, in lines 3" in adopted.said


def test_tests_of_the_project_are_true_of_the_new_table(project: Path) -> None:
    adopt(project, make_table(900, days=180).assign(holiday=[None, "x", "x"] * 300), "target")
    names = [f"tests/test_{name}.py" for name in ("contract", "features", "models")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *names]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout, "the project derives no column yet"


def test_adopted_table_is_trained_released_and_scored(project: Path) -> None:
    """By its own contract and settings, in this process, where the flights' contract is loaded as well."""
    adopted = adopt(project, make_table(1800, days=180), "target")
    ours = Project(contract=adopted.contract, model_types={"boosting": boosting.MODEL_TYPE})
    settings = load_settings(project)
    clean = stages.validate(ours, settings, stages.ingest(ours, settings).dataset_uri, "run")
    assert (clean.period, clean.quarantined) == ("2024-06", 0)
    trained = stages.train(ours, settings, clean.dataset_uri, "run")
    deployed = stages.deploy(ours, settings, stages.evaluate(ours, settings, trained.run_id).run_id)
    assert deployed.version == "1"
    june = pq.read_metadata(project / "data" / "table-2024-06.parquet")
    assert stages.score(ours, settings).rows == june.num_rows


def test_code_that_names_no_lost_column_stays(project: Path) -> None:
    features = FEATURES.replace("flights.visibility < 3", "flights['size'] > 11")
    (project / "src" / PACKAGE / "features.py").write_text(features)
    commit(project)
    adopt(project, make_table(days=180), "target")
    assert (project / "src" / PACKAGE / "features.py").read_text() == features


def test_names_are_taken_out_of_the_project_one_by_one() -> None:
    source = "from .checks import a, b\nproject = Project(x, data_checks=[a, b], release_gates=[b], source=get)\n"
    assert remove_names(source, {"b"}) == ("from .checks import a\nproject = Project(x, data_checks=[a], source=get)\n")
    assert remove_names(source, {"c"}) == source


@pytest.mark.parametrize(
    ("table", "target"),
    [
        (make_table(days=180), "target"),
        (datasets.load_wine(as_frame=True).frame, "target"),
        (datasets.load_diabetes(as_frame=True).frame.assign(**{'a "b" \\ c': 1.5, "patient": range(442)}), "target"),
    ],
)
def test_contract_is_written_as_it_is_used_and_formatted(project: Path, table: pd.DataFrame, target: str) -> None:
    adopted = adopt(project, table, target)
    text = (project / CONTRACT).read_text()
    names: dict[str, Any] = {}
    exec(contract_source(adopted.contract, "Again."), names)  # noqa: S102 - as Python imports it
    again = names["CONTRACT"]
    assert (again.version, again.example, again.slices) == (
        adopted.contract.version, adopted.contract.example, adopted.contract.slices
    )  # fmt: skip
    command = [sys.executable, "-m", "ruff", "format", "--line-length", "120", "--diff", "-"]
    assert subprocess.run(command, input=text, text=True, capture_output=True, check=False).returncode == 0


def test_rows_with_a_time_are_split_by_it(project: Path) -> None:
    adopted = adopt(project, make_table(days=180), "target")
    assert adopted.roles == {"at": "time", "size": "feature", "kind": "feature", "target": "target"}
    assert adopted.contract.key == ["at"]
    assert adopted.contract.slices == ["kind"]
    assert adopted.contract.target.classes == ["no", "yes"]
    assert set(adopted.contract.example) == {"at", "size", "kind"}
    json.dumps(adopted.contract.example)
    for month in range(1, 7):
        rows = pd.read_parquet(project / "data" / f"table-2024-0{month}.parquet")
        assert set(rows["at"].dt.month) == {month}


def test_german_table_is_read_as_it_is_meant(project: Path) -> None:
    table = make_table(days=180)
    german = pd.DataFrame({
        "Bestell-Nr.": range(1001, 1601),
        "Größe [cm]": table["size"].map(lambda value: f"{value * 1000:,.2f}").str.translate(str.maketrans(".,", ",.")),
        "PLZ": [f"{at:05d}" for at in np.arange(600) % 40 * 1000 + 67],
        "Datum": table["at"].dt.strftime("%d.%m.%Y %H:%M"),
        "Rückgabe": table["target"].map({"yes": "ja", "no": "nein"}),
    })
    file = project / "var" / "Bestellungen März.csv"
    file.parent.mkdir()
    file.write_bytes(german.to_csv(sep=";", index=False).encode("latin-1"))
    adopted = adopt(project, file, "Rückgabe")
    assert adopted.dtypes == {
        "Bestell-Nr.": "int64",
        "Größe [cm]": "float64",
        "PLZ": "str",
        "Datum": "datetime64[us]",
        "Rückgabe": "str",
    }
    assert (adopted.contract.key, adopted.contract.target.classes) == (["Bestell-Nr."], ["nein", "ja"])
    rows = adopted.rows()
    assert np.allclose(rows["Größe [cm]"], (table["size"] * 1000).round(2))
    assert rows["Datum"].tolist() == table["at"].tolist()
    assert rows["PLZ"].iloc[0] == "00067"
    assert settings_of(adopted)["source"]["uri"] == "data/bestellungen-marz-{period}.parquet"
    for warning in ("not UTF-8", "leading zeros", "mark for thousands"):
        assert warning in adopted.said


def test_time_in_several_columns_is_put_together(project: Path) -> None:
    table = make_table(days=180)
    parts = {part: getattr(table["at"].dt, part) for part in ("year", "month", "day", "hour", "minute")}
    adopted = adopt(project, table.drop(columns="at").assign(**parts), "target")
    assert "are put together as the time" in adopted.said
    assert adopted.roles == {"time": "time", "size": "feature", "kind": "feature", "target": "target"}
    assert adopted.rows()["time"].tolist() == table["at"].tolist()


def test_date_and_time_of_day_are_put_together(project: Path) -> None:
    table = make_table(days=180)
    parts = {"day": table["at"].dt.strftime("%d.%m.%Y"), "clock": table["at"].dt.strftime("%H:%M")}
    adopted = adopt(project, table.drop(columns="at").assign(**parts), "target", time=["day", "clock"])
    assert adopted.rows()["time"].tolist() == table["at"].tolist()


def test_time_that_no_row_has_is_refused_with_advice(project: Path) -> None:
    table = make_table(days=180)
    parts = {"day": table["at"].dt.strftime("%d.%m.%Y"), "clock": "morning"}
    refused = r"rows can be read: time: not a datetime64\[us\]; name another time by --time, or none by --no-time"
    with pytest.raises(AdoptionError, match=refused):
        adopt(project, table.drop(columns="at").assign(**parts), "target", time=["day", "clock"])


def test_the_better_of_two_dates_is_the_time(project: Path) -> None:
    table = make_table(days=180)
    table.insert(0, "closed_date", table["at"] + pd.Timedelta(days=3))
    adopted = adopt(project, table, "target")
    assert adopted.roles["at"] == "time"
    assert "'closed_date' lies after 'at' in 100% of the rows" in adopted.said


def test_order_of_day_and_month_that_nobody_knows_is_a_warning(project: Path) -> None:
    table = make_table(days=300)
    table = table[table["at"].dt.day <= 12]
    adopted = adopt(project, table.assign(at=table["at"].dt.strftime("%m/%d/%Y")), "target")
    assert "'at': read as m/d/Y, and d/m/Y would do as well" in adopted.said
    assert adopted.rows()["at"].tolist() == table["at"].dt.floor("D").tolist()


def test_one_period_is_not_split_by_time(project: Path) -> None:
    adopted = adopt(project, make_table(days=1), "target")
    assert "all rows are of 2024-01-01: with one period there is no split by time" in adopted.said
    assert adopted.roles["at"] == "feature"
    assert settings_of(adopted)["retraining"]["first_after_periods"] == 1


def test_rows_of_one_patient_stay_together(project: Path) -> None:
    table = make_table().assign(patient=np.arange(600) // 4)
    adopted = adopt(project, table, "target")
    assert adopted.contract.group == "patient"
    assert adopted.roles["patient"] == "unused"
    assert "all rows of one 'patient' together" in adopted.said


def test_odd_names_stay_and_taken_ones_are_changed(project: Path) -> None:
    names = [
        "class",
        "def",
        "a b",
        "x[1]",
        "größe",
        "_hidden",
        "model_x",
        'quo"te',
        "back\\slash",
        "{b}",
        "reason",
        "row",
    ]
    random = np.random.default_rng(1)
    table = make_table().assign(**{name: random.normal(size=600) for name in names})
    adopted = adopt(project, table, "target")
    expected = {*names, "size", "kind"} - {"reason", "row"} | {"reason_", "row_"}
    assert {name for name, role in adopted.roles.items() if role == "feature"} == expected
    assert np.allclose(adopted.rows()["reason_"], table["reason"])
    assert "'reason' is called 'reason_' here" in adopted.said


def test_column_without_a_name_gets_one(project: Path) -> None:
    table = make_table()
    table.insert(0, "", range(600))
    adopted = adopt(project, table, "target")
    assert adopted.contract.key == ["unnamed"]


def test_leaks_are_set_aside_unless_they_are_wanted(project: Path) -> None:
    table = make_table()
    leak = (table["target"] == "yes") * 5.0 + np.random.default_rng(2).normal(0, 0.5, 600)
    table = table.assign(refund=leak, note=np.where(table["target"] == "yes", "x", ""))
    adopted = adopt(project, table, "target")
    assert (adopted.roles["refund"], adopted.roles["note"]) == ("outcome", "outcome")
    assert adopted.contract.columns["refund"].nullable
    assert "likely leak: 'refund'" in adopted.said
    commit(project)
    adopted = adopt(project, table, "target", features=["refund"], outcomes=["note"])
    assert (adopted.roles["refund"], adopted.roles["note"]) == ("feature", "outcome")


def test_column_that_is_far_ahead_of_all_others_is_a_warning(project: Path) -> None:
    table = make_table()
    adopted = adopt(
        project, table.assign(hint=(table["target"] == "yes") + np.random.default_rng(5).normal(0, 0.4, 600)), "target"
    )
    assert adopted.roles["hint"] == "feature"
    assert "'hint' alone reaches 0.9" in adopted.said


def test_strong_features_are_no_leaks(project: Path) -> None:
    adopted = adopt(project, datasets.load_iris(as_frame=True).frame, "target")
    assert set(adopted.roles.values()) == {"key", "feature", "target"}


def test_file_without_time_is_of_the_month_in_which_it_came(project: Path) -> None:
    before = f"{datetime.now(UTC):%Y-%m}"
    adopted = adopt(project, datasets.load_iris(as_frame=True).frame, "target")
    period = settings_of(adopted)["source"]["last"]
    assert period in {before, f"{datetime.now(UTC):%Y-%m}"}  # a month may end meanwhile
    assert f"this file is period {period}, in which it came" in adopted.said


def test_what_is_no_feature_is_not_used(project: Path) -> None:
    random = np.random.default_rng(3)
    table = make_table(1200).assign(
        constant=1,
        nothing="",
        remark=[f"ref {random.integers(1e9)}" for _ in range(1200)],
        order_id=[f"O{at}" for at in range(1200)],
        invoice_id=random.permutation(1200),
    )
    adopted = adopt(project, table, "target")
    assert adopted.contract.key == ["order_id"]
    unused = {name for name, role in adopted.roles.items() if role == "unused"}
    assert unused == {"constant", "nothing", "remark", "invoice_id"}
    for warning in (
        "'constant': the same in all rows",
        "'nothing': no value at all",
        "'remark': 100% of its texts differ",
    ):
        assert warning in adopted.said


def test_many_categories_stay_and_the_api_takes_new_ones(project: Path) -> None:
    table = make_table(3000).assign(city=[f"city {at % 400}" for at in range(3000)])
    adopted = adopt(project, table, "target")
    assert adopted.roles["city"] == "feature"
    assert "'city': 400 categories" in adopted.said
    assert settings_of(adopted)["serving"]["unseen_categories"] == "as_missing"


def test_rare_and_late_classes_and_missing_ones_are_warnings(project: Path) -> None:
    table = make_table(days=180)
    target = (
        table["target"].mask(table.index >= 590, "new").mask(table.index < 5, "").mask(table.index.isin([9]), "odd")
    )
    adopted = adopt(project, table.assign(target=target), "target")
    assert adopted.contract.target.classes == ["new", "no", "odd", "yes"]
    assert "classes with too few rows to learn: 'new' (10), 'odd' (1)" in adopted.said
    assert "classes that only the held-out periods have: 'new'" in adopted.said
    assert "5 rows without 'target'" in adopted.said
    assert adopted.rows()["target"].isna().sum() == 5
    sample = pd.concat([pd.read_parquet(file) for file in (project / "tests" / "sample").iterdir()])
    assert {"new", "no", "yes"} <= set(sample["target"].dropna())


def test_repeated_rows_are_a_warning_and_kept(project: Path) -> None:
    table = pd.concat([make_table(), make_table().head(7)], ignore_index=True)
    adopted = adopt(project, table, "target")
    assert "7 rows the same as an earlier one" in adopted.said
    assert len(adopted.rows()) == 607


def test_rows_that_cannot_be_read_are_kept_apart(project: Path) -> None:
    table = make_table(days=180).astype({"size": "str", "at": "str"})
    table.loc[3, "size"], table.loc[4, "at"] = "n.n.", ""
    adopted = adopt(project, table, "target")
    assert len(adopted.rows()) == 598
    assert "2 rows cannot be read" in adopted.said
    rejected = pd.read_csv(project / "data" / "rejected.csv")
    assert rejected["why"].tolist() == ["size: not a float64", "at: no time"]
    assert rejected["size"].iloc[0] == "n.n."


@pytest.mark.parametrize("rows", [60, 300])
def test_tiny_tables_are_adopted(project: Path, rows: int) -> None:
    adopted = adopt(project, make_table(rows), "target")
    assert f"{rows} rows are few" in adopted.said
    assert settings_of(adopted)["training"]["holdout"] == 0.4
    assert settings_of(adopted)["model"]["parameters"]["min_samples_leaf"] == 5


def test_thousand_columns_are_adopted(project: Path) -> None:
    random = np.random.default_rng(4)
    wide = pd.DataFrame({f"x{at}": random.normal(size=300) for at in range(1000)})
    adopted = adopt(project, pd.concat([make_table(300), wide], axis=1), "target")
    assert len(adopted.contract.columns) == 1004
    assert "and 944 more, which are 944 feature" in adopted.said


@pytest.mark.parametrize(
    ("target", "choices", "message"),
    [
        ("Target", {}, "no such column; there are 'target'"),
        ("target", {"outcomes": ["sise"]}, "--outcome 'sise': no such column; there are 'size'"),
        ("empty", {}, "no row has a value"),
        ("same", {}, "in all rows; two values are wanted"),
        ("many", {}, "more than 100 different texts"),
        ("when", {}, "dates; a target is a number or a class"),
        ("target", {"task": "regression"}, "text, and not numbers"),
        ("target", {"task": "multiclass"}, "2 different values, which are not multiclass"),
        ("target", {"time": ["kind"]}, "--time 'kind': not a date that can be read"),
        ("target", {"key": ["kind"]}, "--key 'kind': 597 of 600 rows repeat one"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(
    project: Path, target: str, choices: dict[str, object], message: str
) -> None:
    table = make_table().assign(
        empty="", same="x", many=[f"m{at}" for at in range(600)], when=pd.Timestamp("2024-01-01")
    )
    table.loc[0, "when"] = pd.Timestamp("2024-01-02")
    with pytest.raises(AdoptionError, match=message):
        adopt(project, table, target, **choices)
    assert git(project, "status", "--porcelain") == ""


def test_whoever_is_not_there_is_not_asked_and_nothing_is_written(project: Path) -> None:
    with pytest.raises(MissingAnswerError, match=r"Write all this\? .* take 'yes' by --yes; nothing is written"):
        adopt(project, make_table(), "target", yes=False)
    with pytest.raises(MissingAnswerError, match=r"classes or quantities\? .* answer by --task"):
        adopt(project, make_table().assign(target=np.arange(600) % 5), "target", yes=False)
    assert git(project, "status", "--porcelain") == ""
    assert list((project / "data").iterdir()) == []


def test_what_is_not_committed_is_not_written_over(project: Path) -> None:
    with (project / "pipeline.toml").open("a") as file:
        file.write("# mine\n")
    with pytest.raises(AdoptionError, match=r"not committed: pipeline\.toml"):
        adopt(project, make_table(), "target")
    adopt(project, make_table(), "target", force=True)
    assert "# mine" in (project / "pipeline.toml").read_text()


def test_second_table_takes_the_place_of_the_first(project: Path) -> None:
    adopt(project, make_table(days=180), "target")
    (project / "var" / "data").mkdir(parents=True)
    commit(project)
    shutil.move(project / "var" / "table.csv", project / "var" / "other.csv")
    adopted = adopt(project, project / "var" / "other.csv", "target")
    assert {file.name.rpartition("-2024")[0] for file in (project / "data").glob("*.parquet")} == {"other"}
    assert len(list((project / "tests" / "sample").iterdir())) == 3
    assert settings_of(adopted)["storage"]["uri"] == "var/other"
    assert settings_of(adopted)["tracking"]["model_name"].endswith("-other")


def test_further_period_is_imported_once(project: Path) -> None:
    table = make_table(days=180)
    adopt(project, table, "target")
    later = project / "var" / "later.csv"
    further = table.assign(at=table["at"] + pd.Timedelta(days=182))
    further.to_csv(later, index=False)
    console = Console(quiet=True)
    import_file(project, str(later), None, False, console)
    assert len(pd.read_parquet(project / "data" / "table-2024-07.parquet")) > 90
    imported = (project / "data" / "table-2024-07.parquet").read_bytes()
    import_file(project, str(later), None, False, console)
    assert (project / "data" / "table-2024-07.parquet").read_bytes() == imported
    import_file(project, str(later), None, True, console)
    with pytest.raises(AdoptionError, match="the rows say by 'at'"):
        import_file(project, str(later), "2024-07", False, console)
    further.drop(columns="kind").to_csv(later, index=False)
    with pytest.raises(AdoptionError, match="columns missing: 'kind'"):
        import_file(project, str(later), None, True, console)


def test_import_of_rows_without_time_needs_their_period(project: Path) -> None:
    adopt(project, make_table(), "target")
    file = str(project / "var" / "table.csv")
    with pytest.raises(AdoptionError, match="say by --period"):
        import_file(project, file, None, False, Console(quiet=True))
    make_table(seed=1).to_csv(file, index=False)
    import_file(project, file, "2031-05", False, Console(quiet=True))
    assert pq.read_metadata(project / "data" / "table-2031-05.parquet").num_rows == 600


def test_parquet_is_taken_as_it_is_typed(project: Path) -> None:
    table = make_table(days=180).assign(
        flag=np.arange(600) % 7 == 0,
        count=pd.array([None, *range(599)], dtype="Int64"),
        at_utc=lambda t: t["at"].dt.tz_localize("UTC"),
    )
    table = table.astype({"kind": "category"}).drop(columns="at")
    file = project / "var" / "a.parquet"
    file.parent.mkdir()
    table.to_parquet(file)
    adopted = adopt(project, file, "flag")
    assert (adopted.contract.target.kind, adopted.contract.target.classes) == ("binary", [0, 1])
    assert adopted.dtypes == {
        "size": "float64",
        "kind": "str",
        "target": "str",
        "flag": "float64",
        "count": "float64",
        "at_utc": "datetime64[us]",
    }


def test_recipe_survives_its_file(project: Path) -> None:
    adopt(project, make_table(days=180), "target")
    known = recipe.load(project / "data" / "import.toml")
    assert recipe.dump(known) == (project / "data" / "import.toml").read_text()


@pytest.mark.parametrize(
    ("periods", "kind", "held_out"),
    [
        ({"2024-01": 500, "2024-02": 500, "2024-03": 500}, "time", 1),
        ({"2024-01": 900, "2024-02": 900, "2024-03": 20}, "time", 2),
        ({"2024-01": 50, "2024-02": 50, "2024-03": 50, "2024-04": 50, "2024-05": 50, "2024-06": 50}, "time", 2),
        ({"2024-01": 10, "2024-02": 900}, "random", 1),
        ({"2024-01": 10, "2024-03": 400, "2024-04": 400}, "time", 1),
        ({"2024-01": 900, "2024-03": 400, "2024-04": 400}, "time", 1),
    ],
)
def test_held_out_periods_are_enough_and_not_too_many(periods: dict[str, int], kind: str, held_out: int) -> None:
    split, _ = choose_split(ColumnStatistics(rows=sum(periods.values()), periods=periods), "2024-12")
    assert (split.kind, split.holdout) == (kind, held_out)


def test_ranges_have_slack_and_do_not_cross_zero() -> None:
    assert widen(0.013, 1.0) == (0, 1.5)
    assert widen(-10, 10) == (-20, 20)
    assert widen(1000, 3000) == (0, 4000)
    assert widen(2000, 2001) == (1999.5, 2001.5)
    assert widen(-3, -1) == (-4, 0)


def test_settings_are_changed_whatever_lines_they_take() -> None:
    text = '[source]\nuri = "a"  # where\nquery = """\nselect\n"""\n[model]\nuri = 1\n'
    made = pipeline_toml.set_values(text, {("source", "uri"): ("b", ""), ("source", "query"): ("", "")})
    assert tomllib.loads(made) == {"source": {"uri": "b", "query": ""}, "model": {"uri": 1}}
    assert "# where" in made
    with pytest.raises(ConfigError, match=r"no \[model\] seed"):
        pipeline_toml.set_values(text, {("model", "seed"): (1, "")})


def test_settings_that_are_missing_are_added_to_their_section() -> None:
    text = '# ours\n[source]\nuri = "a"\nfirst = "2024-01"\n\n# of models\n[model]\ntype = "linear"\n'
    changes = {
        ("source", "last"): ("2024-06", ""),
        ("labels", "delay_periods"): (0, ""),
        ("gates.metrics", "bias"): ({"min": -0.2, "max": 0.2}, "wide"),
        ("model", "scaling"): ("none", ""),
        ("model.parameters", "max_iter"): (40, ""),
    }
    assert pipeline_toml.set_values(text, changes) == (
        '# ours\n[source]\nuri = "a"\nfirst = "2024-01"\nlast = "2024-06"\n\n# of models\n[model]\ntype = "linear"\n'
        'scaling = "none"\n\n[gates.metrics]\nbias = { min = -0.2, max = 0.2 }     # wide\n\n[model.parameters]\n'
        "max_iter = 40\n"
    )


def test_settings_may_be_true_or_false() -> None:
    made = pipeline_toml.set_values("[training]\nseed = 1\n", {("training", "trend"): (True, "")})
    assert made == "[training]\nseed = 1\ntrend = true\n"
    assert pipeline_toml.set_values(made, {("training", "trend"): (False, "")}) == made.replace("true", "false")


def test_lines_of_the_settings_that_stay_are_not_touched() -> None:
    text = (TEMPLATE / "pipeline.toml").read_text(encoding="utf-8")
    chosen = {
        ("source", "last"): ("2024-01", ""),
        ("labels", "uri"): ("", ""),
        ("training", "window"): (7, "few"),
    }
    made = pipeline_toml.set_values(text, chosen)
    changed = [new for old, new in zip(text.splitlines(), made.splitlines(), strict=True) if new != old]
    assert changed == [
        'last = "2024-01"                     # the last one; "" where a new period comes every month',
        "window = 7                           # few",
    ]


def test_integers_keep_all_their_digits() -> None:
    column = recipe.ColumnRecipe("id", ["id"], "int64", ["int"])
    assert conversion.parse(pd.Series(["9007199254740993", "NA"], dtype="str"), column, ["NA"]).tolist()[0] == 2**53 + 1


def test_contract_of_the_project_is_not_needed(project: Path) -> None:
    (project / CONTRACT).write_text("broken\n")
    commit(project)
    assert adopt(project, make_table(), "target").contract.target.kind == "binary"


def test_answers_may_be_typed(project: Path) -> None:
    """At a terminal: what is no answer is asked again, Enter takes the first, and a no leaves all as it was."""
    rows = [f"0{1 + at % 9}/0{1 + at // 60}/2024,{at * 7919 % 13 % 2},{at * 31 % 7}" for at in range(540)]
    file = project / "var" / "mine.csv"
    file.parent.mkdir(exist_ok=True)
    file.write_text("when,label,amount\n" + "\n".join(rows) + "\n", encoding="utf-8")
    terminal, keyboard = pty.openpty()
    os.write(terminal, b"wrong\n\nno\n")
    command = [sys.executable, "-m", "modelworks", "adopt", str(file), "--target", "label"]
    done = subprocess.run(command, stdin=keyboard, capture_output=True, text=True, timeout=1800, check=False)
    assert done.stdout.count("no date shows whether the day or the month comes first") == 2
    assert "Write all this?" in done.stdout
    assert done.returncode == 1
    assert "nothing is written, as you said" in done.stderr
    assert git(project, "status", "--short") == ""


def test_table_may_be_at_an_address(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("web")
    make_table().to_parquet(folder / "table.parquet", index=False)
    answer = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        web = f"http://127.0.0.1:{server.server_port}"
        assert adopt(project, f"{web}/table.parquet", "target").contract.target.classes == ["no", "yes"]
        with pytest.raises(SourceError, match=r"http://127.0.0.1:\d+/nothing.csv: no such file"):
            adopt(project, f"{web}/nothing.csv", "target", force=True)
        server.shutdown()
    assert list((project / "data").glob("table-*.parquet"))
