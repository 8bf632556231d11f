"""One self-contained HTML file from Markdown and figures."""

import io
import re
from html import escape
from itertools import pairwise

from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from modelworks.reporting.status_line import SYMBOLS, StatusLine
from modelworks.reporting.style import stylesheet
from modelworks.reporting.svg import to_svg

DOTS_PER_INCH = 110
LONG_CHARACTERS = 30  # in a cell; longer ones may be broken into lines


def html_page(title: str, markdown: str, figures: dict[str, Figure], status: StatusLine | None = None) -> str:
    """A self-contained page.

    Parameters
    ----------
    markdown : with tables; what looks like HTML in it is shown as text. `![caption](name)` stands for a figure
    figures : by the names that the text uses
    status : shown below the first heading
    """
    return html_page_of(title, markdown, {name: to_svg(figure, name) for name, figure in figures.items()}, status)


def html_page_of(title: str, markdown: str, drawn: dict[str, str], status: StatusLine | None = None) -> str:
    """The same from figures that are drawn already.

    Parameters
    ----------
    drawn : `<svg>` elements by the names that the text uses
    """
    body = _place_figures(_to_html(markdown), drawn)
    if status:
        body = body.replace("</h1>", f"</h1>\n{_to_status(status)}", 1)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{stylesheet()}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def _to_html(markdown: str) -> str:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    for opening, cell in pairwise(tokens):
        if opening.type == "td_open" and sum(len(part.content) for part in cell.children or []) > LONG_CHARACTERS:
            opening.attrSet("class", "long")
    body = parser.renderer.render(tokens, parser.options, {})
    # Quoted text is escaped, so these tags are the page's own.
    return body.replace("<table>", '<div class="table">\n<table>').replace("</table>", "</table>\n</div>")


def _place_figures(body: str, drawn: dict[str, str]) -> str:
    """The figures where the text names them; screen readers read their captions."""

    def place(found: re.Match[str]) -> str:
        name, caption = found.groups()
        if name not in drawn:
            return found[0]
        return f'<span class="figure" role="img" aria-label="{caption}">{drawn[name]}</span>'

    return re.sub(r'<img src="([^"]*)" alt="([^"]*)" />', place, body)


def _to_status(status: StatusLine) -> str:
    lines = [f"<b>{SYMBOLS[status.level]} {escape(status.word)}</b> {_inline(status.reason)}"]
    if status.action:
        lines.append(f"<div><strong>Next:</strong> {_inline(status.action)}</div>")
    lines += [f"<div><strong>Also:</strong> {_inline(note)}</div>" for note in status.notes]
    return f'<div class="status {status.level}">{"".join(lines)}</div>'


def _inline(text: str) -> str:
    """Text as it is, but for commands between backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def to_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()
