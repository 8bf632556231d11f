"""Where the time of a prediction goes, in milliseconds; run in the project's environment, prints JSON.

::

    .venv/bin/python one_row.py 1 64 1000
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter

import numpy as np  # type: ignore[import-not-found]

from modelworks.data import frames
from modelworks.models import pipeline
from modelworks.models.fast import make_predictor
from modelworks.project import load_project
from modelworks.registry import ledger
from modelworks.registry.files import SAMPLE_FILE
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHAMPION
from modelworks.serving.payload import AnswerWriter, RequestReader
from modelworks.settings import load_settings


def main() -> None:
    """Measure each part for each number of rows."""
    settings = load_settings()
    project = load_project(settings.home)
    contract = project.contract
    tracker = Tracker(project, settings)
    champion = tracker.versions.find_alias(CHAMPION)
    assert champion, "release a model first"
    model = pipeline.skip_needless_encoding(ledger.load_version(project, tracker, champion))
    predictor = make_predictor(project, model, tracker.runs.load_json(champion.run_id, SAMPLE_FILE)["rows"])
    features = list(model.feature_names_in_)
    reader = RequestReader(contract, 100_000)
    writer = AnswerWriter(contract.target, settings.evaluation.decision_threshold)
    found = {}
    with pipeline.limit_threads(settings.training):
        for count in map(int, sys.argv[1:]):
            body = json.dumps([contract.example] * count).encode()
            rows, _ = reader.read_columns(body)
            frame = frames.from_columns(contract, rows, features)
            matrix = model[:-1].transform(frame)
            prediction = predictor.predict(rows)
            parts: dict[str, Callable[[], object]] = {
                "read and check the JSON": partial(reader.read_columns, body),
                "pandas: make the frame": partial(frames.from_columns, contract, rows, features),
                "pandas: features": partial(model[:-1].transform, frame),
                "estimator": partial(model[-1].predict_proba, matrix),
                "rows to matrix": partial(predictor.to_matrix, rows),
                "trees": partial(predictor.predict_matrix, matrix, count),
                "rows to probability, all in all": partial(predictor.predict, rows),
                "decide and write the JSON": partial(_answer, writer, prediction),
            }
            found[count] = {name: _milliseconds(part) for name, part in parts.items()}
    print(json.dumps(found))


def _answer(writer: AnswerWriter, prediction: np.ndarray) -> bytes:
    answer: bytes = writer.write("id", "1", prediction, writer.decide(prediction))
    return answer


def _milliseconds(part: Callable[[], object]) -> float:
    walls = []
    for _ in range(60):
        started = perf_counter()
        part()
        walls.append(perf_counter() - started)
    return median(walls[10:]) * 1000


if __name__ == "__main__":
    main()
