"""Sphinx configuration."""

import normcy

project = "normcy"
author = "the normcy developers"
version = release = normcy.__version__
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
autosummary_generate = True
numpydoc_show_class_members = False
exclude_patterns = ["_build"]
html_theme = "alabaster"
