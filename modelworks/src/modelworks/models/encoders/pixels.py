"""Images as their pixels, without a network: the baseline of a pre-trained one."""

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin

from modelworks.data.images import decode


class PixelEncoder(TransformerMixin, BaseEstimator):
    """A column of images as numbers from 0, black, to 1, white; rows of pixels one after the other. A null is NaN.

    Parameters
    ----------
    image_side : both sides of the picture after resizing
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
