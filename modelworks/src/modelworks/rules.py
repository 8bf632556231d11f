"""Conditions on the values of a column, as a contract declares them; `modelworks.data.frames` checks them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Rule:
    """A condition on each value of a column.

    Attributes
    ----------
    name : as it appears in the reason of a quarantined row
    arguments : what it is parametrised by; a part of the contract's version
    holds : for a rule of one's own: from a column to booleans, shape (n_rows,)
    """

    name: str
    arguments: Mapping[str, Any]
    holds: Callable[[Any], Any] | None = None


def between(low: float, high: float) -> Rule:
    """From `low` to `high`, both included."""
    return Rule("in_range", {"min_value": low, "max_value": high})


def matches(pattern: str) -> Rule:
    """A text whose beginning matches a regular expression."""
    return Rule("str_matches", {"pattern": pattern})


def one_of(*values: object) -> Rule:
    """One of the `values`."""
    return Rule("isin", {"allowed_values": list(values)})


def length(low: int, high: int) -> Rule:
    """A text of `low` to `high` characters, both included."""
    return Rule("str_length", {"min_value": low, "max_value": high})


def in_script(script: str) -> Rule:
    """A text at least half of whose letters are of one Unicode script, such as "LATIN".

    A text without any letter passes. A network encodes a script that it was not trained on to numbers without meaning.
    """
    return Rule("in_script", {"script": script})


def is_image(low: int, high: int, mode: Literal["grey", "colour", "any"] = "any") -> Rule:
    """An image, PNG or JPEG in base64, whose sides have from `low` to `high` pixels.

    Parameters
    ----------
    mode : "grey" and "colour" refuse the other one; CMYK and grey of 16 bits are refused in any case
    """
    return Rule("is_image", {"low": low, "high": high, "mode": mode})
