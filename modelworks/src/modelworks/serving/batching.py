"""Requests of one moment, predicted together: what a prediction costs beside its rows is paid once."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

Rows = list[dict[str, Any]]
Predict = Callable[[Any, Rows], np.ndarray]

BATCH_ROWS = 512
"""The most rows of one batch on the event loop, which answers nobody meanwhile (about 5 ms)."""

PATIENCE_S = 0.001
"""The longest that a request waits for as many others as the last batch had."""


@dataclass(frozen=True)
class _Waiting:
    model: Any
    rows: Rows
    prediction: asyncio.Future[np.ndarray]


class MicroBatcher:
    """Collects requests and predicts them in one go.

    While one batch is predicted, requests for the next one queue up. It starts as soon as it has as many requests as
    the last one, so concurrent callers are predicted together. A request that comes alone, as the last one did, is
    predicted at once.

    Parameters
    ----------
    predict : from a model and rows to predictions; shape (n_rows,) or (n_rows, n_classes)
    worker : for requests of more than `BATCH_ROWS` rows
    observe : called with the number of rows of each batch
    """

    def __init__(self, predict: Predict, worker: Executor, observe: Callable[[int], None]) -> None:
        self._predict = predict
        self._worker = worker
        self._observe = observe
        self._waiting: deque[_Waiting] = deque()
        self._timer: asyncio.Handle | None = None
        self._last_requests = 1
        self._came_now = False

    async def predict(self, model: Any, rows: Rows) -> np.ndarray:
        """Predictions of the rows by exactly this model, as `predict` makes them."""
        loop = asyncio.get_running_loop()
        if len(rows) > BATCH_ROWS:
            self._observe(len(rows))
            return await loop.run_in_executor(self._worker, self._predict, model, rows)
        if self._last_requests == 1 and self._timer is None and not self._came_now:
            # Another one that comes before the loop looks for new requests was there already, and begins a batch.
            self._came_now = True
            loop.call_soon(self._look_again)
            prediction = self._predict(model, rows)
            self._observe(len(rows))
            return prediction
        waiting = _Waiting(model, rows, loop.create_future())
        self._waiting.append(waiting)
        if self._timer is None:
            self._timer = loop.call_later(PATIENCE_S, self._predict_waiting)
        if len(self._waiting) == self._last_requests:
            self._timer.cancel()
            self._timer = loop.call_soon(self._predict_waiting)
        return await waiting.prediction

    def _look_again(self) -> None:
        self._came_now = False

    def _predict_waiting(self) -> None:
        batch = [self._waiting.popleft()]
        count = len(batch[0].rows)
        # While the champion changes, two models have requests; a batch has one model.
        while self._waiting and self._waiting[0].model is batch[0].model:
            count += len(self._waiting[0].rows)
            if count > BATCH_ROWS:
                break
            batch.append(self._waiting.popleft())
        self._last_requests = len(batch)
        self._timer = asyncio.get_running_loop().call_soon(self._predict_waiting) if self._waiting else None
        self._answer(batch)

    def _answer(self, batch: list[_Waiting]) -> None:
        rows = [row for each in batch for row in each.rows]
        try:
            prediction = self._predict(batch[0].model, rows)
        except Exception as error:
            if len(batch) == 1:
                _set_exception(batch[0], error)
            else:  # a request that the model cannot predict must not fail the others
                for each in batch:
                    self._answer([each])
            return
        self._observe(len(rows))
        start = 0
        for each in batch:
            if not each.prediction.done():
                each.prediction.set_result(prediction[start : start + len(each.rows)])
            start += len(each.rows)


def _set_exception(waiting: _Waiting, error: Exception) -> None:
    if not waiting.prediction.done():
        waiting.prediction.set_exception(error)
