"""Labels that come in a file of their own, joined with the rows of their month by the contract's key."""

import numpy as np
import pandas as pd
import pyarrow as pa

from . import schema

GAPS = ("missing", "contradictory", "unmatched")
"""The counts that are worth telling where they are not 0."""


class MonthLabels:
    """The labels of one month; counts what becomes of them while the month's rows are joined, batch by batch.

    A line that tells no outcome says as much as no line. Of equal lines one counts. Where the lines of a key differ,
    nobody knows which is right, and none is used.

    Parameters
    ----------
    given : key and outcomes, typed or as text
    """

    def __init__(self, given: pd.DataFrame) -> None:
        told = given[given[schema.OUTCOMES].notna().any(axis=1)].reset_index(drop=True)
        keys = _parse_keys(told)
        has_key = keys.notna().all(axis=1)
        lines = keys.assign(**{name: _comparable(name, told[name]) for name in schema.OUTCOMES})
        lines = lines[has_key].drop_duplicates()
        is_first = ~lines.duplicated(schema.KEY)
        self._keys = pd.MultiIndex.from_frame(lines.loc[is_first, schema.KEY])
        self._is_contradictory = lines.duplicated(schema.KEY, keep=False)[is_first].to_numpy()
        self._is_matched = np.zeros(len(self._keys), bool)
        self._without_key = int((~has_key).sum())
        outcomes = told.loc[lines.index[is_first], schema.OUTCOMES]
        self._outcomes = pa.Table.from_pandas(outcomes, preserve_index=False)
        self._rows = self._labelled = self._contradictory = 0

    def join(self, rows: pa.RecordBatch) -> pa.Table:
        """All of the rows, with the contract's columns; an outcome that is not known is null.

        Parameters
        ----------
        rows : the contract's columns but the outcomes, typed or as text
        """
        keys = _parse_keys(rows.select(schema.KEY).to_pandas())
        at = self._keys.get_indexer(pd.MultiIndex.from_frame(keys))
        is_found = at >= 0
        self._is_matched[at[is_found]] = True
        is_doubtful = np.zeros(len(at), bool)
        is_doubtful[is_found] = self._is_contradictory[at[is_found]]
        outcomes = self._outcomes.take(pa.array(at, mask=~is_found | is_doubtful))
        self._rows += len(at)
        self._contradictory += int(is_doubtful.sum())
        self._labelled += len(at) - outcomes[schema.TARGET].null_count
        return pa.table({name: outcomes[name] if name in schema.OUTCOMES else rows[name] for name in schema.DTYPES})

    def counts(self) -> dict[str, int]:
        """Rows with a label, with none and with contradictory ones; then labels of no row of the month."""
        return {
            "labelled": self._labelled,
            "missing": self._rows - self._labelled - self._contradictory,
            "contradictory": self._contradictory,
            "unmatched": int((~self._is_matched).sum()) + self._without_key,
        }


def _parse_keys(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({name: schema.parse(name, frame[name]) for name in schema.KEY})


def _comparable(name: str, given: pd.Series) -> pd.Series:
    """Values that are equal if they mean the same, however they are written; what does not parse stays as it is."""
    parsed = schema.parse(name, given)
    return parsed.astype("object").where(parsed.notna(), given) if (parsed.isna() & given.notna()).any() else parsed
