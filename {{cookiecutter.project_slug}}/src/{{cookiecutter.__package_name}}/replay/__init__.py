"""A span of months lived through again, month by month, in a world of its own: `year` and `simulate-drift`."""
