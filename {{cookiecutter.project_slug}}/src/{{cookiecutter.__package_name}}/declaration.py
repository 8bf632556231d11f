"""The words that the contract is written in."""

from typing import Literal

import pandera.pandas as pa

Role = Literal["time", "key", "feature", "unused", "outcome", "target"]
"""What a column is for. A `key` that the model may see as well is a `feature` that is named in `KEY`."""
Task = Literal["binary", "multiclass", "regression"]


def column(
    role: Role, dtype: str, description: str, *checks: pa.Check, unit: str = "", nullable: bool = False
) -> pa.Column:
    """A column of the contract.

    Parameters
    ----------
    dtype : of pandas: int64, float64, str or datetime64[us]
    checks : what each value has to keep
    """
    # pandera has names of its own for some dtypes; pandas' are kept beside them.
    metadata = {"role": role, "unit": unit, "dtype": dtype}
    return pa.Column(dtype, list(checks), nullable=nullable, description=description, metadata=metadata)


def between(low: float, high: float) -> pa.Check:
    """From `low` to `high`, both included."""
    return pa.Check.in_range(low, high)


def matches(pattern: str) -> pa.Check:
    """A text in which a regular expression is found at the beginning."""
    return pa.Check.str_matches(pattern)


def one_of(*values: object) -> pa.Check:
    """One of some values."""
    return pa.Check.isin(list(values))
