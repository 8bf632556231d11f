"""Target encoding: a category as the mean of the target where it occurs."""

from typing import TYPE_CHECKING

from modelworks.targets import Target

if TYPE_CHECKING:
    from sklearn.preprocessing import TargetEncoder

FOLDS = 5  # a row's mean of the target is that of the folds which it is not in


def make_target_encoder(target: Target, seed: int) -> "TargetEncoder":
    """An unfitted encoder of columns of codes."""
    from sklearn.model_selection import KFold
    from sklearn.preprocessing import TargetEncoder

    return TargetEncoder(
        # Numbers of a few values look like classes.
        target_type="continuous" if target.is_regression else "auto",
        cv=KFold(FOLDS, shuffle=True, random_state=seed),
    )
