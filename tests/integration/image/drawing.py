"""Pictures that tests draw, as the contract wants them or otherwise."""

import base64
from io import BytesIO
from typing import Any

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")


def to_text(image: Any, form: str = "PNG", **options: object) -> str:
    """A picture in base64."""
    file = BytesIO()
    image.save(file, form, **options)
    return base64.b64encode(file.getvalue()).decode()


def noise(side: int = 8, mode: str = "L", seed: int = 0) -> Any:
    """A picture of random pixels."""
    shape = (side, side) if mode == "L" else (side, side, 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, "uint8"))


def see_through(image: Any) -> Any:
    """The same on a transparent ground, whose hidden colour an encoder would see."""
    mask = Image.new("L", image.size, 255)
    mask.putpixel((1, 1), 254)
    copy = image.copy()
    copy.putalpha(mask)
    return copy


def claim_size(side: int) -> str:
    """A file of some bytes that says it is a huge picture."""
    from PIL.PngImagePlugin import putchunk

    file = BytesIO(b"\x89PNG\r\n\x1a\n")
    file.seek(8)
    putchunk(file, b"IHDR", side.to_bytes(4, "big") * 2, bytes([8, 0, 0, 0, 0]))
    putchunk(file, b"IDAT", b"")
    putchunk(file, b"IEND", b"")
    return base64.b64encode(file.getvalue()).decode()


def cut_off(text: str) -> str:
    """The first half of a file."""
    content = base64.b64decode(text)
    return base64.b64encode(content[: len(content) // 2]).decode()
