"""The model that `adopt` writes is the one that its trial was better by, and the pipeline accepts what is good."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from adopting import adopt, commit
from modelworks import stages
from modelworks.errors import ContractError
from modelworks.models.types import boosting, tfidf
from modelworks.project import Project
from modelworks.settings import load_settings


def model_of(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((project / "pipeline.toml").read_text(encoding="utf-8"))["model"]
    return found


def few_buy(rows: int = 4000) -> pd.DataFrame:
    """One row in 20 is positive, which one of 40 columns says something of."""
    random = np.random.default_rng(3)
    table = pd.DataFrame(random.integers(0, 10, (rows, 40))).add_prefix("answer ")
    chance = np.where(table["answer 7"] >= 8, 0.18, 0.02)
    return table.assign(buys=np.where(random.random(rows) < chance, "Yes", "No"))


def opinions(rows: int = 400) -> pd.DataFrame:
    random = np.random.default_rng(11)
    said = random.choice(["late again", "very happy", "lost my bag", "great crew"], rows)
    return pd.DataFrame({
        "text": [f"{each}, flight {at}" for at, each in enumerate(said)],
        "bad": np.isin(said, ["late again", "lost my bag"]) ^ (random.random(rows) < 0.05),
    })


def test_few_rows_of_a_class_are_learned_by_fewer_trees_and_released(project: Path) -> None:
    adopted = adopt(project, few_buy(), "buys")
    assert "; 40 trees" in adopted.said
    assert model_of(project)["parameters"]["max_iter"] == 40
    ours = Project(contract=adopted.contract, model_types={"boosting": boosting.MODEL_TYPE})
    settings = load_settings(project)
    clean = stages.validate(ours, settings, stages.ingest(ours, settings).dataset_uri, "run")
    trained = stages.train(ours, settings, clean.dataset_uri, "run")
    stages.evaluate(ours, settings, trained.run_id)  # refuses by an error


def test_rows_enough_for_all_trees_get_them(project: Path) -> None:
    random = np.random.default_rng(3)
    table = pd.DataFrame(random.random((6000, 3)).round(3)).add_prefix("x")
    table["y"] = (10 * np.sin(9 * table["x0"]) * table["x1"] + table["x2"]).round(3)
    adopt(project, table, "y")
    assert model_of(project)["parameters"]["max_iter"] == boosting.MODEL_TYPE.defaults["max_iter"]


def test_parameters_are_those_of_the_type_and_go_with_it(project: Path) -> None:
    """Of trees, an l2_regularization of 5 is usual; words would hardly count with it."""
    assert model_of(project)["parameters"]["l2_regularization"] == 5.0
    adopt(project, opinions(), "bad")
    assert model_of(project) == {"type": tfidf.NAME, "parameters": {}}
    commit(project)
    adopt(project, few_buy(), "buys")
    assert model_of(project) == {"type": "boosting", "parameters": {"max_iter": 40, "min_samples_leaf": 56}}


def test_type_of_the_team_s_own_stays(project: Path) -> None:
    text = (project / "pipeline.toml").read_text(encoding="utf-8")
    (project / "pipeline.toml").write_text(text.replace('type = "boosting"', 'type = "forest"'), encoding="utf-8")
    commit(project)
    before = model_of(project)
    adopt(project, few_buy(), "buys")
    after = model_of(project)
    assert (after["type"], after["parameters"].keys()) == ("forest", before["parameters"].keys())
    assert after["parameters"]["max_iter"] == before["parameters"]["max_iter"]


@pytest.mark.parametrize(
    ("unlabelled", "fraction"),
    [(0.05, 0.9), (0.2, 0.7), (0.8, 0.1), (1.0, 0.9)],
    ids=["few", "a fifth", "most", "all of one month"],
)
def test_gaps_of_the_target_are_no_labels_that_are_late(project: Path, unlabelled: float, fraction: float) -> None:
    random = np.random.default_rng(5)
    table = pd.DataFrame({"day": pd.date_range("2023-01-01", "2023-12-31").repeat(4)})
    table["x"] = random.random(len(table)).round(3)
    table["y"] = (3 * table["x"] + random.normal(0, 0.1, len(table))).round(3)
    june = table.index[table["day"].dt.month == 6]
    table.loc[june[: round(unlabelled * len(june))], "y"] = np.nan
    adopted = adopt(project, table.assign(day=table["day"].astype("str")), "y")
    assert load_settings(project).labels.min_labelled_fraction == fraction
    assert ("[labels] min_labelled_fraction is" in adopted.said) == (fraction < 0.9)
    ours = Project(contract=adopted.contract, model_types={"boosting": boosting.MODEL_TYPE})
    settings = load_settings(project)
    clean = stages.validate(ours, settings, stages.ingest(ours, settings, "2023-06").dataset_uri, "run")
    if unlabelled < 1:
        assert stages.train(ours, settings, clean.dataset_uri, "run").run_id
    else:
        with pytest.raises(ContractError, match="0 of 120 rows have a label"):
            stages.train(ours, settings, clean.dataset_uri, "run")


def test_texts_whose_target_moves_are_adopted(project: Path) -> None:
    table = opinions(600)
    days = pd.date_range("2022-01-01", periods=600).astype("str")
    price = (0.05 * np.arange(600) + 3 * table.pop("bad")).round(2)
    adopted = adopt(project, table.assign(day=days, price=price), "price")
    assert "the level of 'price' moves with time" in adopted.said
