"""A model type: how an estimator is built, what it needs, and its search space."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from modelworks.errors import ConfigError
from modelworks.project import Project
from modelworks.settings import Settings, Training
from modelworks.targets import Target

if TYPE_CHECKING:
    from optuna import Trial

Parameters = dict[str, Any]

LEAF_ROWS = (2, 300)
"""Search space of `min_samples_leaf` of boosted trees, in rows."""
EXACT = 1e-12
"""By how much sums in 64 bits differ that are computed in another order."""


def fixed_parameters(trial: "Trial") -> Parameters:
    """A search space without parameters: only the preprocessing is tuned."""
    return {}


@dataclass(frozen=True)
class ModelType:
    """A kind of estimator in scikit-learn's form, what it needs, and its search space.

    Attributes
    ----------
    title : what it is, for people
    build : returns an unfitted estimator. It is given the target, every parameter with its value, the number of
        categorical columns (the first ones; they hold codes 0, 1, ... or NaN; 0 unless the encoding is "native"), and
        the section [training] with seed and threads. It is the place to import the library
    search_space : asks an optuna trial for values of some of the parameters
    defaults : every parameter with its default; [model.parameters] takes precedence
    initial_points : tuned first, after the defaults: values by the names that `search_space` asks for. They may name
        encoding, imputation and scaling; min_samples_leaf is that of trial 0, since it depends on the number of rows
    encodings, imputations, scalings : the preprocessing that it can take, by the names of
        `modelworks.models.preprocessing`; the first is its default
    complexity : lower is simpler to understand and to run; [tuning] prefer = "simplest" goes by it
    trusted_types : types in a fitted estimator that skops does not trust by default, and that somebody has reviewed
    tolerance : by how much a prediction may differ when it is computed again, on another processor for instance
    packages : distributions that a saved model needs, beside scikit-learn
    encoder : of `modelworks.models.encoders`, for documents; "": that of [model]. An estimator with an encoder of its
        own has the parameter `n_documents`, and gets that of the contract
    trains_on_spark : the estimator has `fit_on_spark`, as that of `xgboost`; [training] spark_workers asks for it
    """

    title: str
    build: Callable[[Target, Parameters, int, Training], Any]
    search_space: Callable[["Trial"], Parameters] = fixed_parameters
    defaults: Parameters = field(default_factory=dict)
    initial_points: list[Parameters] = field(default_factory=list)
    encodings: tuple[str, ...] = ("native", "target")
    imputations: tuple[str, ...] = ("native", "median", "mean")
    scalings: tuple[str, ...] = ("none",)
    complexity: int = 1
    trusted_types: list[str] = field(default_factory=list)
    tolerance: float = EXACT
    packages: list[str] = field(default_factory=list)
    encoder: str = ""
    trains_on_spark: bool = False


def model_types_to_tune(project: Project, settings: Settings, n_trials: int | None = None) -> list[str]:
    """Names of the model types to tune, sorted; none where tuning is off.

    That of [model] is always among them, since all others are compared with it.

    Parameters
    ----------
    n_trials : overrides [tuning] trials

    Raises
    ------
    ConfigError
        If [tuning] names an unknown model type.
    """
    tuning = settings.tuning
    if unknown := [name for name in tuning.model_types if name not in project.model_types]:
        raise ConfigError(
            f"[tuning] model_types: {unknown[0]!r}: no such model type; "
            f"models.py has {', '.join(sorted(project.model_types))}"
        )
    if not (tuning.trials if n_trials is None else n_trials):
        return []
    workers = settings.training.spark_workers
    if workers and (others := [name for name in tuning.model_types if not project.model_types[name].trains_on_spark]):
        raise ConfigError(
            f"[tuning] model_types: {others[0]!r} is trained in one process, and [training] spark_workers = {workers}"
        )
    has_documents = bool(project.contract.document_features)
    fitting = [
        name
        for name, each in project.model_types.items()
        if (has_documents or not each.encoder) and (each.trains_on_spark or not workers)
    ]
    return sorted({settings.model.type, *(tuning.model_types or fitting)})


def trusted_types(project: Project) -> list[str]:
    """Types that skops may load beside its own list, of all model types of the project."""
    return [each for name in sorted(project.model_types) for each in project.model_types[name].trusted_types]


def installed(*distributions: str) -> str:
    """The first of some distributions of the same package that is installed; the first of all where none is."""
    for each in distributions:
        try:
            version(each)
        except PackageNotFoundError:
            continue
        return each
    return distributions[0]


def require_packages(setting: str, distributions: list[str]) -> None:
    """Make sure that distributions are installed.

    Parameters
    ----------
    setting : that asks for them, with its value

    Raises
    ------
    ConfigError
        If one is not.
    """
    missing = []
    for each in distributions:
        try:
            version(each)
        except PackageNotFoundError:
            missing.append(each)
    if missing:
        raise ConfigError(f"{setting} needs {', '.join(missing)}, not installed here; see the extras of modelworks")
