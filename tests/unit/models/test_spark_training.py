"""What is done on Spark before the trees, which needs no Spark: counts of parts, the encoding, and the matrix."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError

from flights import FLIGHTS, PYPROJECT
from modelworks.contract import Contract
from modelworks.data import partitions, splits
from modelworks.data.partitions import Partition
from modelworks.errors import ConfigError, ContractError
from modelworks.models import pipeline, spark_training
from modelworks.models.model_type import model_types_to_tune
from modelworks.models.part_columns import PartToTrain, assign_parts, encode_parts
from modelworks.models.spark_training import Plan
from modelworks.models.types import boosting, xgboost
from modelworks.project import Project
from modelworks.settings import Model, Settings, load_settings
from tables import CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME, make_rows

pytest.importorskip("xgboost")

XGBOOST = Model(type="xgboost", parameters={"max_iter": 5, "min_samples_leaf": 5})
Configure = Callable[..., Settings]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Settings that train on Spark, with others of [training]."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (tmp_path / "pipeline.toml").write_text('[source]\nfirst = "2024-01"\n', encoding="utf-8")

    def make(spark_url: str = "local[2]", model: Model = XGBOOST, **training: Any) -> Settings:
        settings = load_settings(tmp_path)
        return settings.model_copy(
            update={
                "model": model,
                "training": settings.training.model_copy(update={"spark_workers": 2, "max_rows": 50} | training),
                "compute": settings.compute.model_copy(update={"spark_url": spark_url}),
            }
        )

    return make


def project_of(contract: Contract) -> Project:
    return Project(contract, {"xgboost": xgboost.MODEL_TYPE, "boosting": boosting.MODEL_TYPE})


def store(folder: Path, periods: list[pd.DataFrame], rows_per_part: int) -> list[Partition]:
    """Periods of clean rows, cut into parts."""
    stored = []
    for number, rows in enumerate(periods, 1):
        with partitions.new_partition(str(folder), "clean", f"2024-{number:02d}", rows_per_part) as writer:
            writer.write(rows)
            stored.append(writer.publish(source="", source_sha256="", contract_version=""))
    return stored


def make_plan(project: Project, settings: Settings, periods: list[Partition], sample: pd.DataFrame, **how: Any) -> Plan:
    """A plan of all rows, or of those that are not held out."""
    return spark_training.plan(project, settings, settings.model, sample, periods, **{"held_out": None} | how)


def matrix_of(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """The rows and labels of all workers."""
    table = pa.Table.from_batches([batch for task in plan.tasks for batch in encode_parts(task)])
    return np.stack(table["features"].to_numpy()), table["label"].to_numpy()


def tables() -> dict[str, tuple[Project, pd.DataFrame]]:
    of_classes = make_rows(CLASSES_WITHOUT_TIME, 300)
    rare = of_classes.assign(**{"a.b, c": of_classes["a.b, c"].mask(of_classes.index == 299, "grün")})
    return {
        "classes": (project_of(CLASSES_WITHOUT_TIME), rare),
        "numbers": (project_of(NUMBER_WITH_TIME), make_rows(NUMBER_WITH_TIME, 300)),
    }


@pytest.mark.parametrize("name", ["classes", "numbers"])
@pytest.mark.parametrize("rows_per_part", [1000, 90, 31])
def test_encoding_of_parts_is_that_of_one_process_with_all_rows(
    name: str, rows_per_part: int, configure: Configure, tmp_path: Path
) -> None:
    """The sample has neither all categories nor all times; the pipeline has them."""
    project, rows = tables()[name]
    periods = store(tmp_path, [rows[:120], rows[120:]], rows_per_part)
    plan = make_plan(project, configure(spark_workers=1), periods, rows[:50])
    whole = pipeline.fit(project, rows, configure().training, XGBOOST)
    encoder = pipeline.find_column_encoder(whole)
    assert encoder is not None
    assert plan.encoder.get_params() == encoder.get_params()
    assert plan.encoder.codes_ == encoder.codes_
    assert plan.features == pipeline.used_features(whole)
    matrix, labels = matrix_of(plan)
    np.testing.assert_array_equal(matrix, encoder.transform(rows[plan.features]).astype("float32"))
    np.testing.assert_array_equal(labels, project.contract.target.encode(rows[project.contract.target.column]))
    assert (plan.counts.rows, plan.counts.unlabelled) == (300, 0)


def test_derived_features_are_those_of_one_process(configure: Configure, tmp_path: Path, rows: Any) -> None:
    project = replace(FLIGHTS, model_types=project_of(FLIGHTS.contract).model_types)
    frame = rows(200, carrier=["AA", "B6"] * 100, dest=["LAX"] * 199 + ["BOS"], recent_delay=np.arange(200.0))
    periods = store(tmp_path, [frame[:80], frame[80:]], 33)
    plan = make_plan(project, configure(spark_workers=1), periods, frame[:40])
    whole = pipeline.fit(project, frame, configure().training, XGBOOST)
    assert plan.features == pipeline.used_features(whole)
    assert plan.encoder.codes_ == pipeline.find_column_encoder(whole).codes_  # type: ignore[union-attr]
    np.testing.assert_array_equal(matrix_of(plan)[0], whole[:-1].transform(frame).astype("float32"))


def test_rows_without_label_and_held_out_rows_are_left_out(configure: Configure, tmp_path: Path) -> None:
    contract, settings = CLASSES_WITHOUT_TIME, configure()
    rows = make_rows(contract, 300)
    known = rows.assign(**{contract.target.column: rows[contract.target.column].mask(rows.index % 10 == 0)})
    plan = make_plan(project_of(contract), settings, store(tmp_path, [known], 40), rows[:50], held_out=False)
    is_trained = ~splits.is_held_out(contract, rows, 0.2)
    is_known = known[contract.target.column].notna()
    assert plan.counts.rows == (is_trained & is_known).sum() == len(matrix_of(plan)[0])
    assert plan.counts.unlabelled == (is_trained & ~is_known).sum()


def test_classes_without_rows_leave_no_gap_in_the_labels(configure: Configure, tmp_path: Path) -> None:
    contract = CLASSES_WITHOUT_TIME
    rows = make_rows(contract, 300)
    two = rows[rows[contract.target.column] != contract.target.classes[1]].reset_index(drop=True)
    plan = make_plan(project_of(contract), configure(), store(tmp_path, [two], 40), two[:50])
    assert plan.tasks[0].classes.tolist() == [0, 2]
    assert np.unique(matrix_of(plan)[1]).tolist() == [0, 1]


def test_one_class_is_refused_as_in_one_process(configure: Configure, tmp_path: Path) -> None:
    contract = CLASSES_WITHOUT_TIME
    rows = make_rows(contract, 60).assign(**{contract.target.column: contract.target.classes[0]})
    with pytest.raises(ContractError, match=r"only \['se tosa'\] in 60 rows of training data"):
        make_plan(project_of(contract), configure(), store(tmp_path, [rows], 40), rows)


def test_features_are_selected_by_the_sample(configure: Configure, tmp_path: Path) -> None:
    project, rows = tables()["classes"]
    settings = configure(model=XGBOOST.model_copy(update={"selected_fraction": 0.3}))
    plan = make_plan(project, settings, store(tmp_path, [rows], 90), rows[:100])
    whole = pipeline.fit(project, rows[:100], settings.training, settings.model)
    assert plan.features == pipeline.used_features(whole)


@pytest.mark.parametrize(
    ("rows", "n_workers", "expected"),
    [
        ([10, 10, 10, 10], 2, [[0, 2], [1, 3]]),
        ([100, 10, 20, 30], 2, [[0], [1, 2, 3]]),
        ([5, 0, 7], 4, [[2], [0]]),
        ([8], 3, [[0]]),
    ],
)
def test_workers_get_about_as_many_rows_each_and_never_none(
    rows: list[int], n_workers: int, expected: list[list[int]]
) -> None:
    parts: list[Any] = [f"part {at}" for at in range(len(rows))]
    of_workers: list[list[PartToTrain]] = [[parts[at] for at in each] for each in expected]
    assert assign_parts(parts, rows, n_workers) == of_workers


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            {"spark_url": "sc://spark.example.com"},
            r"\[training\] spark_workers = 2: XGBoost cannot train over Spark Connect, and \[compute\] spark_url is "
            r"sc://spark.example.com:15002; set spark_url to a master \(spark://",
        ),
        ({"model": Model(type="boosting")}, "type = 'boosting' is trained in one process; .* one of: xgboost"),
        ({"model": XGBOOST.model_copy(update={"encoding": "target"})}, "encoding = 'target' is fitted in one process"),
        ({"model": XGBOOST.model_copy(update={"imputation": "mean"})}, "imputation = 'mean' is fitted in one process"),
    ],
)
def test_what_cannot_be_trained_on_spark_is_refused(how: dict[str, Any], message: str, configure: Configure) -> None:
    with pytest.raises(ConfigError, match=message):
        spark_training.check_settings(project_of(NUMBER_WITH_TIME), configure(**how))


def test_settings_that_can_be_trained_on_spark_are_accepted(configure: Configure) -> None:
    spark_training.check_settings(project_of(NUMBER_WITH_TIME), configure())
    spark_training.check_settings(FLIGHTS, configure(spark_workers=0, spark_url="", model=Model(type="boosting")))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"compute": {}}, r'\[training\] spark_workers = 2 wants \[compute\] executor = "spark"'),
        ({"training": {"max_rows": 0}}, r"spark_workers = 2 wants \[training\] max_rows"),
    ],
)
def test_settings_that_belong_together_are_asked_for(
    settings: dict[str, Any], message: str, configure: Configure, tmp_path: Path
) -> None:
    configure()
    given = {
        "training": {"spark_workers": 2, "max_rows": 50},
        "compute": {"executor": "spark", "spark_url": "local[2]"},
    }
    assert Settings(home=tmp_path, name="flight-delays", **given).training.spark_workers == 2
    merged = given | {key: {**given[key], **values} if values else {} for key, values in settings.items()}
    with pytest.raises(ValidationError, match=message):
        Settings(home=tmp_path, name="flight-delays", **merged)


def test_tuning_tries_what_spark_can_train(configure: Configure) -> None:
    project, settings = project_of(NUMBER_WITH_TIME), configure()
    assert model_types_to_tune(project, settings, 5) == ["xgboost"]
    named = settings.model_copy(update={"tuning": settings.tuning.model_copy(update={"model_types": ["boosting"]})})
    with pytest.raises(ConfigError, match=r"'boosting' is trained in one process, and .*spark_workers = 2"):
        model_types_to_tune(project, named, 5)
    restricted = spark_training.restrict_to_spark(xgboost.MODEL_TYPE)
    assert (restricted.encodings, restricted.imputations) == (("native",), ("native",))
    assert not any("encoding" in point for point in restricted.initial_points)
    assert restricted.initial_points
    assert replace(restricted, encodings=("native", "target")).title == xgboost.MODEL_TYPE.title
