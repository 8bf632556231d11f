"""The rows that are looked at are those that a model would be trained on."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from modelworks.contract import Contract, binary, column, identifier
from modelworks.data import partitions, splits
from modelworks.errors import ContractError, PartitionError, SourceError
from modelworks.explore import find_explored, page, write_page
from modelworks.explore.columns import HOUR
from modelworks.explore.rows import read_table
from modelworks.settings import Settings
from tables import CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME, TWO_TEXTS_BY_GROUP, make_rows, project_of, write_periods

PERIODS = ["2024-01", "2024-02", "2024-03", "2024-04"]


def fill(home: Path, contract: Contract, rows: int = 400, **sections: dict) -> Settings:
    """A home with clean periods of as many rows each."""
    settings = write_periods(home, contract, make_rows(contract, rows), PERIODS, **sections)
    for period in PERIODS:
        frame = pd.read_parquet(home / "data" / f"own-{period}.parquet")
        publish(settings, contract, period, frame.astype(contract.dtypes))
    return settings


def publish(settings: Settings, contract: Contract, period: str, frame: pd.DataFrame, version: str = "") -> None:
    with partitions.new_partition(settings.storage_uri, "clean", period) as writer:
        writer.write(frame)
        writer.publish(source="typed", source_sha256=period, contract_version=version or contract.version)


def test_held_out_periods_are_left_out(tmp_path: Path) -> None:
    project = project_of(NUMBER_WITH_TIME)
    for holdout, period, shown, held_out in (
        (1, None, PERIODS[:3], PERIODS[3:]),
        (2, None, PERIODS[:2], PERIODS[2:]),
        (1, "2024-02", PERIODS[:1], PERIODS[1:2]),
    ):
        settings = fill(tmp_path, NUMBER_WITH_TIME, training={"holdout": holdout})
        explored = find_explored(project, settings, period)
        assert [each.period for each in explored.partitions] == shown
        assert (explored.held_out, explored.absent) == (held_out, [])
        assert dict(read_table(project, settings, explored).counts.periods) == dict.fromkeys(shown, 100)


def test_held_out_rows_are_left_out_where_rows_have_no_time(tmp_path: Path) -> None:
    settings, project = fill(tmp_path, CLASSES_WITHOUT_TIME), project_of(CLASSES_WITHOUT_TIME)
    explored = find_explored(project, settings)
    assert explored.held_out == []
    table = read_table(project, settings, explored)
    frames = [partitions.read_partition(each) for each in explored.partitions]
    kept = [frame[~splits.is_held_out(CLASSES_WITHOUT_TIME, frame, 0.2)] for frame in frames]
    assert [*table.counts.periods.values()] == [len(each) for each in kept]
    assert sum(map(len, kept)) < 400
    assert table.sample["no."].tolist() == pd.concat(kept)["no."].tolist()


def test_periods_that_are_not_clean_under_this_contract_are_absent(tmp_path: Path) -> None:
    settings, project = fill(tmp_path, NUMBER_WITH_TIME), project_of(NUMBER_WITH_TIME)
    partitions.remove_partition(partitions.find_partitions(settings.storage_uri, "clean", "2024-02")[0])
    publish(settings, NUMBER_WITH_TIME, "2024-02", make_rows(NUMBER_WITH_TIME, 5), version="another")
    publish(settings, NUMBER_WITH_TIME, "2024-03", make_rows(NUMBER_WITH_TIME, 7))
    explored = find_explored(project, settings)
    assert [(each.period, each.version) for each in explored.partitions] == [("2024-01", 1), ("2024-03", 2)]
    assert explored.absent == ["2024-02"]


@pytest.mark.parametrize(
    ("period", "message"),
    [
        ("2024-1", "not a month .*; write it as 2024-04"),
        ("2025-01", "outside the source, which has 2024-01 to 2024-04"),
        ("2024-01", "the first of the source; there is no period before it"),
    ],
)
def test_period_that_leaves_nothing_to_look_at(tmp_path: Path, period: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        find_explored(project_of(NUMBER_WITH_TIME), fill(tmp_path, NUMBER_WITH_TIME), period)


def test_periods_without_rows_are_one_message(tmp_path: Path) -> None:
    settings = write_periods(tmp_path, NUMBER_WITH_TIME, make_rows(NUMBER_WITH_TIME, 40), PERIODS)
    for period in PERIODS:
        publish(settings, NUMBER_WITH_TIME, period, make_rows(NUMBER_WITH_TIME, 5).head(0))
    project = project_of(NUMBER_WITH_TIME)
    with pytest.raises(PartitionError, match="no row to look at"):
        write_page(project, settings, find_explored(project, settings), tmp_path / "page.html")


def add_double(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(double=2 * rows["floor area"], is_flat=rows["kind"].eq("flat"))


def read_price(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(cheap=rows["price"] < 1)


def test_derived_features_are_columns_and_may_not_read_an_outcome(tmp_path: Path) -> None:
    settings = fill(tmp_path, NUMBER_WITH_TIME)
    project = replace(project_of(NUMBER_WITH_TIME), features=add_double)
    table = read_table(project, settings, find_explored(project, settings))
    counts = table.counts.columns
    assert counts["double"].mean == pytest.approx(2 * counts["floor area"].mean)
    assert counts["is_flat"].frequencies == {
        1.0: counts["kind"].frequencies["flat"],
        0.0: counts["kind"].frequencies["villa"],
    }
    assert HOUR in table.sample
    with pytest.raises(ContractError, match="reads 'price', an outcome"):
        read_table(replace(project, features=read_price), settings, find_explored(project, settings))


@pytest.mark.slow
@pytest.mark.parametrize("contract", [CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME, TWO_TEXTS_BY_GROUP])
def test_page_of_every_kind_of_target_names_the_feature_that_determines_it(contract: Contract, tmp_path: Path) -> None:
    settings, project = fill(tmp_path, contract, 800), project_of(contract)
    write_page(project, settings, find_explored(project, settings), tmp_path / "new" / "page.html")
    text = (tmp_path / "new" / "page.html").read_text()
    predictive = next(name for name in contract.features if contract.dtypes[name] == "float64")
    assert re.search(rf"<strong>{predictive}</strong> alone predicts the target nearly perfectly: ", text)
    assert "; not shown, as only evaluation reads it" in text
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*', text) == []


def test_only_the_features_that_say_most_are_drawn(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(page, "SHOWN_COLUMNS", 2)
    settings, project = fill(tmp_path, CLASSES_WITHOUT_TIME, 800), project_of(CLASSES_WITHOUT_TIME)
    write_page(project, settings, find_explored(project, settings), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "The 2 most related of 10." in text
    assert re.findall(r'(?:alt|aria-label)="(class|copy|schema)"', text) == ["class"]


def test_texts_and_images_are_summarized_and_not_shown(tmp_path: Path) -> None:
    contract = Contract(
        target=binary("spam", "-", negative=0, positive=1),
        key=["id"],
        columns=[
            identifier("id", "int64", "-"),
            column("weight", "float64", "-"),
            column("note", "str", "-", content="text"),
            column("scan", "str", "-", content="image", nullable=True),
        ],
    )
    settings = write_periods(tmp_path, contract, make_rows(contract, 400), PERIODS)
    for period in PERIODS:
        rows = make_rows(contract, 100)
        documents = {"note": ["secret words"] * 50 + ["few"] * 50, "scan": ["QUJD" * 1000] * 99 + [None]}
        publish(settings, contract, period, rows.assign(**documents).astype(contract.dtypes))
    project = project_of(contract)
    table = read_table(project, settings, find_explored(project, settings))
    assert (table.counts.columns["note"].low, table.counts.columns["note"].high) == (3, 12)
    assert (table.counts.columns["scan"].low, table.counts.columns["scan"].high) == (3, 3)  # kB
    write_page(project, settings, find_explored(project, settings), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "Texts and images, by length or size" in text
    assert "<strong>scan</strong> has one value only, or none" in text
    assert "secret" not in text
