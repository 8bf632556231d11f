"""A share of the requests, answered by the challenger; where it fails or is late, the champion answers in its place.

Which caller meets the challenger follows from a hash of a stable key and the challenger's version, so every replica
chooses alike, and a caller who met it at 5 % meets it at 25 %.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic, perf_counter

import numpy as np

from modelworks.data.columnar import Columns
from modelworks.models import pipeline
from modelworks.models.fast import Predictor
from modelworks.monitoring.traffic import Traffic, save_traffic
from modelworks.project import Project
from modelworks.registry import rollouts
from modelworks.registry.rollouts import RolloutStep
from modelworks.serving.batching import MicroBatcher
from modelworks.serving.challenger import Challenger, ChallengerFollower
from modelworks.serving.champion import Served
from modelworks.serving.choice import find_key, is_chosen
from modelworks.serving.metrics import ApiMetrics
from modelworks.serving.rollout_metrics import RolloutMetrics
from modelworks.serving.shadow import Shadow
from modelworks.settings import Settings

logger = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 5
"""So many, and a replica leaves the challenger alone for `PAUSE_S`."""
PAUSE_S = 30.0
SAVE_S = 2.0
"""Seconds between two writes of a replica's counts."""


@dataclass(frozen=True)
class Predicted:
    """Predictions and the model that made them."""

    served: Served
    prediction: np.ndarray


Predict = Callable[[Served, MicroBatcher], Awaitable[Predicted]]


class Canary:
    """Chooses who answers, counts, and follows the steps of the rollout.

    Parameters
    ----------
    batcher : of the champion; the challenger has a thread of its own, so it cannot hold the champion up
    """

    def __init__(self, project: Project, settings: Settings, metrics: ApiMetrics, batcher: MicroBatcher) -> None:
        self.follower = ChallengerFollower(project, settings)
        self.shadow = Shadow(settings)
        self._contract = project.contract
        self._settings = settings
        self._batcher = batcher
        self._thread = ThreadPoolExecutor(
            1, "challenger", initializer=pipeline.limit_threads, initargs=(settings.training,)
        )
        self._own_batcher = MicroBatcher(
            Predictor.predict, self._thread, self._thread, metrics.batch.observe, loop_rows=0
        )
        self._replica = uuid.uuid4().hex
        self._step: RolloutStep | None = None
        self._traffic = Traffic()
        self._saved: tuple[int, int] = (0, 0)
        self._saved_at = 0.0
        self._failures = 0
        self._is_closed = False
        self._paused_until = 0.0
        self.metrics = RolloutMetrics(metrics.registry, self)

    @property
    def challenger(self) -> Challenger | None:
        """The challenger and the step in force."""
        return self.follower.current

    def poll(self) -> None:
        """Ask which step is in force, and let the counts follow; called by a thread every few seconds."""
        if self._is_closed:
            return
        self.follower.poll()
        step = self.challenger.step if self.challenger else None
        if (step and step.name) != (self._step and self._step.name):
            self.save()
            self._traffic, self._saved, self._step, self._failures = Traffic(), (0, 0), step, 0
        self.shadow.follow(step)
        if monotonic() - self._saved_at >= SAVE_S:
            self.save()

    def save(self) -> None:
        """Write the counts of the step where they have changed."""
        step, traffic = self._step, self._traffic
        if step is None:
            return
        if step.share == 0:
            traffic.shadow_rows, traffic.shadow_dropped, traffic.shadow_errors = self.shadow.counts()
        now = traffic.champion.requests + traffic.challenger.requests, traffic.shadow_rows + traffic.shadow_dropped
        if now == self._saved:
            return
        try:
            save_traffic(rollouts.folder_of(self._settings, step), step.number, self._replica, traffic)
        except Exception as error:  # a storage may raise anything, and the counts stay
            logger.warning("the counts of the rollout are not written: %s", error)
        else:
            self._saved, self._saved_at = now, monotonic()

    def close(self) -> None:
        """Write the counts, and stop."""
        self._is_closed = True  # a look that is under way must not start the shadow's process again
        self.shadow.stop()
        self.save()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def answer(
        self, champion: Served, rows: Columns, headers: Mapping[str, str], request_id: str, predict: Predict
    ) -> Predicted:
        """Predictions of the rows by the model that this caller gets.

        Parameters
        ----------
        predict : by a model and its batcher
        """
        challenger = self.challenger
        if challenger is None or challenger.step.champion != champion.version:
            return await predict(champion, self._batcher)
        started, traffic = perf_counter(), self._traffic
        if self._takes(challenger, rows, headers, request_id):
            predicted = await self._try(challenger, champion, predict)
            seconds, is_error = perf_counter() - started, predicted.served is champion
            traffic.challenger.count(seconds, is_error=is_error)
            self.metrics.count("challenger", seconds, is_error=is_error)
            return predicted
        predicted = await predict(champion, self._batcher)
        seconds = perf_counter() - started
        traffic.champion.count(seconds)
        self.metrics.count("champion", seconds)
        if challenger.step.share == 0:
            self.shadow.offer(request_id, rows, predicted.prediction, seconds)
        return predicted

    def _takes(self, challenger: Challenger, rows: Columns, headers: Mapping[str, str], request_id: str) -> bool:
        share = challenger.step.share
        if share == 0 or (self._failures >= FAILURES_IN_A_ROW and monotonic() < self._paused_until):
            return False
        key = find_key(self._contract, self._settings.rollout.key_header, rows, headers) or request_id
        return is_chosen(key, challenger.step.version, share)

    async def _try(self, challenger: Challenger, champion: Served, predict: Predict) -> Predicted:
        """The challenger's predictions, or the champion's where it raises, is late, or predicts what is no number."""
        try:
            async with asyncio.timeout(self._settings.rollout.timeout_s):
                predicted = await predict(challenger.served, self._own_batcher)
            if not np.isfinite(predicted.prediction).all():
                raise ValueError("a prediction is not finite")
        except Exception as error:  # of any kind: no request fails because of the challenger
            self._failures += 1
            if self._failures >= FAILURES_IN_A_ROW:
                self._paused_until = monotonic() + PAUSE_S
            logger.warning(
                "challenger %s: %s: %s; the champion answers", challenger.served.version, type(error).__name__, error
            )
            return await predict(champion, self._batcher)
        self._failures = 0
        return predicted
