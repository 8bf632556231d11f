"""Rows of an adopted table that are sent to the API as the file has them are predicted as in batch scores."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adopting import Adopted, adopt
from modelworks import Project, stages
from modelworks.data import partitions
from modelworks.models.types import boosting
from modelworks.serving.api import build_app
from modelworks.settings import Settings, load_settings
from servers import open_client, wait_until_ready


def make_orders(rows: int = 1800) -> pd.DataFrame:
    """Orders with a date alone, another one in German, a price in dollars, a discount in per cent, and gaps."""
    random = np.random.default_rng(5)
    ordered = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(random.integers(0, 181, rows)), unit="D")
    joined = ordered - pd.to_timedelta(random.integers(1, 2000, rows), unit="D")
    price, discount = random.gamma(2, 700, rows).round(2), random.integers(0, 60, rows) / 2
    visits = random.integers(1, 40, rows)
    risk = price / 1500 - discount / 12 + np.where(visits > 20, 1.0, -1.0) + random.normal(0, 0.7, rows)
    return pd.DataFrame({
        "order_id": [f"o{at:05}" for at in range(rows)],
        "ordered": ordered.strftime("%Y-%m-%d"),
        "joined": joined.strftime("%d.%m.%Y"),
        "price": [f"${each:,.2f}" for each in price],
        "discount": [f"{each:g} %" for each in discount],
        "visits": [str(each) if at % 9 else "NA" for at, each in enumerate(visits)],
        "region": random.choice(["north", "south", "NA"], rows),
        "returned": np.where(risk > 0, "yes", "no"),
    })


def release(adopted: Adopted) -> tuple[Project, Settings]:
    """A champion of the table, and scores of its newest period."""
    project = Project(contract=adopted.contract, model_types={"boosting": boosting.MODEL_TYPE})
    settings = load_settings(adopted.folder)
    clean = stages.validate(project, settings, stages.ingest(project, settings).dataset_uri, "run")
    trained = stages.train(project, settings, clean.dataset_uri, "run")
    assert stages.deploy(project, settings, stages.evaluate(project, settings, trained.run_id).run_id).version == "1"
    stages.score(project, settings)
    return project, settings


def read_newest(settings: Settings, layer: str) -> pd.DataFrame:
    [partition] = partitions.find_partitions(settings.storage_uri, layer, "2024-06")
    return pd.concat(map(pd.read_parquet, partition.files)).set_index("order_id")


def test_rows_of_the_file_are_predicted_as_their_batch_scores(project: Path) -> None:
    adopted = adopt(project, make_orders(), "returned", key=["order_id"])
    assert adopted.dtypes["price"] == adopted.dtypes["discount"] == "float64"
    assert adopted.contract.columns["price"].unit == "$"
    ours, settings = release(adopted)
    scores, clean = read_newest(settings, "scores"), read_newest(settings, "clean")
    with (project / "var" / "table.csv").open(encoding="utf-8", newline="") as file:
        written = [row for row in csv.DictReader(file) if row["ordered"].startswith("2024-06")]
    for row in written:
        del row["returned"]
    assert len(written) == len(scores) > 200
    assert {"NA", "north"} <= {row["region"] for row in written}
    with open_client(build_app(ours, settings)) as client:
        wait_until_ready(client)
        assert client.get("/model").json()["few_rows_by"] == "treelite"

        def ask(rows: Any) -> list[float]:
            answer = client.post("/predict", json=rows)
            assert answer.status_code == 200, answer.text
            return [each["probability"] for each in answer.json()["predictions"]]

        together, alone = ask(written), [ask(row)[0] for row in written[:20]]
        with_zone = ask([{**row, "ordered": f"{row['ordered']}T02:00:00+02:00"} for row in written])
        refused = client.post("/predict", json=[written[0], {**written[1], "price": "€5"}])
    expected = scores["probability"].loc[[row["order_id"] for row in written]].to_numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(together, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(alone, expected[:20], rtol=0, atol=1e-12)
    np.testing.assert_allclose(with_zone, expected, rtol=0, atol=1e-12)
    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert error["field"] == "[1].price"
    assert "'€5' is no number here; accepted: a number, or as in the files, such as 1,234.5" in error["message"]
    files = sorted((project / "var" / "data" / "predictions").rglob("*.parquet"))
    logged = pd.concat(map(pd.read_parquet, files)).drop_duplicates("order_id").set_index("order_id")
    names = adopted.contract.features
    pd.testing.assert_frame_equal(logged.loc[clean.index, names], clean[names], check_dtype=False)
