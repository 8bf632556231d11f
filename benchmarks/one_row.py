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

from flight_delays import releases, schema, tracking, training  # type: ignore[import-not-found]
from flight_delays.config import load_settings  # type: ignore[import-not-found]
from flight_delays.serving.api import predict_rows  # type: ignore[import-not-found]
from flight_delays.serving.payload import RequestReader  # type: ignore[import-not-found]


def main() -> None:
    """Measure each part for each number of rows."""
    settings = load_settings()
    tracker = tracking.Tracker(settings)
    champion = tracker.find_alias(tracking.CHAMPION)
    assert champion, "release a model first"
    model = training.skip_needless_encoding(releases.load_version(tracker, champion))
    features = list(model.feature_names_in_)
    reader = RequestReader(100_000)
    found = {}
    with training.limit_threads(settings.training):
        for count in map(int, sys.argv[1:]):
            body = json.dumps([schema.EXAMPLE] * count).encode()
            rows, _ = reader.read(body)
            frame = schema.to_frame(rows, features)
            matrix = model[:-1].transform(frame)
            parts: dict[str, Callable[[], object]] = {
                "read and check the JSON": partial(reader.read, body),
                "make the frame": partial(schema.to_frame, rows, features),
                "features": partial(model[:-1].transform, frame),
                "estimator": partial(model[-1].predict_proba, matrix),
                "frame to probability, all in all": partial(predict_rows, model, rows),
            }
            found[count] = {name: _milliseconds(part) for name, part in parts.items()}
    print(json.dumps(found))


def _milliseconds(part: Callable[[], object]) -> float:
    walls = []
    for _ in range(60):
        started = perf_counter()
        part()
        walls.append(perf_counter() - started)
    return median(walls[10:]) * 1000


if __name__ == "__main__":
    main()
