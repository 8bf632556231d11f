"""A question put to data or to a model, and its answer in figures."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One line of a verdict.

    A check that is not `fatal` is reported and stops nothing.
    """

    name: str
    passed: bool
    detail: str
    fatal: bool = True

    @property
    def label(self) -> str:
        return "pass" if self.passed else "FAIL" if self.fatal else "note"


def failures(checks: Iterable[Check]) -> list[Check]:
    """The checks that stop the run."""
    return [check for check in checks if check.fatal and not check.passed]


def explain(checks: Iterable[Check]) -> str:
    """Names and figures in one sentence."""
    return "; ".join(f"{check.name}: {check.detail}" for check in checks)
