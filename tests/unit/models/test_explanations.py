"""Contributions are SHAP values by their definition, and sum with the base to what the model predicts."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from math import factorial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestRegressor

from examples import skip_without
from flights import FLIGHTS, Rows
from model_rows import LIBRARIES, TABLES, Table, table_of
from modelworks.contract import multiclass, regression
from modelworks.errors import ExplanationError
from modelworks.models import pipeline
from modelworks.models.explanations import Explainer, estimators
from modelworks.models.explanations.columns import name_columns
from modelworks.models.explanations.estimators import Parts, make_split
from modelworks.models.explanations.trees import Tree, TreePaths
from modelworks.settings import Model, Training

STUMP_OF_TWO = Tree(
    # Node 0 splits column 0; its right side, node 2, splits column 1.
    left=np.array([1, -1, 3, -1, -1]),
    right=np.array([2, -1, 4, -1, -1]),
    feature=np.array([0, 0, 1, 0, 0]),
    cover=np.array([10.0, 6.0, 4.0, 1.0, 3.0]),
    value=np.array([[0.0], [1.0], [0.0], [2.0], [6.0]]),
)


EXPLAINED = {
    "binary": TABLES["flights"],
    "multiclass": table_of(multiclass("kind", "kind", classes=["x", "y", "z"])),
    "regression": table_of(regression("price", "what was paid", unit="EUR")),
}


def serve(table: Table, model_type: str, **settings: Any) -> pipeline.Pipeline:
    """A fitted model as the API holds it."""
    skip_without(*LIBRARIES.get(model_type, []))
    return pipeline.skip_needless_encoding(table.fit(table.rows, table.model_of(model_type, **settings)))


def some_rows(table: Table) -> pd.DataFrame:
    """Rows with gaps, and rows with categories that nobody has seen."""
    return pd.concat([table.rows.head(20), table.strange.tail(20)])


def to_prediction(margin: np.ndarray, unit: str) -> np.ndarray:
    """What a model predicts by its margin, shape (n_rows,) or (n_rows, n_classes)."""
    if unit.startswith("log-odds"):
        return 1 / (1 + np.exp(-margin[:, 0]))
    if unit == "logits":
        return np.exp(margin) / np.exp(margin).sum(axis=1, keepdims=True)
    return margin[:, 0] if margin.shape[1] == 1 else margin


@pytest.mark.parametrize(
    ("kind", "model_type", "settings"),
    [
        ("binary", "boosting", {}),
        ("binary", "boosting", {"encoding": "target", "imputation": "median"}),
        ("binary", "forest", {}),
        ("binary", "linear", {}),
        ("binary", "linear", {"encoding": "target", "scaling": "squashing", "selected_fraction": 0.5}),
        ("binary", "lightgbm", {}),
        ("binary", "xgboost", {}),
        ("multiclass", "boosting", {}),
        ("multiclass", "boosting", {"encoding": "target"}),  # a column of each class
        ("multiclass", "forest", {}),
        ("multiclass", "linear", {}),
        ("multiclass", "lightgbm", {}),
        ("multiclass", "xgboost", {}),
        ("regression", "boosting", {}),
        ("regression", "forest", {"encoding": "target"}),
        ("regression", "linear", {}),
        ("regression", "blend", {}),
        ("regression", "lightgbm", {}),
        ("regression", "xgboost", {}),
    ],
    ids=str,
)
def test_base_and_contributions_sum_to_the_margin_of_the_served_prediction(
    kind: str, model_type: str, settings: dict[str, Any]
) -> None:
    table = EXPLAINED[kind]
    model, rows = serve(table, model_type, **settings), some_rows(table)
    found = Explainer(table.project, model).explain(rows)
    assert found.features == pipeline.used_features(model)
    assert found.contributions.shape == (len(rows), len(found.features), len(found.outputs))
    scale = np.maximum(1, np.abs(found.margin))
    np.testing.assert_array_less(np.abs(found.base + found.contributions.sum(axis=1) - found.margin) / scale, 1e-6)
    served = table.predict(model, rows)
    np.testing.assert_allclose(to_prediction(found.margin, found.unit), served, rtol=1e-6, atol=1e-6)
    assert np.abs(found.contributions).sum(axis=(0, 2)).argmax() == found.features.index(table.predictive)


def shapley(value: Callable[[frozenset[int]], np.ndarray], n_players: int) -> np.ndarray:
    """Shapley values by their definition, over all coalitions; shape (n_players, n_outputs)."""
    found = []
    for player in range(n_players):
        others = [each for each in range(n_players) if each != player]
        total = np.zeros_like(value(frozenset()))
        for size in range(n_players):
            weight = factorial(size) * factorial(n_players - size - 1) / factorial(n_players)
            for joined in combinations(others, size):
                total += weight * (value(frozenset({*joined, player})) - value(frozenset(joined)))
        found.append(total)
    return np.array(found)


def expected_value(tree: Tree, goes_left: np.ndarray, known: frozenset[int], node: int = 0) -> np.ndarray:
    """The mean for a row by what is known: at a split of another column, both sides by their training rows."""
    if tree.left[node] < 0:
        return np.asarray(tree.value[node])
    left, right = int(tree.left[node]), int(tree.right[node])
    if tree.feature[node] in known:
        return expected_value(tree, goes_left, known, left if goes_left[node] else right)
    sides = [tree.cover[side] * expected_value(tree, goes_left, known, side) for side in (left, right)]
    return np.asarray(sum(sides) / tree.cover[node])


def test_a_tree_by_hand() -> None:
    """A mean of (6 * 1 + 1 * 2 + 3 * 6) / 10 = 2.6. The row goes right, and then left: 2.

    With column 0 only: (1 * 2 + 3 * 6) / 4 = 5. With column 1 only: (6 * 1 + 4 * 2) / 10 = 1.4.
    Column 0: half of 5 - 2.6 and half of 2 - 1.4. Column 1: half of 1.4 - 2.6 and half of 2 - 5.
    """
    paths = TreePaths(STUMP_OF_TWO)
    assert paths.expected == pytest.approx([2.6])
    goes_left = np.array([[False, True, True, True, True]])
    assert paths.contributions(goes_left, 2)[0, :, 0] == pytest.approx([1.5, -2.1])


def test_tree_of_one_leaf_has_no_contributions() -> None:
    leaf = Tree(np.array([-1]), np.array([-1]), np.array([0]), np.array([5.0]), np.array([[3.0]]))
    paths = TreePaths(leaf)
    assert paths.expected == pytest.approx([3.0])
    assert not paths.contributions(np.zeros((4, 1), bool), 2).any()


@pytest.fixture(scope="module")
def mixed() -> tuple[np.ndarray, np.ndarray]:
    """Two columns of categories, three of numbers, gaps in each; and a target that depends on pairs of them."""
    random = np.random.default_rng(3)
    matrix = np.c_[random.integers(0, 6, (1500, 2)), random.normal(size=(1500, 3))]
    target = np.isin(matrix[:, 0], [1, 4]) * matrix[:, 2] + matrix[:, 3] * (matrix[:, 4] > 0) + 0.5 * matrix[:, 1]
    return np.where(random.random(matrix.shape) < 0.1, np.nan, matrix), target


def boosted(mixed: tuple[np.ndarray, np.ndarray], kind: type, target: np.ndarray) -> Any:
    return kind(max_iter=3, max_leaf_nodes=12, categorical_features=[0, 1], random_state=0).fit(mixed[0], target)


@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_boosted_trees_with_categories_and_gaps_have_shapley_values(
    mixed: tuple[np.ndarray, np.ndarray], n_classes: int
) -> None:
    matrix, target = mixed
    if n_classes:
        target = np.digitize(target, np.quantile(target, np.arange(1, n_classes) / n_classes))
    model = boosted(mixed, HistGradientBoostingClassifier if n_classes else HistGradientBoostingRegressor, target)
    rows = matrix[:6].copy()
    rows[5, 0] = 77  # which no row of training has
    parts = make_split(model)(rows)
    known, position = model._bin_mapper.make_known_categories_bitsets()
    prepared = model._preprocess_X(rows, reset=False)
    trees = [
        (output, estimators._boosted_tree(each.nodes), estimators._goes_left(each, prepared, known, position))
        for of_iteration in model._predictors
        for output, each in enumerate(of_iteration)
    ]
    assert any(each.nodes["is_categorical"].any() for of_iteration in model._predictors for each in of_iteration)
    for at in range(len(rows)):

        def value(columns: frozenset[int], at: int = at) -> np.ndarray:
            total = np.ravel(model._baseline_prediction).astype("float64")
            for output, tree, goes_left in trees:
                total[output] += expected_value(tree, goes_left[at], columns)[0]
            return total

        np.testing.assert_allclose(parts.contributions[at], shapley(value, 5), atol=1e-12)
        np.testing.assert_allclose(parts.base, value(frozenset()), atol=1e-12)
        np.testing.assert_allclose(parts.margin[at], value(frozenset(range(5))), atol=1e-12)


def test_forest_has_shapley_values(mixed: tuple[np.ndarray, np.ndarray]) -> None:
    matrix, target = mixed
    model = RandomForestRegressor(4, max_leaf_nodes=10, random_state=0).fit(matrix, target)
    parts = make_split(model)(matrix[:3])
    trees = [(estimators._tree_of_forest(each.tree_, is_binary=False), each.tree_) for each in model.estimators_]
    sides = [estimators._goes_left_in_forest(tree, matrix[:3].astype("float32")) for _, tree in trees]
    for at in range(3):

        def value(columns: frozenset[int], at: int = at) -> np.ndarray:
            found = [expected_value(tree, side[at], columns) for (tree, _), side in zip(trees, sides, strict=True)]
            return np.asarray(np.mean(found, axis=0))

        np.testing.assert_allclose(parts.contributions[at], shapley(value, 5), atol=1e-12)


def test_our_values_are_those_of_lightgbm_for_its_own_trees(mixed: tuple[np.ndarray, np.ndarray]) -> None:
    """Its trees, read from its text, by our paths: two implementations of one definition."""
    skip_without("lightgbm")
    import lightgbm

    matrix, target = np.nan_to_num(mixed[0]), mixed[1]
    model = lightgbm.LGBMRegressor(n_estimators=2, num_leaves=12, verbosity=-1).fit(matrix, target)
    expected = np.asarray(model.predict(matrix[:5], pred_contrib=True))
    found = np.zeros((5, 5, 1))
    for described in model.booster_.dump_model()["tree_info"]:
        nodes: list[dict[str, Any]] = []
        _flatten(described["tree_structure"], nodes)
        threshold = np.array([each.get("threshold", 0.0) for each in nodes])
        tree = Tree(
            left=np.array([each["left"] for each in nodes]),
            right=np.array([each["right"] for each in nodes]),
            feature=np.array([each.get("split_feature", 0) for each in nodes]),
            cover=np.array([each.get("internal_count", each.get("leaf_count")) for each in nodes], float),
            value=np.array([[each.get("leaf_value", 0.0)] for each in nodes]),
        )
        found += TreePaths(tree).contributions(matrix[:5][:, tree.feature] <= threshold, 5)
    np.testing.assert_allclose(found[:, :, 0], expected[:, :-1], atol=1e-9)


def _flatten(node: dict[str, Any], nodes: list[dict[str, Any]]) -> int:
    """Append a node and all below it; returns its position."""
    at = len(nodes)
    nodes.append(node | {"left": -1, "right": -1})
    if "left_child" in node:
        nodes[at]["left"], nodes[at]["right"] = (_flatten(node[side], nodes) for side in ("left_child", "right_child"))
    return at


def test_linear_contribution_is_the_coefficient_times_the_value() -> None:
    table = EXPLAINED["regression"]
    model = serve(table, "linear")
    row = table.rows.dropna().head(1)
    found = Explainer(table.project, model).explain(row)
    numbers = model.named_steps["preprocessing"].named_transformers_["numbers"]
    names = name_columns(model.named_steps["columns"])[1:]  # the first is the category
    gaps = numbers.named_steps["imputation"].indicator_.features_
    names += [names[at] for at in gaps]
    scaled = numbers.transform(model.named_steps["columns"].transform(row[list(model.feature_names_in_)])[:, 1:])
    terms = model[-1].coef_[-len(names) :] * scaled[0]
    expected = sum(term for name, term in zip(names, terms, strict=True) if name == "wind")
    assert found.contributions[0, found.features.index("wind"), 0] == pytest.approx(expected)
    assert found.base == pytest.approx([model[-1].intercept_])
    assert found.unit == "EUR"


def test_columns_are_named_after_their_feature() -> None:
    step = SimpleNamespace(
        texts=["carrier"],
        times=["when"],
        time_parts=["minute_of_day", "day_of_week", "days"],
        dates=["opened"],
        numbers=["wind"],
        documents=["note"],
        encoders=[SimpleNamespace(size=2)],
    )
    assert name_columns(step) == ["carrier", "when", "when", "when", "opened", "wind", "note", "note"]


def test_derived_features_have_contributions_of_their_own(rows: Rows) -> None:
    drawn = np.random.default_rng(7)
    frame = rows(300, wind_speed=drawn.normal(10, 3, 300), temp=drawn.normal(60, 10, 300))
    frame = frame.assign(delayed=(frame["wind_speed"] * frame["temp"] > 600).astype("float64"))
    project = replace(FLIGHTS, features=_add_chill)
    model = pipeline.fit(project, frame, Training(), Model(parameters={"max_iter": 5, "min_samples_leaf": 5}))
    found = Explainer(project, model).explain(frame.head(3))
    assert "chill" in found.features
    assert np.abs(found.contributions[:, found.features.index("chill")]).max() > 0


def _add_chill(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(chill=rows["wind_speed"] * rows["temp"])


@pytest.mark.parametrize(("model_type", "kind"), [("blend", "VotingClassifier"), ("pytorch", "PyTorchClassifier")])
def test_model_that_is_no_sum_says_so(model_type: str, kind: str) -> None:
    table = EXPLAINED["binary"]
    model = serve(table, model_type)
    with pytest.raises(ExplanationError, match=f"a {kind} cannot be explained: its prediction is no sum of"):
        Explainer(table.project, model)


def test_sum_that_is_not_the_prediction_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a release of scikit-learn that keeps its trees in another way."""
    table = EXPLAINED["binary"]
    explainer = Explainer(table.project, serve(table, "boosting"))
    split = explainer._split

    def wrong(matrix: np.ndarray) -> Parts:
        parts = split(matrix)
        return Parts(parts.base + 1e-5, parts.contributions, parts.margin)

    monkeypatch.setattr(explainer, "_split", wrong)
    with pytest.raises(
        ExplanationError, match="the contributions do not sum to the prediction, but differ by up to 1e-05"
    ):
        explainer.explain(table.rows.head(3))


def test_json_has_each_row_and_each_class() -> None:
    table = EXPLAINED["multiclass"]
    found = Explainer(table.project, serve(table, "boosting")).explain(table.rows.head(2))
    content = found.to_json()
    assert content["unit"] == "logits"
    assert [list(row["classes"]) for row in content["rows"]] == [["x", "y", "z"]] * 2
    of_class = content["rows"][1]["classes"]["y"]
    assert list(of_class["contributions"]) == found.features
    assert of_class["base"] + sum(of_class["contributions"].values()) == pytest.approx(of_class["margin"], abs=1e-9)
