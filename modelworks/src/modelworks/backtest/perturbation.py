"""A period that arrives with changed values, to test the alarms."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from modelworks.contract import Contract
from modelworks.data import partitions
from modelworks.errors import ConfigError
from modelworks.project import Project
from modelworks.settings import Settings

Kind = Literal["shift", "scale", "constant", "nulls", "shuffle", "flip"]


@dataclass(frozen=True)
class Perturbation:
    """A change of one column of one period.

    Attributes
    ----------
    kind : add the amount, multiply by it, set all to it, empty that share of the rows, shuffle that share among
        themselves, or turn that share of labels into the next class
    """

    period: str
    column: str
    kind: Kind
    amount: float


def check(contract: Contract, change: Perturbation) -> None:
    """Make sure that a change can be applied to rows of the contract.

    Raises
    ------
    ConfigError
        If it cannot.
    """
    column, kind, target = change.column, change.kind, contract.target
    if column not in contract.dtypes:
        raise ConfigError(f"column {column!r}: not in the contract, which has {', '.join(contract.dtypes)}")
    is_number = not contract.is_text(column) and not contract.is_time(column)
    if kind in {"shift", "scale", "constant"} and not is_number:
        raise ConfigError(f"column {column!r} holds no numbers: it can be emptied or shuffled")
    if kind == "flip" and (column != target.column or target.is_regression):
        raise ConfigError(f"only labels of classes can be flipped; the target is {target.column!r}, {target.kind}")
    if kind in {"nulls", "shuffle", "flip"} and not 0 < change.amount <= 1:
        raise ConfigError(f"{kind} {change.amount}: a share of the rows is wanted, above 0 and at most 1")
    if kind == "nulls" and not contract.columns[column].nullable:
        raise ConfigError(f"column {column!r} may not be null by the contract: validation would refuse the period")


def perturb(contract: Contract, frame: pd.DataFrame, change: Perturbation, seed: int) -> pd.DataFrame:
    """The rows with one column changed; the same seed changes the same rows."""
    values = frame[change.column]
    changed = _change(contract, values, change, np.random.default_rng(seed))
    if contract.dtypes[change.column].startswith("int"):
        changed = changed.round()
    return frame.assign(**{change.column: changed.astype(values.dtype)})


def _change(contract: Contract, values: pd.Series, change: Perturbation, random: np.random.Generator) -> pd.Series:
    chosen = random.random(len(values)) < change.amount
    match change.kind:
        case "shift":
            return values + change.amount
        case "scale":
            return values * change.amount
        case "constant":
            return values.where(values.isna(), change.amount)
        case "nulls":
            return values.mask(chosen)
        case "flip":
            return values.mask(chosen & values.notna(), _next_class(contract, values))
        case "shuffle":
            shuffled = values.copy()
            shuffled[chosen] = random.permutation(values[chosen].to_numpy())
            return shuffled


def _next_class(contract: Contract, labels: pd.Series) -> pd.Series:
    codes = np.nan_to_num(contract.target.encode(labels))
    return contract.target.decode((codes + 1) % len(contract.target.classes)).set_axis(labels.index)


def perturb_period(project: Project, settings: Settings, change: Perturbation) -> None:
    """Replace a period's rows in the storage by the changed ones; only for the storage of a sandbox."""
    raw = partitions.find_partitions(settings.storage_uri, "raw", change.period)[-1]
    frame = pd.concat(partitions.read_batches(raw), ignore_index=True)
    partitions.remove_partition(raw)
    rows_per_part = settings.compute.rows_per_part
    with partitions.new_partition(settings.storage_uri, "raw", change.period, rows_per_part) as writer:
        writer.write(perturb(project.contract, frame, change, settings.training.seed))
        origin = {"source": raw.source, "source_sha256": raw.source_sha256, "contract_version": raw.contract_version}
        writer.publish(**origin, **raw.facts)
