"""A sample of the data, whatever the contract says of them, and the settings that fit it."""

import tomllib
from pathlib import Path

import pandas as pd
import pyarrow as pa

from {{ cookiecutter.__package_name }} import ingestion
from {{ cookiecutter.__package_name }}.config import Source

PROJECT = Path(__file__).resolve().parents[2]
MAX_MONTHS, MAX_ROWS = 3, 2000

SMALL = {
    "MODEL__MAX_ITER": "20",
    "MODEL__MIN_SAMPLES_LEAF": "5",
    "EVALUATION__BOOTSTRAP_RESAMPLES": "100",
    "TRAINING__HOLDOUT_MONTHS": "1",
    "TRAINING__WINDOW_MONTHS": "0",
    "TRAINING__MAX_ROWS": "0",
    "RETRAINING__FIRST_AFTER_MONTHS": "1",
    "LABELS__URI": "",
    "LABELS__DELAY_MONTHS": "0",
    "LABELS__MIN_LABELLED_FRACTION": "0.01",
    "SOURCE__URI": "data/sample-{month}.parquet",
    "SOURCE__QUERY": "",
    "SOURCE__SQL_CONNECTION": "",
    "STORAGE__URI": "var/data",
    "TRACKING__URI": "",
    "NOTIFICATIONS__EVENTS": "[]",
    # A part of each month says nothing of how months differ.
    "VALIDATION__MAX_ROW_COUNT_CHANGE": "1000",
    "VALIDATION__MAX_NULL_FRACTION_INCREASE": "1",
}
OPEN_GATES = {
    "GATES__MIN_ROC_AUC": "0",
    "GATES__MAX_ROC_AUC": "1",
    "GATES__MAX_CALIBRATION_ERROR": "1",
    "GATES__MIN_R2": "-1000000",
    "GATES__MAX_R2": "1",
    "GATES__MAX_BIAS": "1000000",
    "GATES__MIN_GAIN_OVER_BASELINE": "-1000000",
    "GATES__APPROVAL": "never",
}
"""For rows so few that a good model may fail by chance."""


def read_sample() -> dict[str, pd.DataFrame]:
    """Some rows of some months: those of tests/sample, or else the first months of the source."""
    files = sorted((PROJECT / "tests" / "sample").glob("*.parquet"))
    if files:
        return {file.stem[-7:]: read(file, Source(uri="{month}", first_month="2000-01")) for file in files}
    source = Source(**tomllib.loads((PROJECT / "pipeline.toml").read_text(encoding="utf-8"))["source"])
    last = source.last_month or source.first_month
    months = ingestion.months_between(source.first_month, last)[:MAX_MONTHS]
    found = {month: PROJECT / source.uri.replace("{month}", month) for month in months}
    missing = [str(file) for file in found.values() if not file.is_file()]
    assert not missing, f"put some rows of each of some months into tests/sample, as Parquet; there is no {missing[0]}"
    whole = {month: read(file, source) for month, file in found.items()}
    return {month: frame.iloc[:: -(-len(frame) // MAX_ROWS)].reset_index(drop=True) for month, frame in whole.items()}


def read(file: Path, source: Source) -> pd.DataFrame:
    return pa.Table.from_batches(list(ingestion.read_source(file, source))).to_pandas()
