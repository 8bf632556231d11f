"""A period of several parts: cut, checked and searched for duplicates, with the same result by every executor."""

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from modelworks.contract import Contract, between, binary, column, identifier, length, matches, outcome
from modelworks.data import duplicates, key_hashes, partitions, validation
from modelworks.data.execution import map_parts
from modelworks.data.leftovers import find_leftovers, remove_leftovers
from modelworks.data.partitions import Partition
from modelworks.data.parts import BATCH_ROWS, read_part, read_part_batches, to_table
from modelworks.data.splitting import RawPart, find_suspects, split_batch, split_part
from modelworks.data.validation import PeriodAccumulator
from modelworks.errors import PartitionError
from modelworks.settings import Compute

CONTRACT = Contract(
    target=binary("late", "late by more than a quarter of an hour"),
    columns=[
        column("at", "datetime64[us]", "departure"),
        identifier("flight", "int64", "number", between(1, 9999)),
        column("carrier", "str", "code", matches("[A-Z0-9]{2}$")),
        column("dest", "str", "airport", length(3, 3), nullable=True),
        column("distance", "int64", "how far", between(1, 10_000)),
        column("temp", "float64", "how warm", between(-80, 135), nullable=True),
        column("pressure", "float64", "of air", between(870, 1090)),
        outcome("delay", "float64", "minutes", between(-200, 3000)),
    ],
    key=["at", "flight", "carrier"],
    time="at",
)
PERIOD = "2013-05"
EXECUTORS = [
    Compute(),
    Compute(executor="processes", workers=1),
    Compute(executor="processes", workers=2),
    Compute(executor="processes", workers=3),
]


def dirty_rows(n: int = 2000, seed: int = 1) -> pd.DataFrame:
    """Rows that break the contract in every way, one or several at once, some of them twice."""
    random = np.random.default_rng(seed)

    def gaps(values: np.ndarray, share: float) -> np.ndarray:
        return np.where(random.random(n) < share, np.nan, values)

    frame = pd.DataFrame({
        "at": pd.Timestamp("2013-05-01") + pd.to_timedelta(random.integers(-40_000, 32 * 86_400, n), unit="s"),
        "flight": random.integers(-50, 10_050, n),
        "carrier": random.choice(["AA", "B6", "aa", None], n, p=[0.6, 0.37, 0.02, 0.01]),
        "dest": random.choice(["JFK", "X", None], n, p=[0.9, 0.02, 0.08]),
        "distance": random.integers(-50, 10_050, n),
        "temp": gaps(random.normal(60, 30, n), 0.1),
        "pressure": gaps(random.normal(1000, 35, n), 0.01),
        "delay": gaps(random.normal(5, 900, n), 0.1),
        "late": random.choice([0.0, 1.0, 2.0, np.nan], n, p=[0.6, 0.3, 0.01, 0.09]),
    }).astype({"at": "datetime64[us]", "carrier": "str", "dest": "str"})
    again = pd.concat([frame, frame.iloc[:: n // 40], frame.iloc[:5]], ignore_index=True)
    return again[list(CONTRACT.dtypes)]


def store(root: Path, frame: pd.DataFrame, rows_per_part: int, at_once: int = 170) -> Partition:
    with partitions.new_partition(str(root), "raw", PERIOD, rows_per_part) as writer:
        for start in range(0, len(frame), at_once):
            writer.write(frame.iloc[start : start + at_once])
        return writer.publish(source="here", source_sha256="s", contract_version="c")


def encode(frame: pd.DataFrame) -> pa.RecordBatch:
    """Rows as `split_part` reads them."""
    table = to_table(frame).combine_chunks()
    columns = {
        name: table[name].dictionary_encode() if CONTRACT.is_category(name) else table[name]
        for name in table.column_names
    }
    [batch] = pa.table(columns).to_batches()
    return batch


def split(root: Path, raw: Partition, compute: Compute) -> tuple[dict[str, Any], dict[str, Any], PeriodAccumulator]:
    """The clean and the quarantined partition of a raw one, without the moment when they were made, and the counts."""
    with (
        partitions.new_partition(str(root), "clean", PERIOD) as clean,
        partitions.new_partition(str(root), "quarantine", PERIOD) as quarantine,
    ):
        repeated = duplicates.find_duplicates(CONTRACT, raw, compute, clean.attempt)
        tasks = [
            RawPart(each.where, CONTRACT, PERIOD, raw.uri, each.part, rows, clean.attempt, quarantine.attempt)
            for each, rows in zip(raw.located, repeated, strict=True)
        ]
        counts = PeriodAccumulator(CONTRACT)
        for made in map_parts(split_part, tasks, compute):
            clean.add(made.clean)
            if made.quarantine:
                quarantine.add(made.quarantine)
            counts.merge(made.counts)
        origin = {"source": "raw", "source_sha256": raw.sha256, "contract_version": "c"}
        published = [each.publish(**origin).to_json() for each in (clean, quarantine)]
    one, other = ({name: value for name, value in each.items() if name != "created_at"} for each in published)
    return one, other, counts


def test_cut_depends_on_the_rows_and_not_on_how_they_came(tmp_path: Path) -> None:
    frame = dirty_rows()
    made = [store(tmp_path / str(at_once), frame, 600, at_once) for at_once in (170, 600, 5000)]
    assert [[part.rows for part in each.parts] for each in made] == [[600, 600, 600, 245]] * 3
    for each in made:
        pd.testing.assert_frame_equal(partitions.read_partition(each), frame)
        assert each.rows == len(frame)


def test_manifest_lists_each_part_and_the_digest_is_over_the_list(tmp_path: Path) -> None:
    frame = dirty_rows()
    several, one = store(tmp_path / "a", frame, 600, 600), store(tmp_path / "b", frame, 10_000)
    manifest = json.loads((Path(several.uri) / "manifest.json").read_text())
    assert [set(each) for each in manifest["parts"]] == [{"file", "rows", "bytes", "sha256"}] * 4
    assert one.sha256 == one.parts[0].sha256
    assert several.sha256 not in {part.sha256 for part in several.parts}
    swapped = store(tmp_path / "c", pd.concat([frame.iloc[600:1200], frame.iloc[:600], frame.iloc[1200:]]), 600, 600)
    assert {part.sha256 for part in swapped.parts} == {part.sha256 for part in several.parts}
    assert swapped.sha256 != several.sha256


def test_damaged_part_is_named(tmp_path: Path) -> None:
    raw = store(tmp_path, dirty_rows(), 600)
    Path(raw.files[2]).write_bytes(b"no Parquet")
    with pytest.raises(PartitionError, match=f"{raw.files[2]}: damaged"):
        partitions.read_partition(raw)


def test_columnar_checks_find_what_the_checks_of_single_rows_find(tmp_path: Path) -> None:
    frame = dirty_rows()
    repeated = validation.find_duplicates(CONTRACT, frame[CONTRACT.key])
    clean, quarantined = validation.split_rows(CONTRACT, frame, repeated, PERIOD)
    assert len(clean) > 500
    assert quarantined["reason"].str.count("; ").max() >= 2
    split = split_batch(CONTRACT, encode(frame), repeated, PERIOD)
    pd.testing.assert_frame_equal(split.kept.to_pandas().astype({"carrier": "str", "dest": "str"}), clean)
    pd.testing.assert_frame_equal(split.rejected, quarantined)
    assert not split.is_whole


def test_numbers_that_are_none_are_nulls_as_in_pandas() -> None:
    frame = dirty_rows().iloc[:4].assign(
        at=pd.to_datetime("2013-05-02").as_unit("us"), flight=[1, 2, 3, 4], carrier="AA", dest="JFK", distance=5,
        temp=60.0, pressure=1000.0, delay=1.0, late=1.0,
    )  # fmt: skip
    batch = encode(frame)
    at = batch.schema.get_field_index("temp")
    batch = batch.set_column(at, batch.schema.field(at), pa.array([1.0, float("nan"), None, 2.0]))
    split = split_batch(CONTRACT, batch, np.zeros(4, bool), PERIOD)
    assert split.rejected.empty
    assert not split.is_whole
    assert split.kept["temp"].to_pylist() == [1.0, None, None, 2.0]
    assert not find_suspects(CONTRACT, batch, PERIOD).any()


@pytest.mark.parametrize(("bad", "is_written_anew"), [(None, False), (0, True), (BATCH_ROWS + 5, True)])
def test_part_whose_rows_all_keep_the_contract_is_clean_as_it_is(
    tmp_path: Path, bad: int | None, *, is_written_anew: bool
) -> None:
    n = BATCH_ROWS + 10
    frame = pd.DataFrame({
        "at": pd.Timestamp("2013-05-01") + pd.to_timedelta(np.arange(n), unit="s"),
        "flight": 1, "carrier": "AA", "dest": "JFK", "distance": 5, "temp": 60.0, "pressure": 1000.0, "delay": 1.0,
        "late": np.arange(n) % 2.0,
    }).astype({"at": "datetime64[us]", "carrier": "str", "dest": "str"})  # fmt: skip
    if bad is not None:
        frame.loc[bad, "distance"] = -1
    raw = store(tmp_path / "raw", frame, n, n)
    [part] = raw.parts
    repeated = np.empty(0, "int64")
    made = split_part(RawPart("", CONTRACT, PERIOD, raw.uri, part, repeated, f"{tmp_path}/clean", f"{tmp_path}/bad"))
    assert (made.clean != part) == is_written_anew
    due = frame.drop(index=[] if bad is None else [bad]).reset_index(drop=True)
    pd.testing.assert_frame_equal(read_part(f"{tmp_path}/clean", made.clean).to_pandas(), due)
    assert (made.counts.rows, made.counts.quarantined) == (n, n - len(due))


def test_rows_that_nobody_asks_for_any_more_are_not_read(tmp_path: Path) -> None:
    raw = store(tmp_path, dirty_rows(), 10_000)
    before = threading.active_count()
    batches = read_part_batches(raw.uri, raw.parts[0], rows=100)
    assert len(next(batches)) == 100
    batches.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("rows_per_part", [100, 600, 10_000])
def test_duplicates_are_found_across_parts_and_the_first_row_stays(tmp_path: Path, rows_per_part: int) -> None:
    frame = dirty_rows()
    raw = store(tmp_path, frame, rows_per_part)
    found = duplicates.find_duplicates(CONTRACT, raw, Compute(), str(tmp_path / "attempt"))
    starts = np.cumsum([0, *(part.rows for part in raw.parts)])[:-1]
    rows = np.concatenate([start + each for start, each in zip(starts, found, strict=True)])
    expected = np.flatnonzero(validation.find_duplicates(CONTRACT, frame[CONTRACT.key]))
    assert len(expected) > 40
    assert rows.tolist() == expected.tolist()


def test_rows_of_one_hash_and_different_keys_are_no_duplicates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = dirty_rows(200)
    monkeypatch.setattr(key_hashes, "mix", lambda numbers: numbers % np.uint64(7))
    for rows_per_part in (50, 10_000):
        raw = store(tmp_path / str(rows_per_part), frame, rows_per_part)
        found = duplicates.find_duplicates(CONTRACT, raw, Compute(), str(tmp_path / "attempt"))
        expected = validation.find_duplicates(CONTRACT, frame[CONTRACT.key]).sum()
        assert sum(map(len, found)) == expected > 0


@pytest.mark.slow
def test_every_executor_makes_the_same_partitions_and_counts(tmp_path: Path) -> None:
    raw = store(tmp_path, dirty_rows(), 300)
    made = [split(tmp_path / str(number), raw, compute) for number, compute in enumerate(EXECUTORS)]
    clean, quarantine, counts = made[0]
    assert len(clean["parts"]) == len(quarantine["parts"]) == len(raw.parts) == 7
    for other in made[1:]:
        assert json.dumps(other[:2]) == json.dumps([clean, quarantine])
        assert json.dumps(vars(other[2].facts())) == json.dumps(vars(counts.facts()))


def test_parts_give_the_rows_and_counts_of_a_whole(tmp_path: Path) -> None:
    frame = dirty_rows()
    raws = {size: store(tmp_path / f"raw-{size}", frame, size) for size in (300, 10**6)}
    made = [split(tmp_path / str(size), raw, Compute()) for size, raw in raws.items()]
    assert made[0][2].facts() == made[1][2].facts()
    for layer in ("clean", "quarantine"):
        parts, whole = (
            partitions.read_partition(partitions.find_partitions(str(tmp_path / str(size)), layer, PERIOD)[0])
            for size in raws
        )
        pd.testing.assert_frame_equal(parts, whole)


def test_attempt_that_is_killed_leaves_nothing_a_reader_sees_and_is_removed_by_a_command(tmp_path: Path) -> None:
    raw = store(tmp_path, dirty_rows(), 600)
    killed = partitions.PartitionWriter(str(tmp_path), "raw", PERIOD, 600)
    killed.write(dirty_rows(seed=2))  # its process ends here: nothing is published and nothing discarded
    half = Path(raw.uri).parent / "v2"
    half.mkdir()
    (half / "0123456789abcdef.parquet").write_bytes(b"1234")
    assert partitions.find_partitions(str(tmp_path), "raw", PERIOD) == [raw]
    assert find_leftovers(str(tmp_path), timedelta(hours=1)) == []
    found = find_leftovers(str(tmp_path), timedelta(0))
    assert sorted(Path(each.path).parent.name.split("-")[0] for each in found) == [
        "attempt",
        "attempt",
        "attempt",
        "v2",
    ]
    assert sum(each.bytes for each in found) > 4
    remove_leftovers(str(tmp_path), found)
    assert find_leftovers(str(tmp_path), timedelta(0)) == []
    pd.testing.assert_frame_equal(partitions.read_partition(raw), dirty_rows())
    killed.discard()


def test_part_that_cannot_be_split_is_named_with_its_rows(tmp_path: Path) -> None:
    raw = store(tmp_path, dirty_rows(), 600)
    Path(raw.files[1]).unlink()
    with pytest.raises(PartitionError, match=rf"missing.*\(in {raw.files[1]}, rows 601 to 1,200\)"):
        split(tmp_path, raw, Compute(executor="processes", workers=2))
