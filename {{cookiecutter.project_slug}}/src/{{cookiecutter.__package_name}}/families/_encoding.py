"""Categories by what the target is where they occur, in the form that a family or what comes before it takes."""

from sklearn.model_selection import KFold
from sklearn.preprocessing import TargetEncoder

from .. import task

FOLDS = 5  # of which each row's mean of the target is that of the others


def make_target_encoder(seed: int) -> TargetEncoder:
    """An unfitted encoder of columns of codes."""
    return TargetEncoder(
        # Numbers of a few values look like classes.
        target_type="continuous" if task.IS_REGRESSION else "auto",
        cv=KFold(FOLDS, shuffle=True, random_state=seed),
    )
