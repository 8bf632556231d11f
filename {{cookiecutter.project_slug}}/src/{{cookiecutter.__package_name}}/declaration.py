"""The words that the contract is written in."""

import unicodedata
from typing import Literal

import pandas as pd
import pandera.pandas as pa

Role = Literal["time", "key", "feature", "unused", "outcome", "target"]
"""What a column is for. A `key` that the model may see as well is a `feature` that is named in `KEY`."""
Task = Literal["binary", "multiclass", "regression"]
Content = Literal["category", "text", "image"]
"""What a `str` holds: one of some words; or else a document of its own in each row: a text, or an image in base64."""


def column(
    role: Role,
    dtype: str,
    description: str,
    *checks: pa.Check,
    unit: str = "",
    nullable: bool = False,
    content: Content = "category",
) -> pa.Column:
    """A column of the contract.

    Parameters
    ----------
    dtype : of pandas: int64, float64, str or datetime64[us]
    checks : what each value has to keep
    content : of a `str`; to learn from a text or an image takes an encoder of pretrained/
    """
    # pandera has names of its own for some dtypes; pandas' are kept beside them.
    metadata = {"role": role, "unit": unit, "dtype": dtype}
    if content != "category":  # the version of a contract without documents stays what it was
        metadata["content"] = content
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


def length(low: int, high: int) -> pa.Check:
    """A text of so many characters, both included."""
    return pa.Check.str_length(low, high)


def in_script(script: str) -> pa.Check:
    """A text whose letters are for the most part of one script, such as "LATIN", as Unicode calls it.

    A text without any letter passes. What a network has never learned to read gets numbers all the same, which say
    nothing.
    """

    def is_in_script(values: pd.Series) -> pd.Series:
        return values.map(lambda text: _share_of_script(text, script) >= 0.5, na_action="ignore").astype("bool")

    return pa.Check(is_in_script, name="in_script", statistics={"script": script}, error=f"not in {script} script")


def _share_of_script(text: str, script: str) -> float:
    # In a long text the first letters tell.
    letters = [letter for letter in text[:10_000] if letter.isalpha()]
    found = sum(unicodedata.name(letter, "").startswith(script) for letter in letters)
    return found / len(letters) if letters else 1.0
