"""What a search tries of boosted trees, whichever library grows them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna import Trial


def suggest(trial: "Trial") -> dict[str, Any]:
    """How far all trees go together, in how small steps, and how far each may go.

    Trees times learning rate is what counts most: drawn by themselves, few and slow ones would meet, or many and fast.
    """
    learning_rate = trial.suggest_float("learning_rate", 0.03, 0.2, log=True)
    total_step = trial.suggest_float("total_step", 3, 25, log=True)
    return {
        "learning_rate": learning_rate,
        "max_iter": round(total_step / learning_rate),
        "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 5, 63, log=True),
        "l2_regularization": trial.suggest_float("l2_regularization", 0.1, 100, log=True),
        "max_features": trial.suggest_float("max_features", 0.3, 1.0),
    }


_SMALL: dict[str, Any] = {
    "learning_rate": 0.06,
    "total_step": 7.0,
    "max_leaf_nodes": 15,
    "l2_regularization": 5.0,
    "max_features": 0.7,
}
POINTS: list[dict[str, Any]] = [
    _SMALL,
    {**_SMALL, "encoding": "target"},
    {**_SMALL, "max_leaf_nodes": 8},
    {**_SMALL, "learning_rate": 0.04, "total_step": 12.0, "max_leaf_nodes": 31, "max_features": 0.5},
]
"""Often better than the defaults: smaller trees, categories by their target, more trees of features drawn."""
