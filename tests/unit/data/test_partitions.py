from pathlib import Path

import pandas as pd
import pytest

from modelworks.data import journal, partitions
from modelworks.data.partitions import Partition
from modelworks.errors import PartitionError


def put(root: Path, values: list[int], period: str = "2013-05", source_sha256: str = "s") -> Partition:
    with partitions.new_partition(str(root), "raw", period) as writer:
        writer.write(pd.DataFrame({"value": values}))
        return writer.publish(source="here", source_sha256=source_sha256, contract_version="c", note="kept")


def files(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_partition_is_read_as_it_was_written(tmp_path: Path) -> None:
    partition = put(tmp_path, [1, 2])
    assert partitions.read_partition(partition)["value"].tolist() == [1, 2]
    assert partitions.find_partitions(str(tmp_path), "raw", "2013-05") == [partition]
    assert (partition.rows, partition.version, partition.facts) == (2, 1, {"note": "kept"})


def test_same_rows_of_the_same_source_are_published_once(tmp_path: Path) -> None:
    assert put(tmp_path, [1]) == put(tmp_path, [1])
    assert len(partitions.find_partitions(str(tmp_path), "raw", "2013-05")) == 1


def test_same_rows_with_other_facts_are_another_version(tmp_path: Path) -> None:
    versions = []
    for labels in ("a", "b", "a"):
        with partitions.new_partition(str(tmp_path), "raw", "2013-05") as writer:
            writer.write(pd.DataFrame({"value": [1]}))
            made = writer.publish(source="here", source_sha256="s", contract_version="c", labels=labels)
            versions.append(made.version)
    assert versions == [1, 2, 1]


def test_other_rows_become_the_next_version_and_the_old_one_stays(tmp_path: Path) -> None:
    first, second = put(tmp_path, [1]), put(tmp_path, [2], source_sha256="t")
    assert second.version == 2
    assert partitions.read_partition(first)["value"].tolist() == [1]


def test_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def write_and_fail() -> None:
        with partitions.new_partition(str(tmp_path), "raw", "2013-05") as writer:
            writer.write(pd.DataFrame({"value": [1]}))
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_and_fail()
    assert files(tmp_path) == []


def test_rows_can_be_read_before_they_are_published(tmp_path: Path) -> None:
    with partitions.new_partition(str(tmp_path), "raw", "2013-05") as writer:
        writer.write(pd.DataFrame({"value": [1]}))
        writer.write(pd.DataFrame({"value": [2]}))
        assert writer.read()["value"].tolist() == [1, 2]
        assert files(tmp_path) == []
        partition = writer.publish(source="here", source_sha256="s", contract_version="c")
    assert partitions.read_partition(partition)["value"].tolist() == [1, 2]


def test_data_without_a_manifest_is_no_partition(tmp_path: Path) -> None:
    partition = put(tmp_path, [1])
    (Path(partition.uri) / "manifest.json").unlink()
    assert partitions.find_partitions(str(tmp_path), "raw", "2013-05") == []
    assert put(tmp_path, [1]).version == 1


def test_writers_that_race_for_a_version_both_succeed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create, rivals = partitions.create, [2]

    def create_second(uri: str, content: bytes) -> None:
        if rivals:
            put_rival = rivals.pop()
            put(tmp_path, [put_rival], source_sha256="rival")
        create(uri, content)

    monkeypatch.setattr(partitions, "create", create_second)
    assert put(tmp_path, [1]).version == 2
    assert [each.version for each in partitions.find_partitions(str(tmp_path), "raw", "2013-05")] == [1, 2]


def test_flipped_byte_is_found_and_named(tmp_path: Path) -> None:
    partition = put(tmp_path, [1, 2])
    file = Path(partition.files[0])
    blob = bytearray(file.read_bytes())
    blob[10] ^= 1
    file.write_bytes(blob)
    with pytest.raises(PartitionError, match=f"{file}: damaged"):
        partitions.read_partition(partition)


def test_missing_data_is_named(tmp_path: Path) -> None:
    partition = put(tmp_path, [1])
    (Path(partition.files[0])).unlink()
    with pytest.raises(PartitionError, match="missing"):
        partitions.read_partition(partition)


def test_partition_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    [batch] = partitions.read_batches(put(tmp_path, []))
    assert list(batch.columns) == ["value"]


def test_dataset_has_the_same_uri_for_the_same_partitions(tmp_path: Path) -> None:
    made = [put(tmp_path, [1]), put(tmp_path, [2, 3], period="2013-06")]
    first, second = (partitions.save_dataset(str(tmp_path), made) for _ in range(2))
    assert first == second == partitions.load_dataset(first.uri)
    assert (first.periods, first.rows) == (["2013-05", "2013-06"], 3)
    assert partitions.read_dataset(first)["value"].tolist() == [1, 2, 3]
    assert partitions.save_dataset(str(tmp_path), made[:1]).digest != first.digest


def test_storage_that_was_moved_is_read_where_it_is(tmp_path: Path) -> None:
    dataset = partitions.save_dataset(str(tmp_path / "old"), [put(tmp_path / "old", [1])])
    (tmp_path / "old").rename(tmp_path / "new")
    moved = partitions.load_dataset(dataset.uri.replace("old", "new"))
    assert partitions.read_dataset(moved)["value"].tolist() == [1]
    assert moved.digest == dataset.digest


def test_version_that_was_removed_is_named(tmp_path: Path) -> None:
    dataset = partitions.save_dataset(str(tmp_path), [put(tmp_path, [1])])
    (tmp_path / "raw" / "2013-05" / "v1" / "manifest.json").unlink()
    with pytest.raises(PartitionError, match=r"raw/2013-05/v1: missing"):
        partitions.load_dataset(dataset.uri)


def test_unknown_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(PartitionError, match=r"nothing\.json: no such dataset"):
        partitions.load_dataset(str(tmp_path / "nothing.json"))


def test_number_of_a_journal_is_taken_once(tmp_path: Path) -> None:
    journal.append_entry(str(tmp_path), "model@local", 1, {"to": "1"})
    with pytest.raises(FileExistsError):
        journal.append_entry(str(tmp_path), "model@local", 1, {"to": "2"})
    assert journal.read_entries(str(tmp_path), "model@local") == [{"to": "1"}]


def test_every_store_that_fsspec_knows_will_do(rows) -> None:
    root = "memory://storage"
    with partitions.new_partition(root, "raw", "2013-05") as writer:
        writer.write(rows(2))
        partition = writer.publish(source="here", source_sha256="s", contract_version="c")
    dataset = partitions.save_dataset(root, [partition])
    pd.testing.assert_frame_equal(partitions.read_dataset(partitions.load_dataset(dataset.uri)), rows(2))
    journal.append_entry(root, "model@local", 1, {})
    with pytest.raises(FileExistsError):
        journal.append_entry(root, "model@local", 1, {})


def test_what_only_one_may_have_stays_with_the_first(tmp_path: Path) -> None:
    assert journal.find_owner(str(tmp_path), "retraining/1") is None
    assert journal.claim(str(tmp_path), "retraining/1", "first") == "first"
    assert journal.claim(str(tmp_path), "retraining/1", "second") == "first"
    assert journal.claim(str(tmp_path), "retraining/1", "first") == "first"
    assert journal.find_owner(str(tmp_path), "retraining/1") == "first"
