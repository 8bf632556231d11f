"""The prediction API with a challenger that fails or is slow; factories for uvicorn. The champion is as it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from modelworks.models.fast import Predictor
from modelworks.serving import create_app

SLOW_S = 1.0


def failing() -> FastAPI:
    """Its challenger raises."""

    def spoil() -> None:
        raise ZeroDivisionError("a division by zero in the challenger")

    return _spoil(spoil)


def slow() -> FastAPI:
    """Its challenger takes a second for each batch."""
    return _spoil(lambda: time.sleep(SLOW_S))


def _spoil(spoil: Callable[[], None]) -> FastAPI:
    predict = Predictor.predict

    def predict_spoiled(self: Predictor, rows: Any) -> Any:
        if threading.current_thread().name.startswith("challenger"):
            spoil()
        return predict(self, rows)

    Predictor.predict = predict_spoiled  # type: ignore[method-assign]
    return create_app()
