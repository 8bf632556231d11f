"""Metrics of a model on rows that it has not seen, and the gates that decide whether it may be released."""
