from pathlib import Path

import numpy as np
import pandas as pd

from flights import FLIGHTS, Rows
from modelworks.data import partitions
from modelworks.data.partitions import Layer, Partition
from modelworks.stages.served import join_labels

KEY = FLIGHTS.contract.identity


def put(root: Path, layer: Layer, frame: pd.DataFrame) -> Partition:
    with partitions.new_partition(str(root), layer, "2013-05") as writer:
        writer.write(frame)
        return writer.publish(source="here", source_sha256="s", contract_version="c")


def joined(root: Path, served: pd.DataFrame, clean: pd.DataFrame) -> list[tuple[pd.Timestamp, int, float]]:
    """Time, label and probability of each row that has a label."""
    batches = list(join_labels(FLIGHTS.contract, put(root, "scores", served), put(root, "clean", clean)))
    return [
        (time, label, prediction)
        for frame, labels, predictions in batches
        for time, label, prediction in zip(frame["scheduled_departure"], labels, predictions, strict=True)
    ]


def test_served_row_finds_the_label_of_its_key_wherever_that_stands(tmp_path: Path, rows: Rows) -> None:
    clean = rows(5, delayed=[0, 1, None, 0, 1])
    served = clean[KEY].assign(probability=[0.1, 0.2, 0.3, 0.4, 0.5]).iloc[[3, 2, 1, 0]]
    unknown = served.iloc[:1].assign(flight=2, probability=0.6)  # no clean row has this key
    times = clean["scheduled_departure"]
    found = joined(tmp_path, pd.concat([served, unknown]), clean)
    assert found == [(times[3], 0, 0.4), (times[1], 1, 0.2), (times[0], 0, 0.1)]


def test_each_part_of_the_key_distinguishes_rows(tmp_path: Path, rows: Rows) -> None:
    clean = rows(1, delayed=[1])
    served = clean[KEY].assign(probability=0.5)
    later = served["scheduled_departure"] + pd.Timedelta(minutes=1)
    changes = {"scheduled_departure": later, "carrier": "DL", "flight": 2, "origin": "EWR", "dest": "SFO"}
    others = [served.assign(**{name: value}) for name, value in changes.items()]
    assert joined(tmp_path / "own", served, clean) == [(clean["scheduled_departure"][0], 1, 0.5)]
    assert joined(tmp_path / "others", pd.concat(others), clean) == []


def test_period_of_more_rows_than_one_batch_is_joined_in_full(tmp_path: Path, rows: Rows) -> None:
    n_rows = partitions.BATCH_ROWS + 10
    flights = np.arange(n_rows)
    clean = rows(1).iloc[np.zeros(n_rows, int)].reset_index(drop=True).assign(flight=flights, delayed=flights % 3 % 2)
    served = clean[KEY].assign(probability=flights / n_rows).iloc[::-1]
    batches = join_labels(FLIGHTS.contract, put(tmp_path, "scores", served), put(tmp_path, "clean", clean))
    _, labels, predictions = zip(*batches, strict=True)
    assert len(labels) > 1
    np.testing.assert_array_equal(np.concatenate(labels), flights[::-1] % 3 % 2)
    np.testing.assert_array_equal(np.concatenate(predictions), flights[::-1] / n_rows)


def test_period_without_clean_rows_has_no_labels(tmp_path: Path, rows: Rows) -> None:
    clean = rows(2)
    assert joined(tmp_path, clean[KEY].assign(probability=0.5), clean.iloc[:0]) == []
