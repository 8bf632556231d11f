"""The model confidence set: the models whose loss is indistinguishable from the lowest, all compared at once.

References
----------
Hansen, Lunde and Nason, The Model Confidence Set, Econometrica 79 (2011): the range statistic.
"""

import numpy as np

TINY = 1e-12
"""Least standard error, of two models that predict the same."""


def confidence_set(samples: np.ndarray) -> np.ndarray:
    """p-value of each model, shape (n_models,): the set of level c are the models whose p-value is at least 1 - c.

    The difference between each two models is divided by its standard error. As long as the greatest is beyond what as
    many models without any difference reach by chance, the worst model is dropped and the others are tested again.

    Parameters
    ----------
    samples : mean loss of each model on the same rows, as measured and in each draw of blocks, the same draw for all
        models; shape (n_models, 1 + resamples)

    Returns
    -------
    1 for the model that is dropped last, which has the lowest loss or equals one that has it.
    """
    differences = samples[:, None] - samples[None]
    errors = np.maximum(differences[..., 1:].std(axis=-1), TINY)
    found = differences[..., 0] / errors
    # Centred on what was measured: the draws of models that do not differ. Each pair is there with both signs.
    by_chance = (differences[..., 1:] - differences[..., :1]) / errors[..., None]
    p_values, left, p_value = np.ones(len(samples)), list(range(len(samples))), 0.0
    while len(left) > 1:
        pairs = np.ix_(left, left)
        greatest = by_chance[pairs].max(axis=(0, 1))
        # No model that is dropped later may seem worse than one that is dropped before it.
        p_value = max(p_value, float((greatest >= found[pairs].max()).mean()))
        worst = left[int(found[pairs].max(axis=1).argmax())]
        p_values[worst] = p_value
        left.remove(worst)
    return p_values
