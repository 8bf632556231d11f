import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flights import FLIGHTS
from modelworks.serving import prediction_log
from modelworks.serving.metrics import ApiMetrics
from modelworks.serving.payload import AnswerWriter, RequestReader
from modelworks.serving.prediction_log import Answered, PredictionLog

READER = RequestReader(FLIGHTS.contract, 1000)
WRITER = AnswerWriter(FLIGHTS.contract.target, 0.5)


def answered(request_id: str, count: int = 1, at: str = "2013-07-03T12:00:00") -> Answered:
    rows, _ = READER.read_columns(json.dumps([FLIGHTS.contract.example] * count).encode())
    probability = np.linspace(0.25, 0.75, count)
    decisions = WRITER.decide(probability)
    return Answered(request_id, datetime.fromisoformat(at).replace(tzinfo=UTC), "3", rows, probability, decisions)


def read(folder: Path) -> pd.DataFrame:
    files = sorted(folder.rglob("*.parquet"))
    return pd.concat([pd.read_parquet(file) for file in files]) if files else pd.DataFrame()


def value(metrics: ApiMetrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(name)


def test_all_that_was_accepted_is_there_after_close(tmp_path: Path) -> None:
    metrics = ApiMetrics()
    log = PredictionLog(FLIGHTS.contract, str(tmp_path), metrics)
    log.start()
    for at in range(500):
        log.append(answered(f"r{at}", 2))
    log.close()
    found = read(tmp_path)
    assert len(found) == 1000
    assert sorted(set(found["request_id"])) == sorted(f"r{at}" for at in range(500))
    row = found[found["request_id"] == "r7"].iloc[1]
    assert (row["row"], row["model_version"], row["probability"], row["decision"]) == (1, "3", 0.75, 1)
    assert row["scheduled_departure"] == pd.Timestamp(FLIGHTS.contract.example["scheduled_departure"])
    assert {name: row[name] for name in ("carrier", "flight", "temp")} == {
        "carrier": "DL",
        "flight": 1167,
        "temp": 71.1,
    }
    assert np.isnan(row["wind_gust"])
    assert (value(metrics, "api_log_written_rows_total"), value(metrics, "api_log_dropped_rows_total")) == (1000, 0)
    assert not list(tmp_path.rglob("*.tmp"))


def test_days_are_partitions(tmp_path: Path) -> None:
    log = PredictionLog(FLIGHTS.contract, str(tmp_path), ApiMetrics())
    log.append(answered("a", at="2013-07-03T23:59:59"))
    log.append(answered("b", at="2013-07-04T00:00:00"))
    log.start()
    log.close()
    assert sorted(folder.name for folder in (tmp_path / "predictions").iterdir()) == [
        "date=2013-07-03",
        "date=2013-07-04",
    ]


def test_what_is_dropped_under_overload_is_counted(tmp_path: Path) -> None:
    metrics = ApiMetrics()
    log = PredictionLog(FLIGHTS.contract, str(tmp_path), metrics, max_waiting_rows=10)
    for at in range(20):  # nobody writes yet
        log.append(answered(f"r{at}"))
    assert (log.waiting_rows, value(metrics, "api_log_dropped_rows_total")) == (10, 10)
    log.start()
    log.close()
    assert sorted(read(tmp_path)["request_id"]) == sorted(f"r{at}" for at in range(10))


def test_storage_that_fails_for_a_while_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_log, "RETRY_S", 0.05)
    metrics = ApiMetrics()
    blocked = tmp_path / "predictions"
    blocked.write_text("a file where the folder should be")
    log = PredictionLog(FLIGHTS.contract, str(tmp_path), metrics)
    monkeypatch.setattr(prediction_log, "FLUSH_S", 0.05)
    log.start()
    log.append(answered("a"))
    while not value(metrics, "api_log_write_failures_total"):
        pass
    blocked.unlink()
    log.close()
    assert list(read(tmp_path)["request_id"]) == ["a"]
    assert value(metrics, "api_log_dropped_rows_total") == 0


def test_storage_that_stays_away_does_not_keep_the_server_alive(tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.setattr(prediction_log, "RETRY_S", 0.05)
    monkeypatch.setattr(prediction_log, "CLOSE_S", 0.2)
    metrics = ApiMetrics()
    (tmp_path / "predictions").write_text("a file where the folder should be")
    log = PredictionLog(FLIGHTS.contract, str(tmp_path), metrics)
    log.append(answered("a", 3))
    log.start()
    log.close()
    assert value(metrics, "api_log_dropped_rows_total") == 3
    assert "3 predictions are lost" in caplog.text
