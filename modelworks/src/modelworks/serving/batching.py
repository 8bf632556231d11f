"""Requests of one moment, predicted together: what a prediction costs beside its rows is paid once."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelworks.data.columnar import Columns

Predict = Callable[[Any, Columns], np.ndarray]

BATCH_ROWS = 512
"""The most rows of one batch; a request of more is one by itself."""

LOOP_ROWS = 32
"""The most rows of a request that is predicted on the event loop, which answers nobody meanwhile. A thread takes longer
for them, and saves time with more: while trees are asked, it leaves Python to the loop."""

PATIENCE_S = 0.001
"""The longest that a request waits for as many others as the last batch had."""


@dataclass(frozen=True)
class _Waiting:
    model: Any
    rows: Columns
    prediction: asyncio.Future[np.ndarray]


class MicroBatcher:
    """Collects requests and predicts them in one go.

    While one batch is predicted, requests for the next one queue up. On the event loop it starts as soon as it has as
    many requests as the last one, so concurrent callers are predicted together. A request that comes alone, as the last
    one did, is predicted at once. A thread predicts larger requests: all that came while it had others.

    Parameters
    ----------
    predict : from a model and rows to predictions; shape (n_rows,) or (n_rows, n_classes)
    thread : for requests of more than `loop_rows` rows; of one thread
    worker : for requests of more than `BATCH_ROWS` rows, which take long
    observe : called with the number of rows of each batch
    loop_rows : of requests that are predicted on the event loop; 0: none is
    """

    def __init__(
        self,
        predict: Predict,
        thread: Executor,
        worker: Executor,
        observe: Callable[[int], None],
        loop_rows: int = LOOP_ROWS,
    ) -> None:
        self._predict = predict
        self._thread = thread
        self._worker = worker
        self._observe = observe
        self._loop_rows = loop_rows
        self._waiting: deque[_Waiting] = deque()
        self._timer: asyncio.Handle | None = None
        self._last_requests = 1
        self._came_now = False
        self._large: deque[_Waiting] = deque()
        self._is_busy = False

    async def predict(self, model: Any, rows: Columns) -> np.ndarray:
        """Predictions of the rows by exactly this model, as `predict` makes them."""
        loop = asyncio.get_running_loop()
        if len(rows) > BATCH_ROWS:
            self._observe(len(rows))
            return await loop.run_in_executor(self._worker, self._predict, model, rows)
        if len(rows) > self._loop_rows:
            waiting = _Waiting(model, rows, loop.create_future())
            self._large.append(waiting)
            if not self._is_busy:
                self._is_busy = True
                loop.call_soon(self._predict_large)
            return await waiting.prediction
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
        batch = _take_batch(self._waiting)
        self._last_requests = len(batch)
        self._timer = asyncio.get_running_loop().call_soon(self._predict_waiting) if self._waiting else None
        self._answer(batch)

    def _answer(self, batch: list[_Waiting]) -> None:
        try:
            prediction = self._predict(batch[0].model, _join(batch))
        except Exception as error:
            if len(batch) == 1:
                _set_exception(batch[0], error)
            else:  # a request that the model cannot predict must not fail the others
                for each in batch:
                    self._answer([each])
            return
        self._hand_out(batch, prediction)

    def _predict_large(self) -> None:
        batch = _take_batch(self._large)
        asyncio.get_running_loop().create_task(self._answer_by_thread(batch))

    async def _answer_by_thread(self, batch: list[_Waiting]) -> None:
        for some in await self._predict_by_thread(batch):
            await self._predict_by_thread([some])
        self._is_busy = bool(self._large)
        if self._is_busy:
            self._predict_large()

    async def _predict_by_thread(self, batch: list[_Waiting]) -> list[_Waiting]:
        """Answer a batch; gives back the requests that have to be predicted alone, as one of them fails."""
        loop = asyncio.get_running_loop()
        try:
            prediction = await loop.run_in_executor(self._thread, self._predict, batch[0].model, _join(batch))
        except Exception as error:
            if len(batch) > 1:
                return batch
            _set_exception(batch[0], error)
        else:
            self._hand_out(batch, prediction)
        return []

    def _hand_out(self, batch: list[_Waiting], prediction: np.ndarray) -> None:
        self._observe(len(prediction))
        start = 0
        for each in batch:
            if not each.prediction.done():
                each.prediction.set_result(prediction[start : start + len(each.rows)])
            start += len(each.rows)


def _take_batch(waiting: deque[_Waiting]) -> list[_Waiting]:
    """The first requests of at most `BATCH_ROWS` rows, all of one model: while the champion changes there are two."""
    batch = [waiting.popleft()]
    count = len(batch[0].rows)
    while waiting and waiting[0].model is batch[0].model:
        count += len(waiting[0].rows)
        if count > BATCH_ROWS:
            break
        batch.append(waiting.popleft())
    return batch


def _join(batch: list[_Waiting]) -> Columns:
    return Columns.join([each.rows for each in batch])


def _set_exception(waiting: _Waiting, error: Exception) -> None:
    if not waiting.prediction.done():
        waiting.prediction.set_exception(error)
