"""Make the data of the image example: handwritten digits, in twelve deliveries, as scikit-learn ships them.

::

    python tools/image_example.py examples/image/data
"""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import numpy as np  # type: ignore[import-not-found]
from PIL import Image  # type: ignore[import-not-found]
from sklearn.datasets import load_digits  # type: ignore[import-not-found]

import months

MONTHS = [f"2023-{month:02d}" for month in range(1, 13)]
COLUMNS = ["image_id", "image", "digit"]
DARKEST = 16  # the values are counts, of the inked ones among 4x4 pixels


def to_png(counts: np.ndarray) -> str:
    """A picture in base64, 0 black and `DARKEST` white; not compressed, so that its bytes are always the same."""
    file = io.BytesIO()
    Image.fromarray(np.round(counts * (255 / DARKEST)).astype("uint8")).save(file, "PNG", compress_level=0)
    return base64.b64encode(file.getvalue()).decode()


def read_digits() -> dict[str, list[dict[str, str]]]:
    """The digits in the order of the set, cut into as many parts as there are months."""
    digits = load_digits()
    rows = [
        {"image_id": f"digit-{number:04d}", "image": to_png(image), "digit": str(digit)}
        for number, (image, digit) in enumerate(zip(digits.images, digits.target, strict=True))
    ]
    parts = np.array_split(np.arange(len(rows)), len(MONTHS))
    return {month: [rows[at] for at in part] for month, part in zip(MONTHS, parts, strict=True)}


if __name__ == "__main__":
    months.write(read_digits(), COLUMNS, Path(sys.argv[1]), "digits")
