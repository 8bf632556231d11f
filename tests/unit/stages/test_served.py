"""The join of served predictions with their labels, in one part and in several."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flights import FLIGHTS, Rows
from modelworks.data import partitions
from modelworks.data.partitions import Layer, Partition
from modelworks.monitoring.calibration import PerformanceAccumulator
from modelworks.monitoring.label_join import add_up_labelled, distribute, join
from modelworks.settings import Compute

KEY = FLIGHTS.contract.identity
SIZES = list(product([2, 1000], repeat=2))
"""Rows of a part, of the scores and of the clean rows."""


def put(root: Path, layer: Layer, frame: pd.DataFrame, rows_per_part: int) -> Partition:
    with partitions.new_partition(str(root), layer, "2013-05", rows_per_part) as writer:
        writer.write(frame)
        facts = {"expected": 0.5} if layer == "scores" else {}
        return writer.publish(source="here", source_sha256="s", contract_version="c", **facts)


def put_both(
    root: Path, served: pd.DataFrame, clean: pd.DataFrame, sizes: tuple[int, int]
) -> tuple[Partition, Partition]:
    """Clean rows and scores."""
    return put(root, "clean", clean, sizes[1]), put(root, "scores", served, sizes[0])


def joined(
    root: Path, served: pd.DataFrame, clean: pd.DataFrame, sizes: tuple[int, int]
) -> list[tuple[pd.Timestamp, int, float]]:
    """Time, label and probability of each row that has a label, by probability."""
    labels, scores = put_both(root, served, clean, sizes)
    buckets = distribute(FLIGHTS.contract, labels, scores, 1.0, 0.0, Compute(), f"{root}/attempt")
    assert len(buckets) == max(len(labels.parts), len(scores.parts))
    found = [
        (time, label, prediction)
        for bucket in buckets
        for frame, labels, predictions in join(bucket)
        for time, label, prediction in zip(frame["scheduled_departure"], labels, predictions, strict=True)
    ]
    return sorted(found, key=lambda row: row[2])


@pytest.mark.parametrize("sizes", SIZES)
def test_served_row_finds_the_label_of_its_key_wherever_that_stands(
    tmp_path: Path, rows: Rows, sizes: tuple[int, int]
) -> None:
    clean = rows(5, delayed=[0, 1, None, 0, 1])
    served = clean[KEY].assign(probability=[0.1, 0.2, 0.3, 0.4, 0.5]).iloc[[3, 2, 1, 0]]
    unknown = served.iloc[:1].assign(flight=2, probability=0.6)  # no clean row has this key
    times = clean["scheduled_departure"]
    found = joined(tmp_path, pd.concat([served, unknown]), clean, sizes)
    assert found == [(times[0], 0, 0.1), (times[1], 1, 0.2), (times[3], 0, 0.4)]


@pytest.mark.parametrize("sizes", SIZES)
def test_each_part_of_the_key_distinguishes_rows(tmp_path: Path, rows: Rows, sizes: tuple[int, int]) -> None:
    clean = rows(1, delayed=[1])
    served = clean[KEY].assign(probability=0.5)
    later = served["scheduled_departure"] + pd.Timedelta(minutes=1)
    changes = {"scheduled_departure": later, "carrier": "DL", "flight": 2, "origin": "EWR", "dest": "SFO"}
    others = [served.assign(**{name: value}) for name, value in changes.items()]
    assert joined(tmp_path / "own", served, clean, sizes) == [(clean["scheduled_departure"][0], 1, 0.5)]
    assert joined(tmp_path / "others", pd.concat(others), clean, sizes) == []


def test_figures_are_those_of_all_rows_however_these_are_cut(tmp_path: Path, rows: Rows) -> None:
    n_rows = 5000
    flights = np.arange(n_rows)
    one = rows(30).iloc[flights % 30].reset_index(drop=True)
    clean = one.assign(flight=flights, delayed=flights % 3 % 2)
    served = clean[KEY].assign(probability=(flights % 97 + 1) / 99).iloc[::-1]
    whole = PerformanceAccumulator(FLIGHTS.contract)
    whole.add(served, clean["delayed"].to_numpy()[::-1], served["probability"].to_numpy())
    expected = whole.by_block()
    for sizes in [(700, 10_000), (10_000, 900), (700, 900)]:
        folder = tmp_path / f"{sizes}"
        labels, scores = put_both(folder, served, clean, sizes)
        found = add_up_labelled(FLIGHTS.contract, labels, scores, 1.0, Compute(), f"{folder}/attempt").by_block()
        assert (found.blocks, found.rows, found.observed) == (expected.blocks, expected.rows, expected.observed)
        assert found.loss == pytest.approx(expected.loss, rel=1e-12)
        assert found.gain == pytest.approx(expected.gain, rel=1e-9)


def test_period_without_clean_rows_has_no_labels(tmp_path: Path, rows: Rows) -> None:
    clean = rows(2)
    assert joined(tmp_path, clean[KEY].assign(probability=0.5), clean.iloc[:0], (1, 1)) == []
