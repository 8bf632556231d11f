import re
from html import unescape

import pytest
from matplotlib.figure import Figure

from {{ cookiecutter.__package_name }}.pages import html_page, plain


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "![x](https://elsewhere/x.png)",
        "[x](https://elsewhere)",
        "<https://elsewhere>",
        "a_b_c *d* **e** `f` ~~g~~ \\h",
        "1. one",
        "- two",
        "# three",
        "&lt;",
        "+1.5 !",
    ],
)
def test_text_from_elsewhere_is_shown_as_it_is(text: str) -> None:
    page = html_page("title", plain(text), {})
    assert f"<p>{text}</p>" == unescape(page.split("<body>\n")[1].split("\n</body>")[0])
    assert re.findall(r"<(\w+)", page.split("<body>")[1]) == ["p"]


def test_lines_of_text_from_elsewhere_become_one() -> None:
    assert plain("a\n\n b") == "a b"


def test_figures_lie_within_the_page() -> None:
    page = html_page("a <title>", "![plot](one)\n\n![plot](two)", {"one": Figure(), "two": Figure()})
    assert re.findall(r'<img src="(.{22})', page) == ["data:image/png;base64,"] * 2
    assert "<title>a &lt;title&gt;</title>" in page
