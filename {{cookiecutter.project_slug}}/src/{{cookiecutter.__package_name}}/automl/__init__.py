"""The search for a better model: trials on folds of the rows of training, which of them is taken, and what is told."""
