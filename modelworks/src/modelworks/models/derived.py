"""Derived features: the project's own function as the first step of the saved pipeline.

Training, batch scores, the API and `mlflow models serve` run the same step, so they see the same columns.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from modelworks.contract import Contract
from modelworks.errors import ContractError
from modelworks.models.rows import have_same_values, select_columns
from modelworks.project import FeatureFunction, Project
from modelworks.settings import Training

Kind = Literal["number", "category", "date"]
"""How a derived column is encoded."""

IN_PLACE = (
    "a derived column that was changed in place has other values than the model was trained with: keep it as it was, "
    "and give the changed one a name of its own"
)


class DerivedFeatures(BaseEstimator):
    """Adds the columns of a function to the features of the contract; it fits nothing but their names.

    Parameters
    ----------
    function : of a module, from rows of the contract's features to the same rows with more columns
    dtypes : of the contract's features, by name; the function is given these columns, in this order
    outcomes : columns known only after the event, which it is not given
    reserved : names that no derived column may have

    Attributes
    ----------
    kinds_ : of the derived columns, by name; those that the model uses, once it is fitted
    """

    def __init__(
        self, function: FeatureFunction, dtypes: dict[str, str], outcomes: list[str], reserved: list[str]
    ) -> None:
        self.function = function
        self.dtypes = dtypes
        self.outcomes = outcomes
        self.reserved = reserved

    def fit(self, X: pd.DataFrame, y: object = None) -> "DerivedFeatures":
        self.fit_transform(X)
        return self

    def fit_transform(self, X: pd.DataFrame, y: object = None, **fit_params: object) -> pd.DataFrame:
        """The rows with their derived columns, which become those that `transform` expects."""
        derived = self._call(X)
        self.kinds_ = {name: self._find_kind(derived, name) for name in derived.columns if name not in self.dtypes}
        self.feature_names_in_ = np.array(list(self.dtypes), dtype=object)
        self.n_features_in_ = len(self.dtypes)
        for name in self.kinds_:
            self._check_finite(derived[name])
        return derived

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """The rows with their derived columns; those that have come to the function since training are left out.

        Raises
        ------
        ContractError
            If the function raises, or returns anything but the same rows with the derived columns of training.
        """
        return self._take(self._call(X))

    def derive(self, X: pd.DataFrame) -> pd.DataFrame:
        """The same for who reads only the derived columns; of one row, others are not compared: that takes long."""
        return self._take(self._call(X, is_compared=len(X) > 1))

    def _take(self, derived: pd.DataFrame) -> pd.DataFrame:
        """What the function has returned, once it has the columns of training in their dtypes."""
        if missing := [name for name in self.kinds_ if name not in derived.columns]:
            raise self._refusal(
                f"does not add column {missing[0]!r}, which the model was trained with; let the function add it as "
                "long as a model uses it: [training] features leaves it out of the next one"
            )
        if len(derived.columns) > len(self.dtypes) + len(self.kinds_):
            derived = derived[[*self.dtypes, *self.kinds_]]
        for name, kind in self.kinds_.items():
            values = derived[name]
            if _kind_of(values) != kind:
                derived = derived.assign(**{name: self._to_nulls(values, kind)})
            self._check_finite(values)
        return derived

    def keep(self, names: Sequence[str]) -> None:
        """Expect these derived columns only, so that a model does not depend on what it does not use."""
        self.kinds_ = {name: kind for name, kind in self.kinds_.items() if name in names}

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """The contract's features, and the derived ones."""
        return np.array([*self.dtypes, *self.kinds_], dtype=object)

    def _call(self, X: pd.DataFrame, *, is_compared: bool = True) -> pd.DataFrame:
        """What the function returns, if it is the same rows with more columns."""
        rows = select_columns(X, self.dtypes)
        try:
            # A shallow copy: pandas copies a column when the function writes to it.
            derived = self.function(rows.copy(deep=False))
        except MemoryError:
            raise
        except Exception as error:
            raise self._refusal(self._explain(error)) from error
        if not isinstance(derived, pd.DataFrame):
            raise self._refusal(f"returns {type(derived).__name__}, and a DataFrame is wanted")
        self._check_rows(rows, derived)
        self._check_columns(rows, derived)
        if is_compared:
            self._check_values(rows, derived)
        return derived

    def _check_rows(self, rows: pd.DataFrame, derived: pd.DataFrame) -> None:
        if len(derived) != len(rows):
            raise self._refusal(f"returns {len(derived):,} rows for {len(rows):,}")
        if derived.index is not rows.index and not derived.index.equals(rows.index):
            raise self._refusal("changes the order or the index of the rows")

    def _check_columns(self, rows: pd.DataFrame, derived: pd.DataFrame) -> None:
        names = derived.columns.tolist()
        if dropped := [name for name in self.dtypes if name not in names]:
            raise self._refusal(f"drops column {dropped[0]!r} of the contract")
        if len({*names}) < len(names):
            raise self._refusal(f"returns two columns {next(each for each in names if names.count(each) > 1)!r}")
        if len(names) == len(self.dtypes):
            raise self._refusal("adds no column")
        if reserved := [name for name in names if name in self.reserved]:
            raise self._refusal(f"adds column {reserved[0]!r}, a name that the contract or the engine uses already")

    def _check_values(self, rows: pd.DataFrame, derived: pd.DataFrame) -> None:
        names = derived.columns.tolist()
        kept = derived if names[: len(self.dtypes)] == [*self.dtypes] else derived[[*self.dtypes]]
        if not have_same_values(rows, kept):
            changed = [name for name in self.dtypes if not derived[name].equals(rows[name])]
            named = f"column {changed[0]!r} of the contract, or the order of the rows" if changed else "the columns"
            raise self._refusal(f"changes {named}; give a derived column a name of its own")

    def _find_kind(self, derived: pd.DataFrame, name: object) -> Kind:
        if not isinstance(name, str):
            raise self._refusal(f"adds column {name!r}, and a name is a str")
        if (kind := _kind_of(derived[name])) is None:
            raise self._refusal(
                f"adds column {name!r} of dtype {derived[name].dtype}; allowed: bool, int, float, str and datetime64"
            )
        return kind

    def _check_finite(self, values: pd.Series) -> None:
        if values.dtype.kind == "f" and (is_infinite := np.isinf(values.to_numpy())).any():
            raise self._refusal(
                f"column {values.name!r} is infinite in {is_infinite.sum():,} of {len(values):,} rows; "
                "return a null where a value is not defined"
            )

    def _to_nulls(self, values: pd.Series, kind: Kind) -> pd.Series:
        """A column of nulls in the dtype of its kind: pandas cannot infer it from nulls."""
        if values.notna().any():
            raise self._refusal(f"column {values.name!r} has dtype {values.dtype}, and was a {kind} in training")
        dtypes: dict[Kind, str] = {"number": "float64", "category": "str", "date": "datetime64[us]"}
        return pd.Series(None, values.index, dtypes[kind])

    def _explain(self, error: Exception) -> str:
        """What a function did wrong that raised; reading a column that it is not given is the usual mistake."""
        text = str(error)
        if isinstance(error, KeyError | AttributeError):
            for name in [*self.outcomes, *self.reserved]:
                if f"'{name}'" in text and name in self.outcomes:
                    return f"reads {name!r}, an outcome: it is not known at prediction time"
                if f"'{name}'" in text:
                    return f"reads {name!r}, which is no feature of the contract; there are {', '.join(self.dtypes)}"
        if isinstance(error, KeyError) and (near := get_close_matches(text.strip("'"), self.dtypes, n=1)):
            return f"raises KeyError: {text}; did you mean column {near[0]!r}?"
        return f"raises {type(error).__name__}: {text}"

    def _refusal(self, mistake: str) -> ContractError:
        return ContractError(f"{name_function(self.function)} {mistake}")


def make_step(project: Project) -> DerivedFeatures | None:
    """The unfitted step of a project's function; None if it has none.

    Raises
    ------
    ContractError
        If the function is not one of a module: a saved model could not name it.
    """
    function, contract = project.features, project.contract
    if function is None:
        return None
    if not _is_importable(function):
        raise ContractError(
            f"{name_function(function)} is no function at the top level of a module, so a saved model cannot name it"
        )
    dtypes = {name: contract.dtypes[name] for name in contract.features}
    reserved = sorted(contract.reserved.union(contract.dtypes).difference(dtypes))
    return DerivedFeatures(function, dtypes, list(contract.outcomes), reserved)


@dataclass(frozen=True)
class Derived:
    """Rows with their derived columns.

    Attributes
    ----------
    step : fitted; None if the project has no function
    features : the columns that a model may see, by [training] features
    kinds : of the derived columns, by name
    """

    frame: pd.DataFrame
    step: DerivedFeatures | None
    features: list[str]
    kinds: dict[str, Kind]

    def has_categories(self, contract: Contract) -> bool:
        """Whether one of the features is a category."""
        return any(self.kinds.get(name) == "category" or contract.is_category(name) for name in self.features)


def derive(project: Project, frame: pd.DataFrame, training: Training) -> Derived:
    """Training rows with the project's derived columns.

    Raises
    ------
    ContractError
        If the function breaks its rules, or `training.features` names an outcome or an unknown column.
    """
    step = make_step(project)
    if step is None:
        return Derived(frame, None, project.contract.select_features(training.features), {})
    derived = step.fit_transform(frame)
    return Derived(derived, step, _select_features(project.contract, training.features, step.kinds_), step.kinds_)


def _select_features(contract: Contract, names: Sequence[str], kinds: Mapping[str, Kind]) -> list[str]:
    """All features, the contract's and derived, or the named ones."""
    if not names:
        return [*contract.features, *kinds]
    own = [name for name in names if name not in kinds]
    if unknown := [name for name in own if name not in contract.dtypes]:
        raise ContractError(
            f"[training] features: {unknown[0]!r} is no feature of the contract, and no derived one. "
            f"Allowed: {', '.join([*contract.features, *kinds])}"
        )
    return [*(contract.select_features(own) if own else []), *(name for name in kinds if name in names)]


def check_names(project: Project, names: Sequence[str]) -> None:
    """Refuse [training] features before any row is there: derived names are known only once the function has run.

    Raises
    ------
    ContractError
        If a name is an outcome; without a function also if it is no feature of the contract.
    """
    own = [name for name in names if project.features is None or name in project.contract.dtypes]
    project.contract.select_features(own)


def find_step(model: Pipeline) -> DerivedFeatures | None:
    """The step of a model that derives features; None if it uses none."""
    return next((step for _, step in model.steps[:1] if isinstance(step, DerivedFeatures)), None)


def trusted_types(project: Project) -> list[str]:
    """Types that skops may load of this step."""
    if project.features is None:
        return []
    return [f"{DerivedFeatures.__module__}.{DerivedFeatures.__name__}", name_function(project.features)]


def name_function(function: Any) -> str:
    """Module and name of a function."""
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__name__', repr(function))}"


def _is_importable(function: FeatureFunction) -> bool:
    module = sys.modules.get(getattr(function, "__module__", ""))
    return getattr(module, getattr(function, "__name__", ""), None) is function


def _kind_of(values: pd.Series) -> Kind | None:
    if isinstance(values.dtype, pd.StringDtype):
        return "category"
    if not isinstance(values.dtype, np.dtype):
        return None
    kinds: dict[str, Kind] = {"b": "number", "i": "number", "u": "number", "f": "number", "M": "date"}
    return kinds.get(values.dtype.kind)
