"""A project's own release gates stand beside the engine's, in the verdict and in what a person is asked."""

from dataclasses import replace
from pathlib import Path

import pytest

from flights import FLIGHTS
from modelworks import stages
from modelworks.checks import Check
from modelworks.errors import QualityGateError
from modelworks.evaluation.holdout import HoldoutEvaluation
from modelworks.registry.files import VERDICT_FILE, WARNINGS_FILE
from modelworks.registry.tracker import Tracker
from modelworks.settings import ENV_PREFIX, load_settings


def never_good_enough(evaluation: HoldoutEvaluation) -> Check:
    return Check("good enough", False, f"{len(evaluation.rows):,} rows, infinitely many wanted")


def never_perfect(evaluation: HoldoutEvaluation) -> Check:
    return Check("perfect", False, f"loss {evaluation.loss().value:.3f}, 0 wanted", fatal=False)


def test_gate_that_fails_refuses_the_model_and_a_warning_asks_a_person(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__APPROVAL", "on_warning")
    settings = load_settings()
    plain = replace(FLIGHTS, release_gates=[])
    clean = stages.validate(plain, settings, stages.ingest(plain, settings).dataset_uri, "run")
    run_id = stages.train(plain, settings, clean.dataset_uri, "run").run_id
    runs = Tracker(plain, settings).runs

    with pytest.raises(QualityGateError, match=r"good enough: .* rows, infinitely many wanted"):
        stages.evaluate(replace(plain, release_gates=[never_good_enough]), settings, run_id)
    assert runs.load_json(run_id, VERDICT_FILE)[-1]["name"] == "good enough"
    assert runs.tags(run_id)["verdict"] == "refused"
    with pytest.raises(QualityGateError, match="refused"):
        stages.deploy(plain, settings, run_id)

    evaluated = stages.evaluate(replace(plain, release_gates=[never_perfect]), settings, run_id)
    assert evaluated.asks_for_approval
    assert "perfect" in evaluated.about
    assert any(warning.startswith("perfect: loss ") for warning in runs.load_json(run_id, WARNINGS_FILE))
