"""Blocks of rows that belong together, such as days: resampled as a whole, and never split."""

import numpy as np
import pandas as pd

from modelworks.contract import Contract

N_BLOCKS = 200  # of a period whose rows have no time
UNIT_HASH = "unit_hash"
"""Column that may stand in place of the group or the key: of eight bytes a row."""


def number_blocks(contract: Contract, frame: pd.DataFrame, period: str = "") -> tuple[np.ndarray, list[str]]:
    """The number of each row's block, shape (n_rows,), and the names of the blocks.

    Parameters
    ----------
    frame : has the time column, or else the group or the key, or `UNIT_HASH`
    period : in the names of blocks, if rows have no time
    """
    if contract.time:
        numbers, days = pd.factorize(frame[contract.time].to_numpy("datetime64[D]"))
        return numbers, days.astype("datetime64[D]").astype("str").tolist()  # pandas has no days, and made seconds
    numbers, different = pd.factorize(hash_units(contract, frame) % np.uint64(N_BLOCKS))
    return numbers, [f"{period} {number:03d}".strip() for number in different.tolist()]


def hash_units(contract: Contract, frame: pd.DataFrame) -> np.ndarray:
    """Hash of the unit that may not be split, the group if there is one, else the row; shape (n_rows,), uint64."""
    if UNIT_HASH in frame:
        return frame[UNIT_HASH].to_numpy()
    names = [contract.group] if contract.group else contract.key
    return pd.util.hash_pandas_object(frame[names], index=False).to_numpy()
