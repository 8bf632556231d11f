"""Bins of the columns whose drift is measured."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Binning:
    """Bins of each column: numbers between edges, texts by category; one more for all others, and one for nulls."""

    edges: dict[str, list[float]]
    categories: dict[str, list[str]]

    @property
    def columns(self) -> list[str]:
        """Names of all columns, numbers first."""
        return [*self.edges, *self.categories]

    def size(self, name: str) -> int:
        """Number of bins of a column; the last one is for nulls."""
        return len(self.edges[name]) + 2 if name in self.edges else len(self.categories[name]) + 2

    def encode(self, name: str, values: pd.Series) -> np.ndarray:
        """The bin of each value, shape (n_rows,)."""
        null = self.size(name) - 1
        if name in self.edges:
            numbers = to_numbers(values)
            codes = np.searchsorted(np.asarray(self.edges[name]), numbers, side="right")
            return np.where(np.isnan(numbers), null, codes)
        known = self.categories[name]
        # Few values are distinct, so each is looked up once. A null has the number -1: the last element.
        numbers, distinct = pd.factorize(values)
        codes = pd.Index(known).get_indexer(distinct)
        return np.append(np.where(codes < 0, len(known), codes), null)[numbers]

    def labels(self, name: str) -> list[str]:
        """A name for each bin."""
        if name in self.categories:
            return [*map(str, self.categories[name]), "any other", "no value"]
        edges = _shorten(self.edges[name])
        between = [f"{low} to {high}" for low, high in pairwise(edges)]
        return [f"below {edges[0]}", *between, f"{edges[-1]} and more", "no value"] if edges else ["any", "no value"]


def to_numbers(values: pd.Series) -> np.ndarray:
    """Numbers as they are, dates as days; NaN for a null."""
    if values.dtype.kind != "M":
        return values.to_numpy("float64")
    days = values.to_numpy("datetime64[D]")
    return np.where(np.isnat(days), np.nan, days.astype("int64"))


def _shorten(numbers: list[float]) -> list[str]:
    """Numbers with as few digits as keep them distinct, at least three, and all those before the point."""
    for digits in range(3, 18):
        texts = [
            np.format_float_positional(each, max(digits, len(f"{abs(each):.0f}")), fractional=False, trim="-")
            for each in numbers
        ]
        if len(set(texts)) == len(numbers):
            break
    return texts
