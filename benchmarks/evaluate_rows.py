"""Measure a model on so many held-out rows in 24 slices; runs in the engine's environment, a process a way.

::

    python evaluate_rows.py none ROWS RESAMPLES    only makes the rows; whoever started this reads its peak memory
    python evaluate_rows.py sums ROWS RESAMPLES    evaluates them as the engine does, by sums of each block
    python evaluate_rows.py rows ROWS RESAMPLES    weighs every row in every draw, as scikit-learn's metrics would

Prints seconds of the evaluation and the headline figures as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator

import numpy as np  # type: ignore[import-not-found]
import pandas as pd  # type: ignore[import-untyped]

from modelworks.contract import Contract, binary, column, identifier
from modelworks.evaluation import bootstrap, holdout
from modelworks.settings import Evaluation

N_SLICES, N_DAYS = 24, 31
CELLS = 20_000_000  # of draws times rows at once
CONTRACT = Contract(
    target=binary("late", "whether it was late"),
    columns=[
        column("at", "datetime64[us]", "day"),
        identifier("id", "int64", "row"),
        column("shop", "str", "shop"),
    ],
    key=["id"],
    time="at",
    slices=["shop"],
)


class RowBootstrap(bootstrap.BlockBootstrap):  # type: ignore[misc]
    """Goes through all rows in each draw, and once more for each slice."""

    def ratios_by_group(
        self, numerators: np.ndarray, denominators: np.ndarray, group_of_row: np.ndarray, n_groups: int
    ) -> Iterator[np.ndarray]:
        """Through the marked rows of each group in turn."""
        for number in range(n_groups):
            marked = (group_of_row == number).astype("float64")
            yield self.ratios(numerators * marked, denominators * marked)

    def _rank(self, target: np.ndarray, score: np.ndarray, measure: bootstrap.RankMetric) -> np.ndarray:
        order = np.argsort(-score, kind="stable")
        is_positive, block = target[order] == 1, self._block_of_row[order]
        last_of_ties = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
        at_once, found = max(CELLS // len(score), 1), []
        for start in range(0, len(self._weights), at_once):
            weights = self._weights[start : start + at_once][:, block]
            positives = np.cumsum(weights * is_positive, axis=1)[:, last_of_ties]
            found.append(measure(positives, np.cumsum(weights, axis=1)[:, last_of_ties] - positives))
        return np.concatenate(found)


def make_rows(n_rows: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Rows of days that differ, the model's probabilities and the champion's."""
    random = np.random.default_rng(0)
    day, of_day = random.integers(0, N_DAYS, n_rows), random.normal(0, 0.4, N_DAYS)
    logit = random.normal(-1.5, 1.2, n_rows)
    frame = pd.DataFrame({
        "at": pd.Timestamp("2024-01-01") + pd.to_timedelta(day, unit="D"),
        "id": np.arange(n_rows),
        "shop": pd.Series([f"shop {number:02d}" for number in range(N_SLICES)])[
            random.integers(0, N_SLICES, n_rows)
        ].reset_index(drop=True),
        "late": (random.random(n_rows) < _to_probability(logit + of_day[day])).astype("float64"),
    })
    return frame, _to_probability(logit), _to_probability(logit + random.normal(0, 0.3, n_rows))


def _to_probability(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit))


def main() -> None:
    """Do what the first word says."""
    what, n_rows, resamples = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    frame, probability, champion = make_rows(n_rows)
    if what == "none":
        return
    if what == "rows":
        holdout.BlockBootstrap = RowBootstrap  # type: ignore[attr-defined, misc, unused-ignore]
    settings = Evaluation(bootstrap_resamples=resamples)
    baseline = CONTRACT.target.fit_baseline(frame["late"].to_numpy())
    wall, cpu = time.perf_counter(), time.process_time()
    report = holdout.evaluate_holdout(CONTRACT, frame, probability, baseline, champion, settings, 0).report
    seconds = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    assert len(report.slices) == N_SLICES
    figures = {name: [each.value, each.low, each.high] for name, each in report.metrics.items()}
    print(json.dumps({**seconds, "figures": figures}))


if __name__ == "__main__":
    main()
