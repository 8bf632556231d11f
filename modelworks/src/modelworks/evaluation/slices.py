"""Slices: the columns by whose values results are broken down."""

import pandas as pd

from modelworks.contract import Contract

NO_VALUE = "no value"


def slice_labels(contract: Contract, frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that results are broken down by, as texts whose order is that of their values.

    Returns
    -------
    shape (n_rows, n_slicing_columns)
    """
    labels = {name: frame[name] for name in contract.slices}
    if contract.target.is_multiclass:
        labels[contract.target.column] = frame[contract.target.column]
    if contract.time and (hour := frame[contract.time].dt.hour).min() < hour.max():
        labels["hour"] = hour
    return pd.DataFrame({name: to_categories(column) for name, column in labels.items()}, index=frame.index)


def to_categories(column: pd.Series) -> pd.Categorical:
    """The values of a column as texts whose order is that of the values; `NO_VALUE` in place of nulls."""
    values = sorted(column.dropna().unique())
    texts = pd.Categorical(column, categories=values).rename_categories([str(value) for value in values])
    return texts.add_categories(NO_VALUE).fillna(NO_VALUE) if column.isna().any() else texts
