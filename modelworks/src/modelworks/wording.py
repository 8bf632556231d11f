"""Names and numbers in messages."""

MAX_SHOWN = 5


def count(number: int, noun: str) -> str:
    """A number of things, such as "1 row" and "2 rows"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def shorten(names: list[str]) -> str:
    """Some names, and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:MAX_SHOWN])
    return shown + (f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else "")
