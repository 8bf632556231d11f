"""Markdown in which whatever people and data have written is shown as it is, unless it is marked as Markdown."""

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from ..pages import plain
from ..reports import table

ADDRESS_MARKS = ":/?#[]@!$&'()*+,;=%~"


class Markdown(str):
    """Text that is Markdown already."""


def as_text(value: object) -> Markdown:
    """A value to be shown as it is, on one line; nothing for None."""
    if isinstance(value, Markdown):
        return value
    return Markdown("" if value is None else plain(str(value)))


def link(text: object, address: str) -> Markdown:
    """A link to a web page; the text alone where the address is none."""
    if not address.startswith(("http://", "https://")):
        return as_text(text)
    return Markdown(f"[{as_text(text)}](<{quote(address, safe=ADDRESS_MARKS)}>)")


def text_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of cells that are shown as they are."""
    return table([as_text(name) for name in header], ([as_text(cell) for cell in row] for row in rows))
