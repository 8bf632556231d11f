"""Encoders of documents: what turns a text or an image into numbers, most of them pre-trained networks.

`[model] encoder` names one of `ENCODERS`. Its numbers are columns like any others, so every model type can be trained
on them. Importing this package imports no network's library: `Encoder.build` does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from modelworks.contract import Content, Contract
from modelworks.errors import ConfigError
from modelworks.models.model_type import Parameters, installed, require_packages
from modelworks.settings import Training


@dataclass(frozen=True)
class Encoder:
    """What turns documents into numbers.

    Attributes
    ----------
    title : what it is, for people
    build : returns an unfitted transformer in scikit-learn's form, of one column of documents, which knows its number
        of columns before it is fitted, as `size`
    trusted_types : types in a fitted one that skops does not trust by default, and that somebody has reviewed
    packages : distributions that a saved model needs, beside scikit-learn
    defaults : every parameter with its default; [model.parameters] takes precedence
    reads : what its documents hold
    """

    title: str
    build: Callable[[Parameters, Training], Any]
    trusted_types: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    defaults: Parameters = field(default_factory=dict)
    reads: Content = "text"


WEIGHTS: Parameters = {"weights": ""}
"""A folder, a package or a name on the Hugging Face hub; "": those that the encoder brings."""
TRANSFORMER: Parameters = {**WEIGHTS, "weights_revision": "", "max_tokens": 128}
"""Weights, the commit of those from the hub, and the tokens of a text that are read; the rest is cut off."""


def _build_pixels(parameters: Parameters, training: Training) -> Any:
    from modelworks.models.encoders.pixels import PixelEncoder

    return PixelEncoder(**parameters)


def _build_spacy_vectors(parameters: Parameters, training: Training) -> Any:
    from modelworks.models.encoders.spacy_vectors import SpacyEncoder

    return SpacyEncoder(**parameters)


def _of_transformer(parameters: Parameters) -> tuple[str, str, int]:
    return parameters["weights"], parameters["weights_revision"], parameters["max_tokens"]


def _build_tokens(parameters: Parameters, training: Training) -> Any:
    from modelworks.models.encoders.tokens import TokenEncoder

    return TokenEncoder(
        parameters["weights"], parameters["weights_revision"], parameters["max_tokens"], training.threads
    )


def _build_transformer(parameters: Parameters, training: Training) -> Any:
    from modelworks.models.encoders.transformer import TransformerEncoder

    return TransformerEncoder(
        parameters["weights"], parameters["weights_revision"], parameters["max_tokens"], training.threads
    )


def _build_vision(parameters: Parameters, training: Training) -> Any:
    from modelworks.models.encoders.vision import VisionEncoder

    return VisionEncoder(**parameters, threads=training.threads)


def _build_words(parameters: Parameters, training: Training) -> Any:
    from modelworks.models.encoders.words import WordEncoder

    return WordEncoder(parameters["max_words"])


ENCODERS = {
    "pixels": Encoder(
        title="pixels",
        build=_build_pixels,
        trusted_types=["modelworks.models.encoders.pixels.PixelEncoder"],
        packages=["pillow"],
        defaults={"image_side": 8},  # pixels
        reads="image",
    ),
    "spacy_vectors": Encoder(
        title="vectors of spaCy",
        build=_build_spacy_vectors,
        trusted_types=["modelworks.models.encoders.spacy_vectors.SpacyEncoder"],
        packages=["spacy"],
        defaults=WEIGHTS,
    ),
    "tokens": Encoder(
        title="tokens of a network of Hugging Face",
        build=_build_tokens,
        trusted_types=["modelworks.models.encoders.tokens.TokenEncoder"],
        packages=["torch", "transformers", "safetensors"],
        defaults=TRANSFORMER,
    ),
    "transformer": Encoder(
        title="sentence encoder of Hugging Face",
        build=_build_transformer,
        trusted_types=["modelworks.models.encoders.transformer.TransformerEncoder"],
        packages=["torch", "transformers", "safetensors"],
        defaults=TRANSFORMER,
    ),
    "vision": Encoder(
        title="vision network of Keras",
        build=_build_vision,
        trusted_types=["modelworks.models.encoders.vision.VisionEncoder"],
        packages=["keras", installed("torch", "tensorflow-cpu", "tensorflow"), "pillow"],
        defaults=WEIGHTS,
        reads="image",
    ),
    "words": Encoder(
        title="words, for the model type tfidf",
        build=_build_words,
        trusted_types=["modelworks.models.encoders.words.WordEncoder"],
        defaults={"max_words": 256},
    ),
}


def find(name: str) -> Encoder:
    """An encoder by its name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in ENCODERS:
        raise ConfigError(f"[model] encoder = {name!r}: no such encoder; there are {', '.join(ENCODERS)}")
    return ENCODERS[name]


def build(contract: Contract, name: str, documents: list[str], parameters: Parameters, training: Training) -> list[Any]:
    """An unfitted encoder for each of some document features.

    Parameters
    ----------
    parameters : all of the encoder's, each with its value

    Raises
    ------
    ConfigError
        If there is no such encoder, it reads another content, or its packages or weights are missing.
    """
    encoder = find(name)
    _check_content(contract, name, documents)
    require_packages(f"[model] encoder = {name!r}", encoder.packages)
    return [encoder.build(parameters, training) for _ in documents]


def _check_content(contract: Contract, name: str, documents: list[str]) -> None:
    reads = find(name).reads
    if other := [each for each in documents if contract.contents[each] != reads]:
        content = contract.contents[other[0]]
        able = [each for each, encoder in ENCODERS.items() if encoder.reads == content]
        raise ConfigError(
            f"[model] encoder = {name!r} reads documents of content {reads!r}, and {other[0]!r} in contract.py has "
            f"content {content!r}; encoders for that: {', '.join(able)}"
        )


def packages(contract: Contract, name: str) -> list[str]:
    """Distributions that a saved model needs to read documents; none where no feature is one."""
    return find(name).packages if contract.document_features else []


def trusted_types(contract: Contract) -> list[str]:
    """Types that skops may load of the encoders; none where no feature is a document."""
    if not contract.document_features:
        return []
    found = [each for encoder in ENCODERS.values() for each in encoder.trusted_types]
    return ["modelworks.models.encoders.documents.DocumentEncoder", *found]
