"""The contract that a table leads to: key, group, roles and ranges, with warnings for a person to look at."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from modelworks.adopt.choices import Choices
from modelworks.adopt.columns import ParsedColumns
from modelworks.adopt.profile import Profile
from modelworks.adopt.recipe import Recipe
from modelworks.adopt.rolling_trial import TrialResult
from modelworks.adopt.splitting import Split
from modelworks.adopt.statistics import ColumnStatistics
from modelworks.contract import (
    Column,
    Content,
    Contract,
    Rule,
    between,
    binary,
    column,
    identifier,
    multiclass,
    outcome,
    regression,
    unused,
)
from modelworks.evaluation.bootstrap import Estimate
from modelworks.targets import Kind, Target

Role = Literal["time", "key", "feature", "unused", "outcome", "target"]
MANY_CATEGORIES = 100


@dataclass(frozen=True)
class Table:
    """All that is known of a table when its contract is planned.

    Attributes
    ----------
    sample : converted rows
    """

    profile: Profile
    parsed: ParsedColumns
    statistics: ColumnStatistics
    sample: pd.DataFrame
    choices: Choices


@dataclass(frozen=True)
class PlannedColumn:
    """A column of the contract to be.

    Attributes
    ----------
    low, high : with slack; None where there is no range
    categories : of a text; 0 for other columns, -1 for too many to count
    has_new_categories : whether later rows are likely to bring others
    """

    name: str
    dtype: str
    role: Role
    description: str
    nullable: bool = False
    null_share: float = 0.0
    low: float | None = None
    high: float | None = None
    categories: int = 0
    has_new_categories: bool = False
    unit: str = ""
    content: Content = "category"

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The range of the values, where both ends are known."""
        if self.low is None or self.high is None:
            return ()
        return (between(self._limit(self.low), self._limit(self.high)),)

    def _limit(self, value: float) -> float:
        is_whole = self.dtype == "int64" or (value.is_integer() and abs(value) < 1e15)
        return int(value) if is_whole else value

    def to_contract(self) -> Column:
        """The column as `Contract` takes it."""
        if self.role == "outcome":
            return outcome(self.name, self.dtype, self.description, *self.rules, unit=self.unit)
        if self.role == "key" and not self.nullable:
            return identifier(self.name, self.dtype, self.description, *self.rules, unit=self.unit)
        declare = column if self.role in {"time", "feature"} else unused
        return declare(
            self.name,
            self.dtype,
            self.description,
            *self.rules,
            unit=self.unit,
            nullable=self.nullable,
            content=self.content,
        )


@dataclass(frozen=True)
class Plan:
    """All that is written, and the warnings.

    Attributes
    ----------
    classes : of the target, in order; empty for a number
    trial : what a model reached on rows that it had not seen
    period_reason : why a period is what it is; "" where rows have no time
    """

    recipe: Recipe
    statistics: ColumnStatistics
    task: Kind
    classes: list[Any]
    columns: list[PlannedColumn]
    key: list[str]
    group: str
    split: Split
    warnings: list[str]
    slices: list[str] = field(default_factory=list)
    example: dict[str, Any] = field(default_factory=dict)
    trial: TrialResult = field(default_factory=TrialResult)
    period_reason: str = ""

    @cached_property
    def contract(self) -> Contract:
        """The contract as it stands."""
        return Contract(
            target=_target_of(self),
            time=self.recipe.time,
            key=self.key,
            group=self.group,
            slices=self.slices,
            columns=[each.to_contract() for each in self.columns if each.role != "target"],
            example=self.example,
        )

    @property
    def chance(self) -> float:
        """ROC-AUC or R² of a model that knows nothing; where the level moves, R² of the baseline lies below 0."""
        return min(self.trial.baseline_r2, 0.0) if self.task == "regression" else 0.5

    @property
    def reached(self) -> Estimate:
        """ROC-AUC or R² of the trial."""
        nothing = Estimate(self.chance, self.chance, self.chance)
        return self.trial.metrics.get(self.contract.target.headline, nothing)

    @property
    def dtypes(self) -> dict[str, str]:
        """The dtype of each column, by name."""
        return {column.name: column.dtype for column in self.columns}

    def names_of(self, *roles: Role) -> list[str]:
        """Columns with one of the roles."""
        return [column.name for column in self.columns if column.role in roles]

    def warn(self, *warnings: str) -> "Plan":
        """The same plan with more warnings."""
        return replace(self, warnings=[*self.warnings, *warnings])

    def leave_out(self, names: list[str]) -> "Plan":
        """The same plan with columns that no model sees."""
        return replace(
            self, columns=[replace(each, role="unused") if each.name in names else each for each in self.columns]
        )

    def set_aside(self, name: str) -> "Plan":
        """The same plan with a column as an outcome, which no model sees."""
        columns = [
            replace(each, role="outcome", nullable=True, dtype=each.dtype.replace("int64", "float64"))
            if each.name == name
            else each
            for each in self.columns
        ]
        return replace(self, columns=columns)


def _target_of(plan: Plan) -> Target:
    planned = next(each for each in plan.columns if each.role == "target")
    if plan.task == "regression":
        return regression(planned.name, planned.description, *planned.rules, unit=planned.unit)
    if plan.task == "multiclass":
        return multiclass(planned.name, planned.description, classes=plan.classes)
    negative, positive = plan.classes
    return binary(planned.name, planned.description, negative=negative, positive=positive)
