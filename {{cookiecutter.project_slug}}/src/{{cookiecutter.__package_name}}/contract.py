"""The data contract, declared once; reading, validation, features and the model's signature derive from it.

One row is one digit that somebody has written by hand: a picture of 8 x 8 pixels, light on dark, as PNG in base64. A
row has no time.
"""

from typing import Any

from .declaration import Task, column, length, matches, one_of
from .images import is_image

TASK: Task = "multiclass"
CLASSES: list[Any] = [str(digit) for digit in range(10)]
"""Values of the target; of two, the second is the one whose probability is predicted."""

COLUMNS = {
    "image_id": column("key", "str", "number of the picture", matches(r"^digit-\d{4}$"), content="text"),
    # Bytes are limited as well as pixels: a file can hold more than its picture.
    "image": column(
        "feature",
        "str",
        "picture of a digit, PNG or JPEG in base64",
        length(1, 200_000),
        *is_image(4, 512, mode="grey"),
        content="image",
    ),
    "digit": column("target", "str", "what was written", one_of(*CLASSES)),
}

KEY = ["image_id"]
"""Tells the rows of a month apart."""
GROUP = ""
"""Column whose rows belong together, such as one for each visit of a patient; only where there is no time column."""
SLICES: list[str] = []
"""Columns whose values are judged one by one when a model is evaluated."""

EXAMPLE: dict[str, Any] = {
    "image_id": "digit-0000",
    "image": (
        "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAU0lEQVR4AQFIALf/AAAAUM+PEAAAAAAAz++f71AABAAwIDHgEDCwAgAQ0OAA"
        "0QAAAgAQwQAADwAAAgDwLwAQMPAAAAAg31CfvwAAAAAAYM+fAAAAoPgR8aeW5ecAAAAASUVORK5CYII="
    ),
}
"""A real row, without what is known only afterwards, for the pages of the prediction API."""
