"""Hyperparameter tuning: trials on folds of the training rows, the choice among them, and its report."""
