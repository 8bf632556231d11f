"""Encoders of documents: networks that somebody else has trained turn a text or an image into numbers.

A file each, as families have one; `pipeline.toml` names an encoder as its file is called. What it makes are columns
like any others, so that each family can learn from them, and serving cannot differ from training.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from .. import schema
from ..config import PACKAGE, Model, Training
from ..declaration import Content
from ..errors import ConfigError
from ..features import Features

DOCUMENTS = "_documents"


@dataclass(frozen=True)
class Encoder:
    """What turns documents into numbers.

    Attributes
    ----------
    title : what it is, for people
    build : an unfitted transformer in scikit-learn's form, of one column of documents, which knows its number of
        columns beforehand, as `size`
    trusted_types : types in a fitted one that skops does not trust by itself, and somebody has looked at
    packages : distributions that a saved model needs, beside scikit-learn
    reads : what its documents hold
    """

    title: str
    build: Callable[[Model, Training], Any]
    trusted_types: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    reads: Content = "text"


def names() -> list[str]:
    """The encoders that this project has, in the order of the alphabet."""
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def find(name: str) -> Encoder:
    """An encoder by its name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if not names():
        raise ConfigError(
            f"contract.py: {', '.join(schema.DOCUMENT_FEATURES)}: this project has no encoder of documents; make "
            "it from the template with the example text or image, or declare the column without content, as a category"
        )
    if name not in names():
        raise ConfigError(f"[model] encoder = {name!r}: no such encoder; there are {', '.join(names())}")
    encoder: Encoder = import_module(f"{__name__}.{name}").ENCODER
    return encoder


def build_features(
    texts: list[str],
    times: list[str],
    dates: list[str],
    numbers: list[str],
    documents: list[str],
    name: str,
    model: Model,
    training: Training,
) -> Features:
    """The first step of a pipeline where some of the features are documents.

    Parameters
    ----------
    name : of the encoder

    Raises
    ------
    ConfigError
        If there is no such encoder, it reads something else, or its weights are not there.
    """
    encoder = find(name)
    _check_it_reads(name, documents)
    kind = import_module(f"{__name__}.{DOCUMENTS}").DocumentFeatures
    features: Features = kind(
        texts, times, dates, numbers, documents, [encoder.build(model, training) for _ in documents]
    )
    return features


def _check_it_reads(name: str, documents: list[str]) -> None:
    reads = find(name).reads
    if other := [each for each in documents if schema.CONTENTS[each] != reads]:
        content = schema.CONTENTS[other[0]]
        able = [each for each in names() if find(each).reads == content]
        raise ConfigError(
            f"[model] encoder = {name!r} reads documents of content {reads!r}, and {other[0]!r} in contract.py has "
            f"content {content!r}; encoders for that: {', '.join(able) or 'none in this project'}"
        )


def packages(name: str) -> list[str]:
    """Distributions that a saved model needs to read documents; none where no feature is one."""
    return find(name).packages if schema.DOCUMENT_FEATURES else []


def trusted_types() -> list[str]:
    """What skops may load besides its own list, of all encoders of this project."""
    found = [each for name in names() for each in find(name).trusted_types]
    return [f"{PACKAGE}.pretrained.{DOCUMENTS}.DocumentFeatures", *found] if found else []
