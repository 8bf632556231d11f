"""Predictions of a few rows in a fraction of the time: no frame where none is needed, and trees by treelite."""

from modelworks.models.fast.predictor import FEW_ROWS, Predictor, make_predictor

__all__ = ["FEW_ROWS", "Predictor", "make_predictor"]
