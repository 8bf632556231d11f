"""The families of models: a file each, which says how one is built and what a search may vary.

`pipeline.toml` names a family as its file is called. Whoever adds a file adds a family; whoever removes it removes it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from ..config import Model, Settings, Training
from ..errors import ConfigError

if TYPE_CHECKING:
    from optuna import Trial

Parameters = dict[str, Any]

LEAF_ROWS = (2, 300)
"""From how few to how many rows in a leaf a search of boosted trees goes."""
EXACT = 1e-12
"""By how much sums differ that are computed in 64 bits, in another order."""


@dataclass(frozen=True)
class Family:
    """A kind of estimator in scikit-learn's form, with what it wants and what a search may vary.

    Attributes
    ----------
    title : what it is, for people
    build : an unfitted estimator of its parameters, of the number of categories, which are the first columns and hold
        codes 0, 1, ... or NaN, where the encoding is "native"; and of seed and threads
    suggest : what a search tries, as optuna asks for it: values for some of the parameters
    defaults : every parameter with its value; in place of one that [model] has a key for, that counts
    points : what a search tries first, after the defaults: values by the names that `suggest` asks by, but for
        min_samples_leaf, which is that of [model], as it goes with the number of rows; and words of `preparation`,
        where these are not the first
    encodings, imputations, scalings : what can come before it, as `preparation` names them; the first is its default
    complexity : the lower, the simpler to understand and to run; a search may prefer the simplest
    trusted_types : types in a fitted estimator that skops does not trust by itself, and somebody has looked at
    tolerance : by how much a prediction may differ where it is computed anew, on another processor for instance
    packages : distributions that a saved model needs, beside scikit-learn
    encoder : of pretrained/, how documents come to it; "": as [model] says
    """

    title: str
    build: Callable[[Parameters, int, Training], Any]
    suggest: Callable[["Trial"], Parameters]
    defaults: Parameters
    points: list[Parameters] = field(default_factory=list)
    encodings: tuple[str, ...] = ("native", "target")
    imputations: tuple[str, ...] = ("native", "median", "mean")
    scalings: tuple[str, ...] = ("none",)
    complexity: int = 1
    trusted_types: list[str] = field(default_factory=list)
    tolerance: float = EXACT
    packages: list[str] = field(default_factory=list)
    encoder: str = ""


def names() -> list[str]:
    """The families that this project has, in the order of the alphabet."""
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def find(name: str) -> Family:
    """A family by its name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in names():
        raise ConfigError(f"[model] family = {name!r}: no such family; there are {', '.join(names())}")
    family: Family = import_module(f"{__name__}.{name}").FAMILY
    return family


def to_search(settings: Settings, n_trials: int | None = None) -> list[str]:
    """The families that are searched, side by side or one after the other; none where no search is asked for.

    That of [model] is always among them, as all others are compared with it.

    Parameters
    ----------
    n_trials : in place of [search] trials

    Raises
    ------
    ConfigError
        If [search] names a family that there is not, or [model] names what its own does not have.
    """
    search = settings.search
    if unknown := [name for name in search.families if name not in names()]:
        raise ConfigError(f"[search] families: {unknown[0]!r}: no such family; there are {', '.join(names())}")
    if not (search.trials if n_trials is None else n_trials):
        return []
    complete(settings.model)  # a mistake is told before hours have gone into other families
    return sorted({settings.model.family, *(search.families or names())})


def complete(model: Model) -> Parameters:
    """Every parameter of a model's family: its own defaults, what [model] has a key for, and [model.parameters].

    Raises
    ------
    ConfigError
        If [model.parameters] has a name that the family does not know.
    """
    family = find(model.family)
    if unknown := [name for name in model.parameters if name not in family.defaults]:
        raise ConfigError(
            f"[model.parameters] {unknown[0]}: the family {model.family!r} has no such parameter; "
            f"allowed: {', '.join(family.defaults)}"
        )
    keys = {name: getattr(model, name) for name in family.defaults if name in Model.SHARED}
    return {**family.defaults, **keys, **model.parameters}


def trusted_types() -> list[str]:
    """What skops may load besides its own list, of all families of this project."""
    return [each for name in names() for each in find(name).trusted_types]


def installed(*distributions: str) -> str:
    """The first of some distributions of the same package that is installed; the first of all where none is."""
    for each in distributions:
        try:
            version(each)
        except PackageNotFoundError:
            continue
        return each
    return distributions[0]
