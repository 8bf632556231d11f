"""A share of the requests, predicted by the challenger in a process of its own, which never answers.

The queue is bounded and never awaited: what finds it full is dropped and counted. The process has its own Python, so it
takes neither the event loop's time nor its lock, and writes both predictions to the layer `shadow` of the storage.
"""

import logging
import multiprocessing
import os
import queue
import signal
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.sharedctypes import SynchronizedArray
from typing import Any

import numpy as np
import pyarrow as pa

from modelworks.contract import Contract
from modelworks.data import answers
from modelworks.data.columnar import Columns
from modelworks.project import load_project
from modelworks.registry.rollouts import RolloutStep
from modelworks.serving.choice import is_chosen
from modelworks.settings import Settings

logger = logging.getLogger(__name__)

MAX_WAITING = 1000
"""Requests in the queue."""
FLUSH_S = 5.0
ROWS, DROPPED, ERRORS = range(3)


@dataclass(frozen=True)
class Offered:
    """One request as the champion answered it."""

    request_id: str
    at: datetime
    rows: Columns
    prediction: np.ndarray
    seconds: float


class Shadow:
    """The queue and the process, for as long as a rollout is in the shadow and `[rollout] shadow_share` is above 0."""

    def __init__(self, settings: Settings, max_waiting: int = MAX_WAITING) -> None:
        self._settings = settings
        self._max_waiting = max_waiting
        self._version: str | None = None
        self._queue: Any = None
        self._process: Any = None
        self._counts: SynchronizedArray[int] | None = None
        self._dropped = 0
        self._before = (0, 0)

    def follow(self, step: RolloutStep | None) -> None:
        """Start or stop the process as the step in force says; one that has died is started again."""
        share = self._settings.rollout.shadow_share
        wanted = step.version if step and step.share == 0 and share > 0 else None
        if wanted == self._version and (wanted is None or self._process.is_alive()):
            return
        if self._process and wanted == self._version:
            logger.error("the process of the shadow has died, with status %s", self._process.exitcode)
        self.stop()
        if wanted:
            self._start(wanted)

    def _start(self, version: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._counts = context.Array("Q", 3)
        waiting = context.Queue(self._max_waiting)
        waiting.cancel_join_thread()
        self._process = context.Process(
            target=predict_offered, args=(self._settings, version, waiting, self._counts), name="shadow", daemon=True
        )
        self._process.start()
        self._version, self._queue = version, waiting
        logger.info("challenger %s is in the shadow, in process %s", version, self._process.pid)

    def offer(self, request_id: str, rows: Columns, prediction: np.ndarray, seconds: float) -> None:
        """Hand a request over if it is one of the share and there is room; never waits."""
        waiting, version = self._queue, self._version
        if waiting is None or not is_chosen(request_id, version or "", self._settings.rollout.shadow_share):
            return
        try:
            waiting.put_nowait(Offered(request_id, datetime.now(UTC), rows, np.asarray(prediction), seconds))
        except (queue.Full, ValueError):  # ValueError: it was closed meanwhile
            self._dropped += len(rows)

    def counts(self) -> tuple[int, int, int]:
        """Rows that were predicted, dropped, and could not be predicted."""
        counts = self._counts
        rows, errors = (counts[ROWS], counts[ERRORS]) if counts else (0, 0)
        return rows + self._before[0], self._dropped, errors + self._before[1]

    def stop(self) -> None:
        """End the process; what waits is dropped."""
        process, waiting = self._process, self._queue
        self._queue = self._version = None
        if process is None:
            return
        with suppress(queue.Full, ValueError):
            waiting.put_nowait(None)
        process.join(timeout=2)
        if process.is_alive():
            process.terminate()
            process.join(timeout=5)
        waiting.close()
        rows, _, errors = self.counts()
        self._before, self._counts, self._process = (rows, errors), None, None


def predict_offered(settings: Settings, version: str, waiting: Any, counts: Any) -> None:
    """Predict what comes by the queue until None comes or the parent is gone; the process's main function."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent says when to end
    with suppress(OSError):
        os.nice(5)
    # Here: their imports take seconds, and the parent needs none of them.
    from modelworks.registry.tracker import Tracker
    from modelworks.serving.challenger import load_version

    parent, project = os.getppid(), load_project(settings.home)
    served = load_version(project, Tracker(project, settings), version)
    pairs: list[tuple[Offered, np.ndarray, float]] = []
    written_at, is_last = time.monotonic(), False
    while not is_last:
        with suppress(queue.Empty):
            offered = waiting.get(timeout=0.5)
            is_last = offered is None
            if offered:
                started = time.perf_counter()
                try:
                    prediction = served.predictor.predict(offered.rows)
                    if not np.isfinite(prediction).all():
                        raise ValueError("a prediction is not finite")
                except Exception as error:
                    counts[ERRORS] += len(offered.rows)
                    logger.warning("challenger %s: %s: %s", version, type(error).__name__, error)
                else:
                    pairs.append((offered, prediction, time.perf_counter() - started))
                    counts[ROWS] += len(offered.rows)
        is_last = is_last or os.getppid() != parent
        if pairs and (is_last or time.monotonic() - written_at >= FLUSH_S):
            _write(settings, project.contract, version, pairs)
            pairs, written_at = [], time.monotonic()


def _write(
    settings: Settings, contract: Contract, version: str, pairs: list[tuple[Offered, np.ndarray, float]]
) -> None:
    at = pairs[0][0].at
    try:
        table = to_table(contract, settings.evaluation.decision_threshold, version, pairs)
        name = f"{at:%H%M%S}-{uuid.uuid4().hex}"
        answers.save_predictions(settings.storage_uri, f"{at:%Y-%m-%d}", name, table, "shadow")
    except Exception as error:  # a storage may raise anything; what is lost was nobody's answer
        logger.warning("%d pairs of the shadow are lost: %s", len(pairs), error)


def to_table(
    contract: Contract, threshold: float, version: str, pairs: list[tuple[Offered, np.ndarray, float]]
) -> pa.Table:
    """The rows as the prediction log has them, with the champion's prediction and the seconds a row of both."""
    from modelworks.serving import prediction_log
    from modelworks.serving.prediction_log import Answered
    from modelworks.stages.replay import CHAMPION_PREFIX

    target = contract.target
    answered = []
    for offered, prediction, _ in pairs:
        decisions = target.decide(prediction, threshold)
        listed = [] if decisions is None else decisions.tolist()
        answered.append(Answered(offered.request_id, offered.at, version, offered.rows, prediction, listed))
    table = prediction_log.to_table(contract, answered)
    champion = target.to_columns(np.concatenate([offered.prediction for offered, _, _ in pairs]))
    for name, values in champion.items():
        table = table.append_column(f"{CHAMPION_PREFIX}{name}", pa.array(values))
    sizes = [len(offered.rows) for offered, _, _ in pairs]
    for name, seconds in (
        ("champion_seconds", [offered.seconds for offered, _, _ in pairs]),
        ("seconds", [own for _, _, own in pairs]),
    ):
        values = np.repeat(np.asarray(seconds) / np.asarray(sizes), sizes)
        table = table.append_column(name, pa.array(values))
    return table
