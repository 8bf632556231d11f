"""The search space of boosted trees, whichever library grows them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna import Trial


def search_space(trial: "Trial") -> dict[str, Any]:
    """Total step of all trees, step of each tree, and size and regularization of a tree.

    Trees times learning rate matters most: drawn independently, few slow trees would occur, and many fast ones.
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
INITIAL_POINTS: list[dict[str, Any]] = [
    _SMALL,
    {**_SMALL, "encoding": "target"},
    {**_SMALL, "max_leaf_nodes": 8},
    {**_SMALL, "learning_rate": 0.04, "total_step": 12.0, "max_leaf_nodes": 31, "max_features": 0.5},
]
"""Often better than the defaults: smaller trees, target encoding, more trees of sampled features."""
