"""Values of a request that are written as in the project's files, read by the recipe by which `import` reads these.

JSON has no times, and what reads a CSV file has its numbers as text. A project that `adopt` has made says in
data/import.toml how its files write both; without it, text is no number, and a time is as ISO 8601 has it.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from modelworks.adopt import recipe
from modelworks.adopt.conversion import parse_checked
from modelworks.adopt.formats import UNIX, YEAR, YEAR_AND_PART
from modelworks.adopt.profile import encode
from modelworks.adopt.recipe import ColumnRecipe, Recipe
from modelworks.contract import Contract

MAX_SHOWN = 80  # letters of a value in a message
INT64 = range(-(2**63), 2**63)
EXAMPLES = {
    "int": "1234",
    "point": "1234.5",
    "comma": "1234,5",
    "point, thousands": "1,234.5",
    "comma, thousands": "1.234,5",
    "point, spaces": "1 234.5",
    "comma, spaces": "1 234,5",
    "unix s": "1388448000",
    "unix ms": "1388448000000",
    "unix us": "1388448000000000",
    "unix ns": "1388448000000000000",
}
DATE_PARTS = str.maketrans({"Y": "2013", "y": "13", "m": "12", "b": "Dec", "Q": "Q4", "d": "31"})
"""The last day of 2013, for the formats of dates."""
WITHOUT_CLOCK = {*YEAR_AND_PART, "b-Y", "b-y", YEAR, *UNIX}
OWN_FORMS = {
    "int64": "a whole number",
    "float64": "a number",
    "datetime64[us]": "2013-12-31 or 2013-12-31T08:15:00",
}
"""What a request may hold whatever the files are like, by dtype."""


def read_recipe(home: Path) -> Recipe | None:
    """How the project's files are read; None where `adopt` has not made the project.

    Raises
    ------
    AdoptionError
        If somebody has broken data/import.toml.
    """
    path = home / "data" / "import.toml"
    return recipe.load(path) if path.is_file() else None


class FileForms:
    """How the columns of a contract may be written in a request, beside JSON's own numbers and ISO 8601's times.

    Parameters
    ----------
    known : None where nothing says how the files are written
    """

    def __init__(self, contract: Contract, names: list[str], known: Recipe | None) -> None:
        self._contract = contract
        self._null_words = known.null_words if known else []
        columns = {each.name: each for each in known.columns} if known else {}
        self._columns = {name: columns[name] for name in names if name in columns and _fits(contract, columns[name])}
        # Where a text has to be there, a word for "no value" is a text like any other.
        self._texts = {
            name: frozenset(self._null_words if contract.columns[name].nullable else [])
            for name in self._columns
            if contract.is_text(name)
        }

    def to_schemas(self, name: str) -> list[dict[str, Any]]:
        """JSON schemas of what a number or a time may be as in the files; none where these say nothing of it."""
        if not self._is_written(name):
            return []
        kinds = ["string", "integer"] if self._is_whole(name) else ["string"]
        return [{"type": kind, "description": f"as in the files, {self._describe_written(name)}"} for kind in kinds]

    def _is_written(self, name: str) -> bool:
        return name in self._columns and name not in self._texts

    def _is_whole(self, name: str) -> bool:
        """Whether a time is a whole number."""
        column = self._columns[name]
        return column.dtype == "datetime64[us]" and column.formats[0] in {*UNIX, YEAR}

    def are_in_texts(self, read: Callable[[str], Iterable[str | None]]) -> bool:
        """Whether a category or a text of valid rows is written otherwise than the model has seen it: `NA`, or " a".

        Parameters
        ----------
        read : from the name of a column to its values
        """
        for name, nulls in self._texts.items():
            for value in read(name):
                if value is not None and (value in nulls or value[:1].isspace() or value[-1:].isspace()):
                    return True
        return False

    def read(self, rows: list[Any], names: set[str]) -> list[Any]:
        """Rows in which each value that is written as in the files is as JSON has it; other values as they were.

        Parameters
        ----------
        names : columns of numbers and times to read, beside those of text
        """
        found = [dict(row) if isinstance(row, dict) else row for row in rows]
        same: dict[tuple[Any, ...], list[tuple[int, str]]] = {}
        for name in [each for each in self._columns if each in names or each in self._texts]:
            column = self._columns[name]
            kinds = (str, int) if self._is_whole(name) else (str,)
            for at, row in enumerate(found):
                value = row.get(name) if isinstance(row, dict) else None
                if type(value) in kinds and (isinstance(value, str) or value in INT64):
                    nulls = self._texts.get(name)
                    rule = (type(value), column.dtype, *column.formats, column.unit, nulls)
                    same.setdefault(rule, []).append((at, name))
        # One call for all cells that are read alike: a call of pandas costs more than a value.
        for cells in same.values():
            values = [found[at][name] for at, name in cells]
            for (at, name), value in zip(cells, self._parse(values, self._columns[cells[0][1]]), strict=True):
                found[at][name] = value
        return found

    def _parse(self, values: list[Any], column: ColumnRecipe) -> list[Any]:
        """The values as JSON has them; those that do not parse stay."""
        if column.name in self._texts and not self._texts[column.name]:
            return [value.strip() for value in values]
        distinct, codes = encode(pa.array(values, pa.string() if isinstance(values[0], str) else pa.int64()))
        typed, wrong = parse_checked(distinct, column, self._null_words)
        if column.dtype == "datetime64[us]":
            typed = pd.Series(np.datetime_as_string(typed.to_numpy()), dtype="object").where(typed.notna().to_numpy())
        parsed = [None if pd.isna(value) else value for value in typed.tolist()]
        is_wrong = wrong.tolist()
        return [given if is_wrong[code] else parsed[code] for given, code in zip(values, codes.tolist(), strict=True)]

    def explain(self, name: str, given: Any, read: Any) -> str:
        """Why a value that does not parse is refused, and what is accepted; "" where pydantic's message says it.

        Parameters
        ----------
        given : as it came
        read : as `read` has it
        """
        if self._contract.is_text(name) or not isinstance(given, str | float | int):
            return ""
        shown = repr(given) if len(repr(given)) <= MAX_SHOWN else f"{repr(given)[:MAX_SHOWN]}..."
        if read is None:
            return f"{shown} means no value, and this column needs one"
        what = {"int64": "whole number", "float64": "number"}.get(self._contract.dtypes[name], "time")
        return f"{shown} is no {what} here; accepted: {self._describe(name)}"

    def _describe(self, name: str) -> str:
        """What is accepted for a number or a time, in words."""
        own = OWN_FORMS[self._contract.dtypes[name]]
        if self._is_written(name):
            return f"{own}, or as in the files, {self._describe_written(name)}"
        return f"{own}, without an offset" if self._contract.is_time(name) else f"{own}, not as text"

    def _describe_written(self, name: str) -> str:
        """How the files write a number or a time, in words."""
        column = self._columns[name]
        examples = " or ".join(EXAMPLES.get(fmt) or fmt.translate(DATE_PARTS) for fmt in column.formats)
        if column.unit:
            return f"such as {examples}, with or without {column.unit!r}"
        has_clock = self._contract.is_time(name) and not {*column.formats} & WITHOUT_CLOCK
        return f"such as {examples}" + has_clock * "; a time of day may follow, and an offset, which makes it UTC"


def _fits(contract: Contract, column: ColumnRecipe) -> bool:
    """Whether a column is of the kind that the contract declares, and its files say how it is written."""
    kinds = {"str": "text", "datetime64[us]": "time"}
    is_known = bool(column.formats) or column.dtype == "str"
    return is_known and kinds.get(column.dtype) == kinds.get(contract.dtypes[column.name])
