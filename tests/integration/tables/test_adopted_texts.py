"""A table of comments, from `adopt` to a released, served and monitored model of its words."""

from pathlib import Path

import numpy as np
import pandas as pd

from adopting import adopt
from flights import PACKAGE
from modelworks import stages
from modelworks.models.types import tfidf
from modelworks.project import Project
from modelworks.serving.api import build_app
from modelworks.settings import load_settings
from servers import open_client, wait_until_ready

OPINIONS = {"late again": "bad", "very happy": "good", "lost my bag": "bad", "great crew": "good"}


def make_comments(rows: int = 400) -> pd.DataFrame:
    random = np.random.default_rng(11)
    said = random.choice([*OPINIONS], rows)
    days = pd.date_range("2024-01-01", periods=rows, freq="9h").strftime("%Y-%m-%d %H:%M")
    opinions = [OPINIONS[each] for each in said]
    wrong = random.random(rows) < 0.05
    return pd.DataFrame({
        "day": days,
        "text": [f"{each}, flight {at}" for at, each in enumerate(said)],
        "opinion": np.where(wrong, np.where(np.array(opinions) == "bad", "good", "bad"), opinions),
    })


def test_comments_are_adopted_released_served_and_monitored(project: Path) -> None:
    adopted = adopt(project, make_comments(), "opinion")
    assert adopted.contract.documents == ["text"]
    assert "[model] type = 'tfidf'" in adopted.said
    assert '"tfidf": tfidf.MODEL_TYPE' in (project / "src" / PACKAGE / "models.py").read_text()
    ours = Project(contract=adopted.contract, model_types={"tfidf": tfidf.MODEL_TYPE})
    settings = load_settings(project)
    clean = stages.validate(ours, settings, stages.ingest(ours, settings).dataset_uri, "run")
    trained = stages.train(ours, settings, clean.dataset_uri, "run")
    assert stages.deploy(ours, settings, stages.evaluate(ours, settings, trained.run_id).run_id).version == "1"
    assert stages.score(ours, settings).rows
    assert stages.monitor(ours, settings, "run").period
    with open_client(build_app(ours, settings)) as client:
        wait_until_ready(client)
        request = [{"day": "2024-06-01T10:00:00", "text": text} for text in ("late again!", "Great crew, thanks", "")]
        answer = client.post("/predict", json=request)
        assert answer.status_code == 200, answer.text
        predictions = answer.json()["predictions"]
    assert adopted.contract.target.classes == ["good", "bad"]
    assert predictions[1]["probability"] < 0.2 < 0.8 < predictions[0]["probability"]


def test_texts_that_say_nothing_are_not_used(project: Path) -> None:
    random = np.random.default_rng(3)
    x = random.random(400)
    table = pd.DataFrame({
        "x": x,
        "remark": [f"seen by clerk {number}" for number in random.integers(0, 10**6, 400)],
        "sold": (np.sin(9 * x) + random.normal(0, 0.3, 400) > 0).astype(int),
    })
    adopted = adopt(project, table, "sold")
    assert adopted.roles["remark"] == "unused"
    assert "texts in 'remark' do not make a trial better; not used" in adopted.said


def test_text_is_no_key(project: Path) -> None:
    adopted = adopt(project, make_comments().drop(columns="day"), "opinion")
    assert adopted.contract.key == ["row_number"]
