"""What a row is: columns with types, ranges and roles, the key, the time and the target.

A contract is plain data: declaring one imports neither pandas nor pandera, so a DAG file may import it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from modelworks.errors import ContractError
from modelworks.rules import Rule, between, in_script, is_image, length, matches, one_of
from modelworks.targets import Target, binary, multiclass, regression

__all__ = [
    "Column",
    "Contract",
    "Rule",
    "between",
    "binary",
    "column",
    "identifier",
    "in_script",
    "is_image",
    "length",
    "matches",
    "multiclass",
    "one_of",
    "outcome",
    "regression",
    "unused",
]

Role = Literal["time", "key", "feature", "unused", "outcome", "target"]
"""What a column is for. A key that the model may see as well is a feature that `Contract.key` names."""
Content = Literal["category", "text", "image"]
"""What a `str` holds: one of a few values; or a document of its own in each row: a text, or an image in base64."""

RESERVED = {
    *("answered_at", "decision", "model_version", "prediction", "probability", "reason", "request_id", "row"),
    "unit_hash",
}
"""Columns that scores, the prediction log, the quarantine and the evaluation add to those of a contract."""


@dataclass(frozen=True)
class Column:
    """A column of the contract.

    Attributes
    ----------
    dtype : of pandas: int64, float64, str or datetime64[us]
    rules : conditions on each value that is not null
    content : of a `str`; a text or an image is encoded by an encoder of `modelworks.models.encoders`
    """

    name: str
    dtype: str
    description: str
    rules: tuple[Rule, ...] = ()
    unit: str = ""
    nullable: bool = False
    role: Role = "feature"
    content: Content = "category"


def column(
    name: str,
    dtype: str,
    description: str,
    *rules: Rule,
    unit: str = "",
    nullable: bool = False,
    content: Content = "category",
) -> Column:
    """A feature, or the time column: known at prediction time."""
    return Column(name, dtype, description, rules, unit, nullable, "feature", content)


def identifier(
    name: str, dtype: str, description: str, *rules: Rule, unit: str = "", content: Content = "category"
) -> Column:
    """A column that identifies a row and is no feature."""
    return Column(name, dtype, description, rules, unit, False, "key", content)


def outcome(name: str, dtype: str, description: str, *rules: Rule, unit: str = "") -> Column:
    """A column known only after the event: null until then, and never a feature."""
    return Column(name, dtype, description, rules, unit, True, "outcome")


def unused(
    name: str,
    dtype: str,
    description: str,
    *rules: Rule,
    unit: str = "",
    nullable: bool = False,
    content: Content = "category",
) -> Column:
    """A column that is kept and that no model sees."""
    return Column(name, dtype, description, rules, unit, nullable, "unused", content)


class Contract:
    """All that holds for a row of the project's data. Nothing of it changes after it is made.

    Parameters
    ----------
    target : what is predicted, by `binary`, `multiclass` or `regression`
    columns : every column but the target, in order
    key : columns that together identify a row of a period
    time : column that says when a row's event happens; "" where there is none
    group : column whose equal values belong together; only without a time
    slices : columns whose values are evaluated one by one, beside the hour of day
    example : a real row without outcomes, for the pages of the API

    Attributes
    ----------
    columns : by name, the target last

    Raises
    ------
    ContractError
        If the parts do not fit together.
    """

    def __init__(
        self,
        *,
        target: Target,
        columns: Sequence[Column],
        key: Sequence[str],
        time: str = "",
        group: str = "",
        slices: Sequence[str] = (),
        example: Mapping[str, Any] | None = None,
    ) -> None:
        self.target = target
        self.key, self.time, self.group, self.slices = list(key), time, group, list(slices)
        self.example: dict[str, Any] = dict(example or {})
        # An outcome stays one: as the time it would be a feature, and leak.
        is_time = [each.name == time and each.role in {"feature", "key"} for each in columns]
        declared = [replace(each, role="time") if is_ else each for each, is_ in zip(columns, is_time, strict=True)]
        self.columns = {each.name: each for each in [*declared, _target_column(target)]}
        if broken := [text for is_broken, text in self._complaints([each.name for each in columns]) if is_broken]:
            raise ContractError(f"contract: {'; '.join(broken)}")

    def names_of(self, *roles: Role) -> list[str]:
        """Names of the columns with one of the `roles`, in the contract's order."""
        return [name for name, each in self.columns.items() if each.role in roles]

    @cached_property
    def dtypes(self) -> dict[str, str]:
        """Dtype of each column."""
        return {name: each.dtype for name, each in self.columns.items()}

    @cached_property
    def contents(self) -> dict[str, Content]:
        """Content of each column that holds documents."""
        return {name: each.content for name, each in self.columns.items() if each.content != "category"}

    @cached_property
    def documents(self) -> list[str]:
        """Columns that hold a text or an image of its own in each row."""
        return list(self.contents)

    @cached_property
    def outcomes(self) -> list[str]:
        """Columns known only after the event, the target among them."""
        return self.names_of("outcome", "target")

    @cached_property
    def features(self) -> list[str]:
        """Columns that a model may see."""
        return self.names_of("time", "feature")

    @cached_property
    def document_features(self) -> list[str]:
        """Features that are documents."""
        return [name for name in self.features if name in self.documents]

    @cached_property
    def identity(self) -> list[str]:
        """Columns that identify a row, and say which rows belong together."""
        return [name for name in self.dtypes if name in {*self.key, self.time, self.group}]

    @cached_property
    def label_columns(self) -> list[str]:
        """Columns of a file of labels."""
        return [name for name in self.dtypes if name in {*self.key, *self.outcomes}]

    @cached_property
    def reserved(self) -> set[str]:
        """Names that the engine gives to columns of its own."""
        return RESERVED | {f"probability_{each}" for each in self.target.classes}

    @cached_property
    def block_unit(self) -> str:
        """What the bootstrap resamples, in words."""
        if self.time:
            return "days"
        return f"blocks by {self.group}" if self.group else "blocks of rows"

    @cached_property
    def purpose(self) -> str:
        """What a model is for, in one sentence without its full stop."""
        return self.target.purpose

    @cached_property
    def version(self) -> str:
        """Twelve hex digits that change whenever a column, dtype, range or role does."""
        described: dict[str, Any] = {
            name: [
                *(each.nullable, each.role, each.unit, each.dtype, each.content),
                [[rule.name, dict(rule.arguments)] for rule in each.rules],
            ]
            for name, each in self.columns.items()
        }
        described[""] = [self.target.kind, self.target.classes, self.key, self.group]
        return hashlib.sha256(json.dumps(described, default=str, sort_keys=True).encode()).hexdigest()[:12]

    def select_features(self, names: Sequence[str]) -> list[str]:
        """The columns that a model may see: all features, or the named ones.

        Raises
        ------
        ContractError
            If a name is an outcome or is no feature of the contract.
        """
        allowed = f"Allowed: {', '.join(self.features)}"
        for name in names:
            if name in self.outcomes:
                raise ContractError(
                    f"[training] features: {name!r} is an outcome, known only after the event; "
                    f"as a feature it would leak. {allowed}"
                )
            if name not in self.features:
                raise ContractError(f"[training] features: {name!r} is no feature of the contract. {allowed}")
        return [name for name in self.features if name in names] if names else self.features

    def is_category(self, name: str) -> bool:
        """Whether a column holds one of a few texts, rather than a number, a time or a document."""
        return self.dtypes.get(name) == "str" and name not in self.documents

    def is_text(self, name: str) -> bool:
        """Whether a column holds text, be it a category or a document."""
        return self.dtypes.get(name) == "str"

    def is_time(self, name: str) -> bool:
        """Whether a column holds dates or times."""
        return self.dtypes[name].startswith("datetime")

    def _complaints(self, names: list[str]) -> list[tuple[bool, str]]:
        return [
            (self.target.column in names, f"{self.target.column!r} is the target, and declared as a column as well"),
            *((names.count(name) > 1, f"column {name!r} is declared twice") for name in dict.fromkeys(names)),
            (self.time not in {"", *names}, f"time: no column {self.time!r}"),
            (
                self.time in names and self.columns[self.time].role != "time",
                f"time: {self.time!r} is an outcome or unused, and no column known at prediction time",
            ),
            (self.time in names and not self.is_time(self.time), f"time: {self.time!r} is no datetime64[us]"),
            (not self.features, "no column is a feature"),
            (not self.key, "key names no column"),
            *(
                (name in self.dtypes, f"{name!r} is a name of the engine's own; rename it")
                for name in sorted(self.reserved)
            ),
            *(
                (
                    name not in self.dtypes or name in self.outcomes,
                    f"key: {name!r} is no column known at prediction time",
                )
                for name in self.key
            ),
            *((name not in self.dtypes, f"slices: no column {name!r}") for name in self.slices),
            (self.group not in {"", *self.dtypes}, f"group: no column {self.group!r}"),
            *((self.dtypes[name] != "str", f"{name!r} has content, and is no str") for name in self.documents),
            *(
                (name in {*self.slices, self.target.column}, f"{name!r} is a document: no two rows share one")
                for name in self.documents
            ),
            (bool(self.group and self.time), f"group is for data without a time column, and {self.time!r} is one"),
        ]


def _target_column(target: Target) -> Column:
    rules = target.rules or ((one_of(*target.classes),) if target.classes else ())
    return Column(target.column, target.dtype, target.description, tuple(rules), target.unit, True, "target")
