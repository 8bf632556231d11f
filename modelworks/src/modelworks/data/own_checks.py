"""The project's own checks of a period's clean rows."""

from collections.abc import Sequence

import pandas as pd

from modelworks.checks import Check, columns_of
from modelworks.contract import Contract
from modelworks.errors import ContractError
from modelworks.project import DataCheck


def columns_to_read(contract: Contract, data_checks: Sequence[DataCheck]) -> list[str] | None:
    """The columns that the checks ask for; None if one of them is to have all.

    Raises
    ------
    ContractError
        If the contract has no such column.
    """
    wanted = [columns_of(each) for each in data_checks]
    for check, names in zip(data_checks, wanted, strict=True):
        for name in names or ():
            if name not in contract.dtypes:
                where = f"data check {getattr(check, '__name__', repr(check))} of checks.py"
                raise ContractError(f"{where}: asks for column {name!r}, which the contract does not have")
    return (
        None if None in wanted else [name for name in contract.dtypes if any(name in (each or ()) for each in wanted)]
    )


def run_data_checks(data_checks: Sequence[DataCheck], rows: pd.DataFrame, where: str) -> list[Check]:
    """The verdicts of the project's own checks.

    Parameters
    ----------
    rows : the clean rows of a period
    where : URI of the period, for messages

    Raises
    ------
    ContractError
        If a check raises, or returns no `Check`.
    """
    return [_run_data_check(each, rows, where) for each in data_checks]


def _run_data_check(data_check: DataCheck, rows: pd.DataFrame, where: str) -> Check:
    name = f"{where}: data check {getattr(data_check, '__name__', repr(data_check))} of checks.py"
    try:
        names = columns_of(data_check)
        own = rows if names is None else rows[[*names]]
        verdict = data_check(own.copy(deep=False))  # a check that assigns columns changes its own copy
    except Exception as error:  # whatever a team's own code raises
        raise ContractError(f"{name}: {type(error).__name__}: {error}") from error
    if not isinstance(verdict, Check):
        raise ContractError(f"{name}: returned {verdict!r}, which is no Check; return Check(name, passed, detail)")
    return verdict
