"""The data contract, declared once; reading, validation, features and the model's signature derive from it.

One row is one change in Node.js: its title, as whoever made it wrote it. A month's rows are those of the releases of
that month; a row has no time of its own.
"""

from typing import Any

from .declaration import Task, column, in_script, length, matches, one_of

TASK: Task = "multiclass"
CLASSES: list[Any] = ["deps", "doc", "lib", "src", "test", "tools"]
"""Values of the target; of two, the second is the one whose probability is predicted."""

COLUMNS = {
    "commit": column(
        "key", "str", "commit in Node.js, its first ten digits", matches(r"^[0-9a-f]{10}$"), content="text"
    ),
    "version": column("unused", "str", "release that it came in first", matches(r"^\d+\.\d+\.\d+$"), content="text"),
    # The network was trained on English: of another script it would make numbers that say nothing.
    "title": column(
        "feature",
        "str",
        "what was changed, in a line",
        length(1, 2000),
        matches(r"\s*\S"),
        in_script("LATIN"),
        content="text",
    ),
    "kind": column("feature", "str", "what it asks of the version", one_of("patch", "minor", "major")),
    "area": column("target", "str", "part of Node.js that it belongs to", one_of(*CLASSES)),
}

KEY = ["commit"]
"""Tells the rows of a month apart."""
GROUP = ""
"""Column whose rows belong together, such as one for each visit of a patient; only where there is no time column."""
SLICES: list[str] = ["kind"]
"""Columns whose values are judged one by one when a model is evaluated."""

EXAMPLE: dict[str, Any] = {
    "commit": "c868e36385",
    "title": "add digest name to INVALID_DIGEST errors",
    "kind": "patch",
}
"""A real row, without what is known only afterwards, for the pages of the prediction API."""
