"""Rows by column: what takes a column at a time need not go through every row for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any


@dataclass(frozen=True)
class Columns:
    """Rows as JSON has their values, times aside, which are `datetime`s; null is None.

    Attributes
    ----------
    by_name : the values of each column, `n_rows` each
    """

    by_name: Mapping[str, Sequence[Any]]
    n_rows: int

    def __len__(self) -> int:
        return self.n_rows

    def __getitem__(self, name: str) -> Sequence[Any]:
        return self.by_name[name]

    @classmethod
    def from_records(cls, records: Sequence[Mapping[str, Any]]) -> "Columns":
        """The same rows; all have the columns of the first."""
        return cls({name: [row[name] for row in records] for name in records[0]}, len(records))

    @classmethod
    def join(cls, several: Sequence["Columns"]) -> "Columns":
        """One after the other."""
        if len(several) == 1:
            return several[0]
        names = several[0].by_name
        return cls(
            {name: [*chain.from_iterable(each.by_name[name] for each in several)] for name in names},
            sum(each.n_rows for each in several),
        )
