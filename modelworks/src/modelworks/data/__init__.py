"""Periods, partitions, sources, labels, validation and splits."""
