"""The look of a page: one stylesheet, with a light and a dark value of each colour."""

FIGURE_COLORS: dict[str, tuple[str, str, str]] = {
    "#1c2733": ("ink", "#1c2733", "#dfe5ea"),
    "#000000": ("ink", "#1c2733", "#dfe5ea"),
    "#8a97a3": ("grey", "#6d7a86", "#93a0ab"),
    "#808080": ("grey", "#6d7a86", "#93a0ab"),
    "#c9d1d8": ("pale", "#c9d1d8", "#4a5661"),
    "#e4e8ec": ("grid", "#e4e8ec", "#2b353e"),
    "#1f6fb2": ("blue", "#1f6fb2", "#63b0ee"),
    "#d98200": ("orange", "#b86e00", "#f2a93b"),
    "#c22f2f": ("red", "#c22f2f", "#f2777a"),
    "#2c8a57": ("green", "#2c8a57", "#5cc48b"),
    "#8256b0": ("violet", "#8256b0", "#b794e6"),
}
"""Name, light and dark value of each colour that figures are drawn in, by the value that they are drawn with."""

LEVEL_COLORS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "good": (("#14532d", "#e3f4e9"), ("#a7e3bd", "#14301f")),
    "waiting": (("#123f73", "#e4eefb"), ("#a9cdf7", "#152a45")),
    "warning": (("#6b3d00", "#fdf1dc"), ("#f5cf8e", "#38290d")),
    "bad": (("#7f1d1d", "#fde8e6"), ("#f6b5b0", "#3f1b1b")),
}
"""Text and background of a status line by its level, on a light page and on a dark one."""

PAGE_COLORS = {
    "page": ("#ffffff", "#14191e"),
    "rule": ("#d9dee3", "#38434d"),
    "code": ("#f1f3f5", "#28313a"),
    "link": ("#1a5f9e", "#7cc0f5"),
}

RULES = """
*, *::before { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 72rem;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere }
h1, h2, h3 { line-height: 1.2; margin-top: 2rem }
a { color: var(--link) }
ul { padding-left: 1.2rem }
blockquote { margin: 1rem 0; padding: .1rem 1rem; border-left: 4px solid var(--bad-text);
  color: var(--bad-text); background: var(--bad-back) }
.status { margin: 1rem 0; padding: .7rem 1rem; border-left: 6px solid; border-radius: 4px }
.status b { font-size: 1.2rem; margin-right: .3rem }
.status div { margin-top: .2rem }
.table { overflow-x: auto; margin: 1rem 0 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid var(--rule); vertical-align: top;
  overflow-wrap: normal }
th { border-bottom-color: var(--grey) }
td { white-space: nowrap }
td.long { white-space: normal; overflow-wrap: anywhere; min-width: 16rem }
.figure { display: inline-block; max-width: 100%; overflow-x: auto; vertical-align: top; margin: .3rem .5rem .3rem 0 }
svg { display: block; height: auto; fill: var(--ink) }
svg * { stroke-linejoin: round; stroke-linecap: butt }
svg text { font-family: system-ui, sans-serif !important }
code { background: var(--code); padding: .1rem .3rem }
@media (max-width: 500px) { body { margin: 1rem auto; padding: 0 .8rem } }
"""


def stylesheet() -> str:
    """The style of every page; the reader's preference chooses between the light and the dark colours."""
    light, dark = (_variables(at) for at in (0, 1))
    levels = "\n".join(
        f".status.{name} {{ color: var(--{name}-text); background: var(--{name}-back) }}" for name in LEVEL_COLORS
    )
    return (
        f"\n:root {{ color-scheme: light dark; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}{RULES}{levels}\n"
    )


def _variables(scheme: int) -> str:
    """The colours as CSS variables; `scheme` is 0 for light and 1 for dark."""
    values = {name: shades[scheme] for name, *shades in FIGURE_COLORS.values()}
    values |= {name: shades[scheme] for name, shades in PAGE_COLORS.items()}
    for level, shades in LEVEL_COLORS.items():
        values[f"{level}-text"], values[f"{level}-back"] = shades[scheme]
    return "; ".join(f"--{name}: {value}" for name, value in values.items())
