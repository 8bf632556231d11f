"""Scores and counts of parts: those of a whole period, by every executor."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from modelworks.contract import Contract, binary, column, identifier
from modelworks.data import partitions
from modelworks.data.execution import map_parts
from modelworks.data.partitions import Partition
from modelworks.data.shipping import Shipped, receive, ship
from modelworks.errors import PartitionError
from modelworks.models.part_scores import PartToScore, score_part
from modelworks.monitoring.binning import Binning
from modelworks.monitoring.counting import PartToCount, count_part
from modelworks.monitoring.drift import BinCounts
from modelworks.project import Project
from modelworks.settings import Compute

CONTRACT = Contract(
    target=binary("late", "late"),
    columns=[identifier("id", "int64", "number"), column("x", "float64", "any")],
    key=["id"],
)
PROJECT = Project(contract=CONTRACT, model_types={})
EXECUTORS = [Compute(), Compute(executor="processes", workers=1), Compute(executor="processes", workers=2)]


@pytest.fixture(scope="module")
def model() -> Pipeline:
    random = np.random.default_rng(1)
    frame = pd.DataFrame({"x": random.normal(size=200)})
    fitted: Pipeline = make_pipeline(FunctionTransformer(), LogisticRegression())
    return fitted.fit(frame, frame["x"] + random.normal(size=200) > 0)


def store(root: Path, rows_per_part: int) -> Partition:
    random = np.random.default_rng(2)
    frame = pd.DataFrame({"id": range(1000), "x": random.normal(size=1000), "late": 0.0})
    with partitions.new_partition(str(root), "clean", "2024-01", rows_per_part) as writer:
        writer.write(frame[list(CONTRACT.dtypes)])
        return writer.publish(source="s", source_sha256="s", contract_version="c")


def score_and_count(root: Path, clean: Partition, model: Pipeline, compute: Compute) -> tuple[str, str, str]:
    """The manifest of the scores, what was added up, and the profile."""
    with partitions.new_partition(str(root), "scores", "2024-01") as writer:
        shipped = ship((PROJECT, model), writer.attempt, compute, len(clean.parts))
        to_score = [
            PartToScore(each.where, shipped, "2024-01", clean.uri, each.part, "7", 0.5, 1, writer.attempt)
            for each in clean.located
        ]
        made = map_parts(score_part, to_score, compute)
        for each in made:
            writer.add(each.part)
        binning = Binning(edges={"x": [-1.0, 0.0, 1.0], "prediction": [0.25, 0.5, 0.75]}, categories={})
        to_count = [
            PartToCount(each.where, shipped, binning, "2024-01", clean.uri, each.part, to_score=scored)
            for each, task in zip(clean.located, to_score, strict=True)
            for scored in (None, task)
        ]
        counts = BinCounts(CONTRACT, binning)
        for counted in map_parts(count_part, to_count, compute):
            counts.merge(counted)
        scores = writer.publish(source="s", source_sha256="s", contract_version="c").to_json()
    added = [[each.expected, each.decisions] for each in made]
    return (
        json.dumps({name: value for name, value in scores.items() if name != "created_at"}),
        json.dumps(added),
        json.dumps(counts.profile().to_json()),
    )


@pytest.mark.slow
def test_scores_sums_and_counts_are_the_same_by_every_executor(tmp_path: Path, model: Pipeline) -> None:
    clean = store(tmp_path, 300)
    found = {score_and_count(tmp_path / str(at), clean, model, each) for at, each in enumerate(EXECUTORS)}
    assert len(found) == 1
    assert len(json.loads(found.pop()[0])["parts"]) == 4


def test_parts_count_as_the_whole_does(tmp_path: Path, model: Pipeline) -> None:
    parts, whole = (
        score_and_count(tmp_path / str(size), store(tmp_path / f"clean-{size}", size), model, Compute())
        for size in (300, 10**6)
    )
    assert parts[2] == whole[2]
    assert sum(map(sum, json.loads(whole[2])["counts"]["prediction"])) == 1000


def test_object_that_was_changed_on_its_way_is_not_loaded(tmp_path: Path) -> None:
    shipped = ship({"a": 1}, str(tmp_path), EXECUTORS[2], 2)
    assert receive(shipped) == {"a": 1}
    with pytest.raises(PartitionError, match="changed since this run wrote it"):
        receive(Shipped(shipped.uri, "0" * 64))
