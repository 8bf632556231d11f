"""Labels from files of their own, joined with the rows of their period by the contract's key."""

import numpy as np
import pandas as pd
import pyarrow as pa

from modelworks.contract import Contract
from modelworks.data import frames

GAPS = ("missing", "contradictory", "unmatched")
"""The counts that a summary names if they are not 0."""


class PeriodLabels:
    """The labels of one period; counts them while the period's rows are joined, batch by batch.

    A line without any outcome is ignored. Equal lines count once. If the lines of a key differ, none is used.

    Parameters
    ----------
    given : key and outcomes, typed or as text
    """

    def __init__(self, contract: Contract, given: pd.DataFrame) -> None:
        self._contract = contract
        outcomes = contract.outcomes
        known = given[given[outcomes].notna().any(axis=1)].reset_index(drop=True)
        keys = _parse_keys(contract, known)
        has_key = keys.notna().all(axis=1)
        lines = keys.assign(**{name: _comparable(contract, name, known[name]) for name in outcomes})
        lines = lines[has_key].drop_duplicates()
        is_first = ~lines.duplicated(contract.key)
        self._keys = pd.MultiIndex.from_frame(lines.loc[is_first, contract.key])
        self._is_contradictory = lines.duplicated(contract.key, keep=False)[is_first].to_numpy()
        self._is_matched = np.zeros(len(self._keys), bool)
        self._without_key = int((~has_key).sum())
        used = known.loc[lines.index[is_first], outcomes]
        self._outcomes = pa.Table.from_pandas(used, preserve_index=False)
        self._rows = self._labelled = self._contradictory = 0

    def join(self, rows: pa.RecordBatch) -> pa.Table:
        """All of the rows, with the contract's columns; an unknown outcome is null.

        Parameters
        ----------
        rows : the contract's columns but the outcomes, typed or as text
        """
        keys = _parse_keys(self._contract, rows.select(self._contract.key).to_pandas())
        at = self._keys.get_indexer(pd.MultiIndex.from_frame(keys))
        is_found = at >= 0
        self._is_matched[at[is_found]] = True
        is_contradicted = np.zeros(len(at), bool)
        is_contradicted[is_found] = self._is_contradictory[at[is_found]]
        outcomes = self._outcomes.take(pa.array(at, mask=~is_found | is_contradicted))
        self._rows += len(at)
        self._contradictory += int(is_contradicted.sum())
        self._labelled += len(at) - outcomes[self._contract.target.column].null_count
        return pa.table({
            name: outcomes[name] if name in self._contract.outcomes else rows[name] for name in self._contract.dtypes
        })

    def counts(self) -> dict[str, int]:
        """Rows with a label, without one and with contradictory ones; then labels that match no row of the period."""
        return {
            "labelled": self._labelled,
            "missing": self._rows - self._labelled - self._contradictory,
            "contradictory": self._contradictory,
            "unmatched": int((~self._is_matched).sum()) + self._without_key,
        }


def _parse_keys(contract: Contract, frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({name: frames.parse(contract, name, frame[name]) for name in contract.key})


def _comparable(contract: Contract, name: str, given: pd.Series) -> pd.Series:
    """Values that are equal if they mean the same, however they are written; those that do not parse stay as text."""
    parsed = frames.parse(contract, name, given)
    return parsed.astype("object").where(parsed.notna(), given) if (parsed.isna() & given.notna()).any() else parsed
