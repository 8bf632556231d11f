"""A month that arrives other than it was, to see what the alarms make of it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from .. import schema, storage, task
from ..config import Settings
from ..errors import ConfigError

Kind = Literal["shift", "scale", "constant", "nulls", "shuffle", "flip"]


@dataclass(frozen=True)
class Perturbation:
    """What is done to one column of one month.

    Attributes
    ----------
    kind : add the amount, multiply by it, set all to it, empty that share of the rows, shuffle that share among
        themselves, or turn that share of labels into the next class
    """

    month: str
    column: str
    kind: Kind
    amount: float

    def __post_init__(self) -> None:
        if self.column not in schema.DTYPES:
            raise ConfigError(f"column {self.column!r}: not in the contract, which has {', '.join(schema.DTYPES)}")
        is_number = not schema.is_text(self.column) and not schema.is_time(self.column)
        if self.kind in {"shift", "scale", "constant"} and not is_number:
            raise ConfigError(f"column {self.column!r} holds no numbers: it can be emptied or shuffled")
        if self.kind == "flip" and (self.column != schema.TARGET or task.IS_REGRESSION):
            raise ConfigError(f"only labels of classes can be flipped; the target is {schema.TARGET!r}, {schema.TASK}")
        if self.kind in {"nulls", "shuffle", "flip"} and not 0 < self.amount <= 1:
            raise ConfigError(f"{self.kind} {self.amount}: a share of the rows is wanted, above 0 and at most 1")
        if self.kind == "nulls" and not schema.SCHEMA.columns[self.column].nullable:
            raise ConfigError(
                f"column {self.column!r} may not be null by the contract: validation would refuse the month"
            )


def perturb(frame: pd.DataFrame, change: Perturbation, seed: int) -> pd.DataFrame:
    """The rows with one column changed; the same seed changes the same rows."""
    values = frame[change.column]
    random = np.random.default_rng(seed)
    chosen = random.random(len(frame)) < change.amount
    if change.kind == "shift":
        changed = values + change.amount
    elif change.kind == "scale":
        changed = values * change.amount
    elif change.kind == "constant":
        changed = values.where(values.isna(), change.amount)
    elif change.kind == "nulls":
        changed = values.mask(chosen)
    elif change.kind == "flip":
        changed = values.mask(chosen & values.notna(), _next_class(values))
    else:
        changed = values.copy()
        changed[chosen] = random.permutation(values[chosen].to_numpy())
    dtype = schema.DTYPES[change.column]
    return frame.assign(**{change.column: changed.round() if dtype.startswith("int") else changed}).astype({
        change.column: values.dtype
    })


def _next_class(labels: pd.Series) -> pd.Series:
    codes = np.nan_to_num(task.code(labels))
    return task.label((codes + 1) % len(schema.CLASSES)).set_axis(labels.index)


def perturb_month(settings: Settings, change: Perturbation) -> None:
    """Let a month's rows in the storage be the perturbed ones; only for a twin's storage."""
    raw = storage.find_partitions(settings.storage_uri, "raw", change.month)[-1]
    frame = pd.concat(storage.read_batches(raw), ignore_index=True)
    storage.remove_partition(raw)
    with storage.new_partition(settings.storage_uri, "raw", change.month) as writer:
        writer.write(perturb(frame, change, settings.training.seed))
        origin = {"source": raw.source, "source_sha256": raw.source_sha256, "contract_version": raw.contract_version}
        writer.publish(**origin, **raw.facts)
