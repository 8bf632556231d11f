"""The site: `docs/`, the README and its like, and the reference of the engine; see `make docs`."""

from __future__ import annotations

import re
from typing import Any

import mermaidx
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

project = "The reference MLOps template"
copyright = "its authors; MIT License"  # noqa: A001 - Sphinx's name

# The source is the whole repository, so that links between files are the same here and on a forge.
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**"]
exclude_patterns = [".*", "build", "benchmarks", "hooks", "modelworks", "templates", "tests", "tools", "{{*"]

extensions = ["myst_parser", "sphinx.ext.napoleon", "autoapi.extension"]
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]
default_role = "code"  # single backticks in docstrings, as they are meant
suppress_warnings = [
    "autoapi.python_import_resolution",  # dependencies of the package are not installed here
    "ref.python",  # two modules may have a type of the same name
]

# Read, not imported.
autoapi_dirs = ["modelworks/src"]
autoapi_root = "docs/api"  # for as long as the site is built
autoapi_add_toctree_entry = False
autoapi_options = ["members", "undoc-members", "imported-members", "show-module-summary"]
autoapi_python_class_content = "class"
autodoc_typehints = "signature"
napoleon_use_ivar = True  # else attributes would be listed twice
nitpicky = True
nitpick_ignore = [("py:class", "modelworks.contract.Content")]  # a name for a Literal, which is no class
nitpick_ignore_regex = [("py:.*", r"(?!modelworks).*")]  # there is no network to look other packages up

html_theme = "furo"
html_title = project
html_extra_path = ["site"]
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False


class Mermaid(SphinxDirective):
    """A diagram, drawn when the site is built, so that a page needs nothing from the internet."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """An SVG within the page."""
        svg = mermaidx.render("\n".join(self.content)).svg()
        return [nodes.raw("", f'<div style="background: white; overflow-x: auto">{svg}</div>', format="html")]


def describe_parameters(_app: Sphinx, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Take what follows a parameter's colon for its description, where numpydoc has the type; ours are annotated."""
    section = ""
    described = []
    for number, line in enumerate(lines):
        if set(lines[number + 1] if number + 1 < len(lines) else "") == {"-"}:
            section = line
        item = re.fullmatch(r"(\w[\w, *]*) : (.+)", line)
        if item and section in {"Parameters", "Attributes"}:
            described += [item[1], f"    {item[2]}"]
        else:
            described.append(line)
    lines[:] = described


def skip_twice_named(_app: Sphinx, what: str, name: str, _obj: Any, skip: bool, _options: Any) -> bool:
    """Leave out the functions that `modelworks.stages` shows beside its modules of the same names."""
    return skip or (what == "function" and name.rpartition(".")[0] == "modelworks.stages")


def setup(app: Sphinx) -> None:
    """Add what is said above."""
    app.add_directive("mermaid", Mermaid)
    app.connect("autoapi-skip-member", skip_twice_named)
    app.connect("autodoc-process-docstring", describe_parameters, priority=400)  # before napoleon
