"""A question put to data or to a model, and its answer in figures."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Check:
    """One line of a verdict.

    Attributes
    ----------
    name : the question in a few words, such as "row count"
    detail : the figures, with what is allowed
    fatal : whether the run stops if the check does not pass; else that is a warning
    """

    name: str
    passed: bool
    detail: str
    fatal: bool = True

    @property
    def label(self) -> str:
        """The verdict in one word."""
        return "pass" if self.passed else "FAIL" if self.fatal else "warning"


def failures(checks: Iterable[Check]) -> list[Check]:
    """The checks that stop the run."""
    return [check for check in checks if check.fatal and not check.passed]


def explain(checks: Iterable[Check]) -> str:
    """Names and figures in one sentence."""
    return "; ".join(f"{check.name}: {check.detail}" for check in checks)


def on_columns(*names: str) -> Callable[[Function], Function]:
    """Give a data check these columns only: where every check says which it needs, the others are not read."""

    def mark(check: Function) -> Function:
        check.columns = names  # type: ignore[attr-defined]
        return check

    return mark


def columns_of(check: Callable[..., Any]) -> tuple[str, ...] | None:
    """The columns that a data check asks for; None if it is to have all."""
    names: tuple[str, ...] | None = getattr(check, "columns", None)
    return names
