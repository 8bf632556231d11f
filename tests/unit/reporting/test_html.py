import re
from html import unescape

import pytest
from matplotlib.figure import Figure

from modelworks.reporting.axes import INK
from modelworks.reporting.html import html_page
from modelworks.reporting.markdown import plain
from modelworks.reporting.status_line import StatusLine
from modelworks.reporting.style import FIGURE_COLORS, LEVEL_COLORS, PAGE_COLORS


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
    page = html_page("a <title>", "![a plot](one)\n\n![plot](two)", {"one": Figure(), "two": Figure()})
    assert re.findall(r'<span class="figure" role="img" aria-label="([^"]*)"><svg ', page) == ["a plot", "plot"]
    assert "<img" not in page
    assert "<title>a &lt;title&gt;</title>" in page


def test_colours_of_a_figure_follow_the_page_and_its_ids_are_its_own() -> None:
    figures = {}
    for name in ("one", "two"):
        figures[name] = Figure()
        axes = figures[name].subplots()
        axes.plot([0, 1], color=INK, marker="o")
        axes.set_title("<b> & $5")
    page = html_page("title", "![plot](one)\n![plot](two)", figures)
    body = page.split("<body>")[1]
    assert "stroke: var(--ink)" in body
    assert INK not in body
    assert "&lt;b&gt; &amp; $5" in body
    ids = re.findall(r' id="([^"]*)"', body)
    assert len(ids) == len(set(ids)) > 2
    assert set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', body)) <= {(each, "") for each in ids} | {
        ("", each) for each in ids
    }


def test_figure_shrinks_to_seven_tenths_and_then_scrolls_by_itself() -> None:
    page = html_page("title", "![plot](one)", {"one": Figure(figsize=(5, 4))})
    assert 'style="width: 480px; max-width: 100%; min-width: 336px"' in page


def test_status_line_has_a_word_a_symbol_and_what_to_do_next() -> None:
    line = StatusLine("warning", "Drifting", "temp <b>", "`make run`", ("also & this",))
    page = html_page("title", "# The page\n\ntext", {}, line)
    assert (
        '</h1>\n<div class="status warning"><b>! Drifting</b> temp &lt;b&gt;'
        "<div><strong>Next:</strong> <code>make run</code></div>"
        "<div><strong>Also:</strong> also &amp; this</div></div>"
    ) in page


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_texts_stand_out_from_their_background(scheme: int) -> None:
    """WCAG 2.2, success criterion 1.4.3: at least 4.5 to 1."""
    for text, back in (shades[scheme] for shades in LEVEL_COLORS.values()):
        assert contrast(text, back) >= 4.5
    page = PAGE_COLORS["page"][scheme]
    assert contrast(PAGE_COLORS["link"][scheme], page) >= 4.5
    for name, *shades in FIGURE_COLORS.values():
        # Of what is drawn 3 to 1, by criterion 1.4.11; grids and bars of few rows are meant to stand back.
        wanted = {"ink": 4.5, "grid": 1, "pale": 1}.get(name, 3)
        assert contrast(shades[scheme], page) >= wanted, name


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def contrast(one: str, other: str) -> float:
    """The ratio of the relative luminances of two colours."""

    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)
