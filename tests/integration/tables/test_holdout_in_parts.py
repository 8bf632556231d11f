"""Held-out rows that are predicted part by part, by any executor, are measured as if they were all in memory."""

import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from modelworks.contract import Contract
from modelworks.data import partitions
from modelworks.data.partitions import Dataset
from modelworks.errors import ContractError, QualityGateError
from modelworks.evaluation.holdout import evaluate_holdout
from modelworks.models import pipeline
from modelworks.monitoring import calibration
from modelworks.project import Project
from modelworks.settings import Model, Settings, Training
from modelworks.stages.held_out import predict_held_out, read_held_out
from modelworks.stages.rows import read_rows
from tables import CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME, TWO_TEXTS_BY_GROUP, make_rows, project_of, settings_of

SMALL = Model(parameters={"max_iter": 30, "min_samples_leaf": 5})
MODELS = {
    "boosting": SMALL,
    "linear": Model(type="linear"),
    "of 32 bits": Model(type="xgboost"),
}
EXECUTORS = [{"executor": "local"}, {"executor": "processes", "workers": 2}]
KINDS = pytest.mark.parametrize(
    "contract", [CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME, TWO_TEXTS_BY_GROUP], ids=["classes", "numbers", "groups"]
)


def hold_out(home: Path, contract: Contract, rows: pd.DataFrame, **sections: Any) -> tuple[Settings, Dataset]:
    """Two periods in parts of 100 rows, as they are held out, every ninth row without a label."""
    settings = settings_of(home, evaluation={"bootstrap_resamples": 100}, **sections)
    target = contract.target.column
    rows = rows.assign(**{target: rows[target].mask(np.arange(len(rows)) % 9 == 0)})
    made = []
    for period, at in (("2024-01", rows[: len(rows) // 2]), ("2024-02", rows[len(rows) // 2 :])):
        with partitions.new_partition(settings.storage_uri, "clean", period, 100) as writer:
            writer.write(at)
            made.append(writer.publish(source="", source_sha256="", contract_version=contract.version))
    assert min(len(each.parts) for each in made) > 2
    return settings, partitions.save_dataset(settings.storage_uri, made)


def measure(
    project: Project, settings: Settings, rows: pd.DataFrame, candidate: np.ndarray, champion: np.ndarray
) -> str:
    """All metrics, slices, fairness and sums by block, with every digit."""
    contract = project.contract
    baseline = contract.target.fit_baseline(contract.target.encode(rows[contract.target.column]))
    fairness = settings.gates.fairness.columns
    found = evaluate_holdout(
        contract, rows, candidate, baseline, champion, settings.evaluation, 0, fairness_columns=fairness
    )
    by_block = calibration.accumulate(contract, [(rows, found.target, candidate)], baseline.scale)
    return json.dumps([asdict(found.report), asdict(by_block)], default=str)


@KINDS
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_metrics_are_those_of_rows_in_memory_by_every_executor(
    tmp_path: Path, contract: Contract, model: Model
) -> None:
    project, rows = project_of(contract), make_rows(contract, 900)
    fairness = {"columns": [name for name in ("kind", "größe", "patient") if name in contract.dtypes]}
    settings, holdout = hold_out(tmp_path, contract, rows, gates={"fairness": fairness})
    candidate = pipeline.fit(project, rows[:300], Training(threads=1), model)
    champion = pipeline.fit(project, rows[300:600], Training(threads=1), SMALL)
    whole, unlabelled = read_rows(project, settings, holdout, held_out=True)
    assert unlabelled
    predictions = [pipeline.predict(project, each, whole) for each in (candidate, champion)]
    found = []
    for compute in EXECUTORS:
        by = settings.model_copy(update={"compute": settings.compute.model_copy(update=compute)})
        predicted = predict_held_out(project, by, holdout, candidate, (champion, "1"))
        assert predicted.unlabelled == unlabelled
        for each, expected in zip((predicted.candidate, predicted.champion), predictions, strict=True):
            assert each is not None
            assert each.dtype == expected.dtype
            # A sum of products of a matrix and a vector may depend on how many rows the matrix has.
            np.testing.assert_allclose(each, expected, rtol=1e-12 if model.type == "linear" else 0, atol=0)
        assert predicted.champion is not None
        found.append(measure(project, settings, predicted.rows, predicted.candidate, predicted.champion))
    assert found[0] == found[1]
    if model.type != "linear":
        # A class is contiguous in memory, as boosting has it; sums over classes depend on that in their last digits.
        assert found[0] == measure(project, settings, whole, *map(np.asfortranarray, predictions))


@KINDS
@pytest.mark.parametrize("compute", EXECUTORS, ids=["local", "processes"])
def test_rows_are_read_again_whole_or_in_part(tmp_path: Path, contract: Contract, compute: dict[str, Any]) -> None:
    """Of 900 rows, half are sampled; a gate and the plots read them in another order."""
    project = project_of(contract)
    settings, holdout = hold_out(
        tmp_path, contract, make_rows(contract, 900), training={"max_rows": 450}, compute=compute
    )
    model = pipeline.fit(project, make_rows(contract, 200), Training(threads=1), SMALL)
    predicted = predict_held_out(project, settings, holdout, model, None)
    whole, _ = read_rows(project, settings, holdout, held_out=True)
    assert 0 < sum(predicted.part_rows) == len(whole) < 600
    name = contract.key[0]
    at = np.random.default_rng(0).permutation(len(whole))[:50]
    read = [project, settings, holdout, predicted.part_rows]
    pd.testing.assert_frame_equal(read_held_out(*read, None, None), whole[list(contract.dtypes)])
    pd.testing.assert_frame_equal(read_held_out(*read, [name], None), whole[[name]])
    pd.testing.assert_frame_equal(read_held_out(*read, [name], at), whole[[name]].iloc[at], check_index_type=False)


@dataclass
class Unlucky:
    """A model with a first prediction that does not end well."""

    model: Pipeline
    mark: Path
    is_deadly: bool

    @property
    def feature_names_in_(self) -> np.ndarray:
        return self.model.feature_names_in_

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        if not self.mark.exists():
            self.mark.touch()
            if not self.is_deadly:
                raise ContractError("no such house")
            os.kill(os.getpid(), signal.SIGKILL)
        return self.model.predict(frame)


def test_killed_worker_is_replaced_and_its_part_predicted_again(tmp_path: Path) -> None:
    project, rows = project_of(NUMBER_WITH_TIME), make_rows(NUMBER_WITH_TIME, 900)
    settings, holdout = hold_out(tmp_path, NUMBER_WITH_TIME, rows, compute=EXECUTORS[1])
    model = pipeline.fit(project, rows[:300], Training(threads=1), SMALL)
    whole, _ = read_rows(project, settings, holdout, held_out=True)
    unlucky = Unlucky(model, tmp_path / "died", is_deadly=True)
    predicted = predict_held_out(project, settings, holdout, model, (unlucky, "1"))
    assert unlucky.mark.exists()
    assert predicted.champion is not None
    np.testing.assert_array_equal(predicted.champion, pipeline.predict(project, model, whole))
    assert not list(Path(settings.storage_uri).rglob("attempt-*"))


@pytest.mark.parametrize("compute", EXECUTORS, ids=["local", "processes"])
def test_champion_that_cannot_predict_a_part_refuses_the_candidate(tmp_path: Path, compute: dict[str, Any]) -> None:
    project, rows = project_of(NUMBER_WITH_TIME), make_rows(NUMBER_WITH_TIME, 900)
    settings, holdout = hold_out(tmp_path, NUMBER_WITH_TIME, rows, compute=compute)
    model = pipeline.fit(project, rows[:300], Training(threads=1), SMALL)
    champion = Unlucky(model, tmp_path / "failed", is_deadly=False)
    with pytest.raises(QualityGateError, match=r"^the champion, version 7, cannot be compared with: no such house"):
        predict_held_out(project, settings, holdout, model, (champion, "7"))
