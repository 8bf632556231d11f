"""The log of the API's answers, as Parquet below the storage; a thread writes it, so no answer waits."""

import logging
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from modelworks.contract import Contract
from modelworks.data import answers
from modelworks.data.columnar import Columns
from modelworks.serving.metrics import ApiMetrics
from modelworks.serving.row_schema import logged_columns

logger = logging.getLogger(__name__)

FLUSH_S = 5.0
FLUSH_ROWS = 10_000
MAX_WAITING_ROWS = 100_000
CLOSE_S = 20.0
"""How long the API retries a failing storage before it stops."""
RETRY_S = 1.0
SLICE_REQUESTS = 250
PAUSE_S = 0.005
"""Python runs one thread at a time: answers come in the pauses between slices of a few milliseconds."""

TYPES = {"str": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "datetime64[us]": pa.timestamp("us")}


@dataclass(frozen=True)
class Answered:
    """One request and its answer.

    Attributes
    ----------
    prediction : as `modelworks.targets` describes it
    decisions : a class for each row; empty where the target is a number
    """

    request_id: str
    at: datetime
    model_version: str
    rows: Columns
    prediction: np.ndarray
    decisions: list[Any]


class PredictionLog:
    """A bounded queue and the thread that writes it.

    A row is accepted or, if the queue is full, dropped and counted. Accepted rows are written, at the latest by
    `close`; a process that is killed loses those of the last `FLUSH_S` seconds.
    """

    def __init__(
        self, contract: Contract, storage_uri: str, metrics: ApiMetrics, max_waiting_rows: int = MAX_WAITING_ROWS
    ) -> None:
        self._contract = contract
        self._storage_uri = storage_uri
        self._metrics = metrics
        self._max_waiting_rows = max_waiting_rows
        self._waiting: deque[Answered] = deque()
        self._waiting_rows = 0
        self._changed = threading.Condition()
        self._closing_at: float | None = None
        self._thread = threading.Thread(target=self._write_until_closed, name="prediction-log")

    def start(self) -> None:
        """Write accepted answers until `close`."""
        self._thread.start()

    def append(self, answered: Answered) -> None:
        """Accept an answer if there is room; never waits."""
        count = len(answered.rows)
        with self._changed:
            if self._waiting_rows + count > self._max_waiting_rows:
                self._metrics.log_dropped.inc(count)
                return
            self._waiting.append(answered)
            self._waiting_rows += count
            if self._waiting_rows >= FLUSH_ROWS:
                self._changed.notify()

    def close(self) -> None:
        """Write the accepted rows, and stop."""
        with self._changed:
            self._closing_at = time.monotonic()
            self._changed.notify()
        self._thread.join()

    def _write_until_closed(self) -> None:
        is_last = False
        while not is_last:
            with self._changed:
                self._changed.wait_for(self._is_due, FLUSH_S)
                is_last = self._closing_at is not None
                batch = list(self._waiting)
                self._waiting.clear()
            # One day a file; rows in hand still count as waiting until they are written.
            days = sorted({answered.at.date() for answered in batch})
            for day in days:
                self._write([answered for answered in batch if answered.at.date() == day])

    def _is_due(self) -> bool:
        return self._waiting_rows >= FLUSH_ROWS or self._closing_at is not None

    def _write(self, batch: list[Answered]) -> None:
        count = sum(len(answered.rows) for answered in batch)
        at = batch[0].at
        # The name is made once, so a second attempt replaces what the first one wrote.
        name = f"{at:%H%M%S}-{uuid.uuid4().hex}"
        table = pa.concat_tables([self._convert(part) for part in _slices(batch)])
        while True:
            try:
                answers.save_predictions(self._storage_uri, f"{at:%Y-%m-%d}", name, table)
                self._metrics.log_written.inc(count)
                break
            except Exception as error:  # a storage may raise anything, and must not end the thread
                self._metrics.log_failures.inc()
                if self._closing_at is not None and time.monotonic() > self._closing_at + CLOSE_S:
                    self._metrics.log_dropped.inc(count)
                    logger.error("%d predictions are lost: %s cannot be written: %s", count, self._storage_uri, error)
                    break
                logger.warning("%d predictions wait: %s cannot be written: %s", count, self._storage_uri, error)
                time.sleep(RETRY_S)
        with self._changed:
            self._waiting_rows -= count

    def _convert(self, batch: list[Answered]) -> pa.Table:
        if self._closing_at is None:
            time.sleep(PAUSE_S)
        return to_table(self._contract, batch)

    @property
    def waiting_rows(self) -> int:
        """Accepted rows that are not yet written."""
        return self._waiting_rows


def _slices(batch: list[Answered]) -> list[list[Answered]]:
    return [batch[at : at + SLICE_REQUESTS] for at in range(0, len(batch), SLICE_REQUESTS)]


def to_table(contract: Contract, batch: list[Answered]) -> pa.Table:
    """A row for each predicted row, in the order of the answers."""
    sizes = [len(answered.rows) for answered in batch]
    rows = Columns.join([answered.rows for answered in batch])

    def per_request(values: list[Any], kind: pa.DataType) -> pa.Array:
        return pa.array([value for value, size in zip(values, sizes, strict=True) for _ in range(size)], kind)

    made: dict[str, Any] = {
        "request_id": per_request([answered.request_id for answered in batch], pa.string()),
        "row": pa.array([at for size in sizes for at in range(size)], pa.int64()),
        "answered_at": per_request([answered.at for answered in batch], pa.timestamp("us", tz=UTC)),
        "model_version": per_request([answered.model_version for answered in batch], pa.string()),
    }
    for name in logged_columns(contract):
        made[name] = pa.array(rows[name], TYPES[contract.dtypes[name]])
    made |= contract.target.to_columns(np.concatenate([answered.prediction for answered in batch]))
    if contract.target.classes:
        decisions = [decision for answered in batch for decision in answered.decisions]
        made["decision"] = pa.array(decisions, pa.array(contract.target.classes).type)
    return pa.table(made)
