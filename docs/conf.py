"""Sphinx configuration of the site. `make docs` builds it, with warnings as errors."""

import sys
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert

import normcy

sys.path.insert(0, str(Path(__file__).parent))
import measured
import pictures

project = "normcy"
author = copyright = "The normcy developers"
version = release = normcy.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "substitution"]
myst_substitutions = measured.numbers()
myst_heading_anchors = 3
default_role = "py:obj"
autosummary_generate = True
autodoc_inherit_docstrings = True
autodoc_typehints = "none"  # the docstrings have them in words
python_maximum_signature_line_length = 80
numpydoc_show_class_members = False
copybutton_exclude = ".linenos, .gp, .go"  # a copied session has no prompts and no output
exclude_patterns = ["_build", "Thumbs.db", "generated/tables"]  # pages include these
templates_path = ["_templates"]

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_title = f"normcy {release}"
html_static_path = ["_static"]
html_css_files = ["normcy.css"]
html_show_sourcelink = False
html_theme_options = {
    "github_url": "https://github.com/normcy/normcy",
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
    "logo": {"text": "normcy"},
}


def inline_math(writer, node):
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def displayed_math(writer, node):
    writer.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def setup(app):
    # Browsers draw MathML without a script, so that pages need no network and do not jump when formulas appear.
    app.add_html_math_renderer("mathml", inline_renderers=(inline_math, None), block_renderers=(displayed_math, None))
    app.connect("builder-inited", generate)


def generate(app):
    folder = Path(app.srcdir, "generated")
    pictures.draw(folder / "pictures")
    measured.write_tables(folder / "tables")
