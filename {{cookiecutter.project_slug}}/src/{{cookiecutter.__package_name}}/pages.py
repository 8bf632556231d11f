"""One HTML file from Markdown and figures, which needs nothing else and can be sent to anybody."""

import base64
import io
import re
from html import escape
from itertools import pairwise

from markdown_it import MarkdownIt
from matplotlib.figure import Figure

STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1, h2, h3 { line-height: 1.2; margin-top: 2rem }
ul { padding-left: 1.2rem }
blockquote { margin: 1rem 0; padding: .1rem 1rem; border-left: 4px solid #c62828; background: #fdecea }
.table { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid #d9dee3; vertical-align: top }
th { border-bottom-color: #8a97a3 }
td { white-space: nowrap }
td.long { white-space: normal; overflow-wrap: anywhere; min-width: 16rem }
img { max-width: 100%; height: auto; vertical-align: top }
code { background: #f1f3f5; padding: .1rem .3rem }
@media (prefers-color-scheme: dark) { body { background: #14191e; color: #dfe5ea } code { background: #28313a }
  blockquote { background: #3a2326 } img { background: #fff } th, td { border-bottom-color: #38434d } }
"""
DOTS_PER_INCH = 110
LONG_CHARACTERS = 30  # of a cell; longer ones may be broken into lines
MARKS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!~&])")  # the bar is left to tables


def html_page(title: str, markdown: str, figures: dict[str, Figure]) -> str:
    """A self-contained page.

    Parameters
    ----------
    markdown : with tables; what looks like HTML in it is shown as text. `![caption](name)` stands for a figure
    figures : by the names that the text uses
    """
    body = _to_html(markdown)
    for name, figure in figures.items():
        body = body.replace(f'src="{escape(name)}"', f'src="{_data_uri(figure)}"')
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def _to_html(markdown: str) -> str:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    for opening, cell in pairwise(tokens):
        if opening.type == "td_open" and sum(len(part.content) for part in cell.children or []) > LONG_CHARACTERS:
            opening.attrSet("class", "long")
    body = parser.renderer.render(tokens, parser.options, {})
    # Whatever a page quotes, its own tags are the only ones that stand there unescaped.
    return body.replace("<table>", '<div class="table">\n<table>').replace("</table>", "</table>\n</div>")


def plain(text: str) -> str:
    """Text from elsewhere, such as the name of a column, for Markdown to show as it is."""
    return MARKS.sub(r"\\\1", " ".join(text.split()))


def _data_uri(figure: Figure) -> str:
    return f"data:image/png;base64,{base64.b64encode(to_png(figure)).decode()}"


def to_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()
