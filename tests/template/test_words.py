"""Code, pages and messages use the field's standard terms."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from bakes import REPOSITORY

# What is not said, and what is said in its place.
INSTEAD = {
    r"knobs?": "setting",
    r"told|tells?|telling": "logged, reported, notified, named, shown, distinguished",
    r"mends?|mended|mending": "fix, repair",
    r"tally|tallies|tallied|tallying": "accumulator, counts",
    r"twins?": "sandbox",
    r"drills?": "fault-injection test",
    r"(?:lives?|lived|living) through": "backtest, replay of a year",
    r"worlds? of (?:its|their) own": "backtest in a sandbox",
    r"in short": "summary",
    r"(?:take|takes|took|taken|taking) up": "load a model, claim a request, switch to",
    r"settles?|settled|settling": "reconcile",
    r"coded": "encode, decode",
    r"beforehand": "known at prediction time; before",
    r"learn(?:ed|t) from": "trained on, training period",
    r"readings|evidence": "profile, column statistics, parsed columns",
    r"doubts?|doubted|doubtful|doubting": "warning",
    r"family|families": "model type",
    r"(?:gives?|gave|given|giving) up": "pruned, abandoned",
    r"what is tried": "search space, hyperparameter tuning",
    r"best of so many": "multiple-comparison correction",
    r"cr(?:y|ies|ied) wolf": "false alarm",
    r"of which|such that": "a main clause",
    r"decay(?:s|ed|ing)?": "calibration drift, where recalibration is what is measured",
}
# Files that are not ours or not now: a history keeps its words.
LEFT_OUT = {
    r"CHANGELOG\.md": "what was released was written then",
    r"LICENSE|templates/licenses/.*": "their authors' words",
    r".*\.(lock|csv|gz|svg|png|npz|keras|safetensors|parquet)": "data, and names of packages",
    r"tests/template/test_words\.py": "the list itself",
}
# Lines in which one of the words is somebody else's name.
ALLOWED = {
    r"socket\.AF_INET|socket\.socket\(family\)": "`family` is the socket library's name for the kind of an address",
    r"font-family": "CSS's name of a property",
    r"weight_decay|CosineDecay": "parameters of optimisers",
    r"flight\|2013\|drill": "a test that a README does not have the word",
}


def split_names(line: str) -> str:
    """A line with its identifiers taken apart: `test_knob_is_set` and `KnobError` hold the word `knob`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", line).replace("_", " ")


def find_words(line: str) -> list[str]:
    """The words of a line that the glossary replaces, each with what is said in its place."""
    if any(re.search(allowed, line) for allowed in ALLOWED):
        return []
    text = split_names(line)
    found = [(re.search(rf"\b(?:{words})\b", text, re.IGNORECASE), instead) for words, instead in INSTEAD.items()]
    return [f"{match[0]!r}; say: {instead}" for match, instead in found if match]


def read_tracked_lines() -> Iterator[tuple[str, str]]:
    """Every line of the text files that git tracks, with its place."""
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=REPOSITORY, text=True).split("\0")
    for name in names:
        path = REPOSITORY / name
        if not path.is_file() or any(re.fullmatch(left_out, name) for left_out in LEFT_OUT):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        yield from ((f"{name}:{number}", line) for number, line in enumerate([name, *text.splitlines()]))


def test_only_words_of_the_field_are_used() -> None:
    found = [f"{place}: {word}" for place, line in read_tracked_lines() for word in find_words(line)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("def test_knob_is_set() -> None:", "knob"),
        ("class TwinError(Exception):", "Twin"),
        ("what the model learned from", "learned from"),
        ("Tells whether a flight is late", "Tells"),
    ],
)
def test_word_is_found_in_names_and_in_prose(line: str, word: str) -> None:
    assert [each.split(";")[0] for each in find_words(line)] == [repr(word)]


@pytest.mark.parametrize("line", ["import threading", "intelligent amendments", "reading changes nothing"])
def test_words_that_only_look_alike_are_left(line: str) -> None:
    assert find_words(line) == []


@pytest.mark.parametrize("exceptions", [LEFT_OUT, ALLOWED])
def test_every_exception_is_needed(exceptions: dict[str, str]) -> None:
    names = subprocess.check_output(["git", "ls-files"], cwd=REPOSITORY, text=True).splitlines()
    lines = names if exceptions is LEFT_OUT else [line for _, line in read_tracked_lines()]
    assert [each for each in exceptions if not any(re.search(each, line) for line in lines)] == []
