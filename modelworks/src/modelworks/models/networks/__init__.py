"""Networks for tables, in scikit-learn's form: what they share, and a module for each framework.

A module of a framework is imported only where a network is fitted or loaded, as that takes seconds.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna import Trial

DEFAULTS: dict[str, Any] = {
    "embedding_width": 8,
    "hidden_layers": 2,
    "hidden_width": 128,
    "dropout": 0.3,
    "step_size": 0.002,
    "weight_decay": 0.01,
    "batch_size": 1024,
    "max_epochs": 10,
    "patience": 4,
}
"""Of a network of any framework, as `table.TableNetwork` describes them."""


def search_space(trial: "Trial") -> dict[str, Any]:
    """Size of the network, step size, and regularization."""
    return {
        "embedding_width": trial.suggest_int("embedding_width", 2, 16, log=True),
        "hidden_layers": trial.suggest_int("hidden_layers", 1, 3),
        "hidden_width": trial.suggest_int("hidden_width", 32, 256, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.4),
        "step_size": trial.suggest_float("step_size", 3e-4, 1e-2, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-4, 1e-1, log=True),
        "batch_size": trial.suggest_int("batch_size", 128, 2048, log=True),
    }
