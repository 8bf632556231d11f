"""Pieces of Markdown: tables, links, and text from elsewhere that is shown as it is."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from modelworks.wording import count

ADDRESS_MARKS = ":/?#[]@!$&'()*+,;=%~"
MARKS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!~&])")  # without the bar: `table` escapes it


NUMBER = re.compile(r"[-+±]?\d[\d,]*(\.\d+)?( ?%)?( ?\[[^\]]*\])?|\[-?[\d.]+, -?[\d.]+\]")
NOTHING = {"", "-"}  # cells without a value


class Markdown(str):
    """Text that is Markdown already."""

    __slots__ = ()


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table whose columns line up in plain text as well; columns of numbers are aligned to the right."""
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in (header, *rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    is_right = [_holds_numbers([row[at] for row in cells[1:]]) for at in range(len(header))]
    align = [str.rjust if right else str.ljust for right in is_right]
    padded = [[to(cell, width) for to, cell, width in zip(align, row, widths, strict=True)] for row in cells]
    lines = [f"| {' | '.join(row)} |" for row in padded]
    rules = ["-" * (width + 1) + (":" if right else "-") for width, right in zip(widths, is_right, strict=True)]
    lines.insert(1, f"|{'|'.join(rules)}|")
    return "\n".join(lines)


def _holds_numbers(cells: Sequence[str]) -> bool:
    """Whether most of the cells that hold something hold a number, with its unit or interval."""
    filled = [cell for cell in cells if cell not in NOTHING]
    return 2 * sum(bool(NUMBER.fullmatch(cell.replace("\\", ""))) for cell in filled) > len(filled)


def text_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of cells that are shown as they are."""
    return table([as_text(name) for name in header], ([as_text(cell) for cell in row] for row in rows))


def plain(text: str) -> str:
    """Text from elsewhere, such as the name of a column, for Markdown to show as it is."""
    return MARKS.sub(r"\\\1", " ".join(text.split()))


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


def count_rows(rows: int, unlabelled: int) -> str:
    """A number of rows, and how many more have no label."""
    return count(rows, "row") + (f" ({unlabelled:,} without a label left out)" if unlabelled else "")


def without_secrets(text: str) -> str:
    """A text whose addresses name no user and no password, for everyone to read."""
    return re.sub(r"://[^\s/:@]*(:[^\s@]*)?@", "://", text)
