"""Health of a period's data: volume, nulls, new categories, broken rows, features gone constant."""

from modelworks.contract import Contract
from modelworks.data.validation import PeriodFacts, check_period
from modelworks.settings import Validation


def find_unusual(
    contract: Contract, period: PeriodFacts, earlier: list[PeriodFacts], constant: list[str], limits: Validation
) -> list[str]:
    """Unusual findings about a period, a sentence each.

    Parameters
    ----------
    earlier : of the periods before it, in order
    constant : features that have one value only, unlike the reference
    """
    checks = check_period(contract, period, earlier, limits)
    found = [f"{check.name}: {check.detail}" for check in checks if not check.passed]
    return found + [f"{name}: has one value only, unlike before" for name in constant]
