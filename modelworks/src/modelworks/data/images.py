"""Images in columns of text, PNG or JPEG in base64: how they are checked and decoded."""

import base64
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Literal

import pandas as pd
from PIL import Image, ImageOps

from modelworks.data.quiet_pandera import pa
from modelworks.errors import ContractError

Mode = Literal["grey", "colour", "any"]

FORMATS = ("PNG", "JPEG")
GREY, COLOUR = {"1", "L", "LA"}, {"P", "RGB", "RGBA"}
"""Pillow's names for how it keeps pixels; CMYK and grey of 16 bits are not among them, colour of 16 bits becomes 8."""

NOT_BASE64 = "not base64"
NOT_AN_IMAGE = "no PNG or JPEG"
SEVERAL = "several pictures in one"
OTHER_PIXELS = "pixels neither grey nor colour of 8 bits"
TRANSPARENT = "transparent in places"
COLOURED = "colour, and grey is wanted"
GREYISH = "grey, and colour is wanted"
BROKEN = "broken or cut off"


def image_checks(low: int, high: int, mode: Mode = "any") -> list[pa.Check]:
    """A check for each reason to refuse an image, or one whose sides have not from `low` to `high` pixels.

    Of several reasons the first is reported. The sides are read before any pixel, so a small file of a huge image
    costs nothing.

    Parameters
    ----------
    mode : "grey" and "colour" refuse the other one; CMYK and grey of 16 bits are refused in any case
    """
    small, large = f"a side of less than {low} pixels", f"a side of more than {high} pixels"

    def find_reason(text: str) -> str:
        """The reason to refuse an image, by its header; "" for none."""
        try:
            content = _from_base64(text)
        except ValueError:
            return NOT_BASE64
        try:
            image = _open(content)
        except Image.DecompressionBombError:
            return large
        except Exception:  # whatever Pillow raises of bytes that are something else
            return NOT_AN_IMAGE
        reasons = {
            SEVERAL: getattr(image, "n_frames", 1) > 1,
            small: min(image.size) < low,
            large: max(image.size) > high,
            OTHER_PIXELS: image.mode not in GREY | COLOUR,
            COLOURED: mode == "grey" and image.mode in COLOUR,
            GREYISH: mode == "colour" and image.mode in GREY,
        }
        return next((reason for reason, is_so in reasons.items() if is_so), "")

    def has_not(reason: str, values: pd.Series) -> pd.Series:
        return values.map(lambda text: find_reason(text) != reason, na_action="ignore").astype("bool")

    def looks(right: Callable[[str], bool], values: pd.Series) -> pd.Series:
        return values.map(lambda text: bool(find_reason(text)) or right(text), na_action="ignore").astype("bool")

    reasons = [NOT_BASE64, NOT_AN_IMAGE, SEVERAL, small, large, OTHER_PIXELS]
    reasons += {"grey": [COLOURED], "colour": [GREYISH], "any": []}[mode]
    kept = {"low": low, "high": high, "mode": mode}
    checks = [pa.Check(partial(has_not, each), name="is_image", statistics=kept, error=each) for each in reasons]
    by_pixels = {BROKEN: _is_whole, TRANSPARENT: _is_opaque}
    checks += [
        pa.Check(partial(looks, right), name="is_image", statistics=kept, error=each)
        for each, right in by_pixels.items()
    ]
    return checks


def decode(text: str) -> Image.Image:
    """The image of a text, upright.

    Raises
    ------
    ContractError
        If it is none.
    """
    try:
        image = _open(_from_base64(text))
        image.load()
        return ImageOps.exif_transpose(image)  # a camera says which side is up
    except Exception as error:  # whatever Pillow raises of bytes that are broken
        raise ContractError(
            f"an image of {len(text):,} characters cannot be read ({type(error).__name__}): wanted is PNG or JPEG in "
            "base64; is_image in contract.py keeps others out"
        ) from None


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _open(content: bytes) -> Image.Image:
    """Image file, opened; only its header is read."""
    return Image.open(BytesIO(content), formats=FORMATS)


def _is_whole(text: str) -> bool:
    try:
        decode(text)
    except ContractError:
        return False
    return True


def _is_opaque(text: str) -> bool:
    """Whether no pixel is transparent; an encoder reads the colour of a transparent pixel, which people do not see."""
    if not _open(_from_base64(text)).has_transparency_data or not _is_whole(text):
        return True
    faintest, _ = decode(text).convert("RGBA").getchannel("A").getextrema()
    return faintest == 255
