"""Groups that differ by more than [gates.fairness] allows refuse a model, and every document shows them."""

from dataclasses import replace
from pathlib import Path

import pytest

from flights import FLIGHTS
from modelworks import stages
from modelworks.errors import QualityGateError
from modelworks.registry.files import EVALUATION_FILE, MODEL_CARD_FILE, VERDICT_FILE
from modelworks.registry.tracker import Tracker
from modelworks.settings import ENV_PREFIX, load_settings


def test_groups_that_differ_refuse_the_model_and_are_in_the_documents(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = replace(FLIGHTS, release_gates=[])
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__FAIRNESS__COLUMNS", '["carrier"]')
    monkeypatch.setenv(f"{ENV_PREFIX}EVALUATION__MIN_SLICE_ROWS", "20")
    limit = f"{ENV_PREFIX}GATES__FAIRNESS__LIMITS__SELECTION_RATE_DIFFERENCE__MAX"
    monkeypatch.setenv(limit, "0")
    strict = load_settings()
    clean = stages.validate(plain, strict, stages.ingest(plain, strict).dataset_uri, "run")
    run_id = stages.train(plain, strict, clean.dataset_uri, "run").run_id
    runs = Tracker(plain, strict).runs

    with pytest.raises(QualityGateError, match=r"selection_rate_difference by carrier: .* at most 0.000 required"):
        stages.evaluate(plain, strict, run_id)
    [failed] = [each for each in runs.load_json(run_id, VERDICT_FILE) if not each["passed"]]
    assert failed["name"] == "selection_rate_difference by carrier"

    monkeypatch.setenv(limit, "1")
    wide = load_settings()
    evaluated = stages.evaluate(plain, wide, run_id)
    assert "### By carrier" in evaluated.about
    [found] = runs.load_json(run_id, EVALUATION_FILE)["fairness"]
    names = [each["value"] for each in found["groups"]]
    assert {"AA", "B6", "DL"} <= {*names}
    assert names == sorted(names)
    difference = found["disparities"]["selection_rate_difference"]
    assert difference["low"] <= difference["value"] <= difference["high"]
    assert runs.metrics(run_id)["selection_rate_difference_by_carrier"] == pytest.approx(difference["value"])
    stages.deploy(plain, wide, run_id)
    assert "### By carrier" in runs.load_text(run_id, MODEL_CARD_FILE)
