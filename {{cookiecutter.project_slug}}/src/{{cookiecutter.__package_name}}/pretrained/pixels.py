"""Images as their pixels: nothing that was learned elsewhere, and no network; what a pre-trained one is measured by."""

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin

from ..config import PACKAGE, Model, Training
from ..images import decode
from . import Encoder


class PixelEncoder(TransformerMixin, BaseEstimator):
    """A column of images as numbers from 0, black, to 1, white; rows of pixels one after the other. A null is NaN.

    Parameters
    ----------
    image_side : to which both sides of a picture are brought; a square is made of it
    """

    def __init__(self, image_side: int = 8) -> None:
        self.image_side = image_side

    @property
    def size(self) -> int:
        """Number of columns."""
        return self.image_side**2

    def fit(self, X: pd.Series, y: object = None) -> "PixelEncoder":
        self.n_columns_ = self.size
        return self

    def transform(self, X: pd.Series) -> np.ndarray:
        """Shape (n_rows, image_side * image_side)."""
        encoded = np.full((len(X), self.size), np.nan)
        for row in np.flatnonzero(X.notna().to_numpy()).tolist():
            image = decode(X.iat[row]).convert("L").resize((self.image_side,) * 2, Image.Resampling.BILINEAR)
            encoded[row] = np.asarray(image, "float64").ravel() / 255
        return encoded


def build(model: Model, training: Training) -> PixelEncoder:
    """The encoder that is configured."""
    return PixelEncoder(model.image_side)


ENCODER = Encoder(
    title="pixels",
    build=build,
    trusted_types=[f"{PACKAGE}.pretrained.pixels.PixelEncoder"],
    packages=["pillow"],
    reads="image",
)
