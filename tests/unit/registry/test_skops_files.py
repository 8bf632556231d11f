from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
import skops.io

from flights import FLIGHTS
from modelworks.models import pipeline
from modelworks.models.types import xgboost
from modelworks.project import Project
from modelworks.registry.skops_files import EARLIEST, make_reproducible
from modelworks.settings import Model, Training

PROJECT = replace(FLIGHTS, model_types={**FLIGHTS.model_types, "xgboost": xgboost.MODEL_TYPE})
PARAMETERS = {"boosting": {"max_iter": 5}, "forest": {"n_estimators": 3}, "linear": {}, "xgboost": {"max_iter": 5}}


def save(project: Project, frame: pd.DataFrame, model_type: str, file: Path) -> bytes:
    """A model that is fitted anew, in a file."""
    model = Model(type=model_type, parameters=PARAMETERS[model_type])
    skops.io.dump(pipeline.fit(project, frame, Training(threads=1), model), file)
    return file.read_bytes()


@pytest.mark.parametrize("model_type", sorted(PARAMETERS))
def test_same_model_has_the_same_bytes(model_type: str, rows, tmp_path: Path) -> None:
    """skops alone gives other bytes each time: it writes addresses of objects into the file."""
    if model_type == "xgboost":
        pytest.importorskip("xgboost")
    frame = rows(
        400, recent_delay=np.arange(400.0), carrier=["AA", "B6"] * 200, dest=["LAX", "BOS", "MIA", "SFO"] * 100
    )
    files = [tmp_path / name for name in ("one.skops", "two.skops")]
    as_saved = [save(PROJECT, frame, model_type, file) for file in files]
    assert as_saved[0] != as_saved[1]
    before = [skops.io.load(file, trusted=pipeline.trusted_types(PROJECT)) for file in files]
    for file in files:
        make_reproducible(file)
    assert files[0].read_bytes() == files[1].read_bytes()
    after = skops.io.load(files[0], trusted=pipeline.trusted_types(PROJECT))
    expected = pipeline.predict(PROJECT, before[0], frame)
    np.testing.assert_array_equal(pipeline.predict(PROJECT, after, frame), expected)


def test_archive_notes_neither_time_nor_chance(tmp_path: Path) -> None:
    file = tmp_path / "model.skops"
    skops.io.dump({"one": np.arange(3), "two": np.random.default_rng(1), "file": "1.npy", "__id__": 7}, file)
    make_reproducible(file)
    with ZipFile(file) as archive:
        assert {each.date_time for each in archive.infolist()} == {EARLIEST}
        assert all(Path(name).stem.isdigit() for name in archive.namelist() if name != "schema.json")
    loaded = skops.io.load(file)
    assert (loaded["one"].tolist(), loaded["file"], loaded["__id__"]) == ([0, 1, 2], "1.npy", 7)
    assert loaded["two"].integers(1000) == np.random.default_rng(1).integers(1000)
