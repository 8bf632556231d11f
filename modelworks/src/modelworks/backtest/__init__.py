"""Backtests: periods replayed one by one in a sandbox, by several retraining policies or with changed data."""
