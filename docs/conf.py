"""Settings of the site: ``python -m sphinx -W --keep-going -j 2 docs site`` builds it into ``site/``."""

from __future__ import annotations

import os
import socket
from importlib.util import find_spec
from pathlib import Path

import sphinx_autosummary_accessors

import xgapfill

os.environ.setdefault("OMP_NUM_THREADS", "1")  # notebooks run beside each other

project = "xgapfill"
author = copyright = "The xgapfill developers"
version = release = xgapfill.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_autosummary_accessors",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["site", "_build", "jupyter_execute"]
templates_path = ["_templates", sphinx_autosummary_accessors.templates_path]

# Notebooks run at build time; the outputs are those of this version.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
nb_output_stderr = "remove"  # progress bars
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "code"
highlight_language = "none"  # outputs and commands are no code


def _reached(host: str) -> bool:
    """Whether a host answers, so that the site can be built without a network."""
    try:
        socket.create_connection((host, 443), timeout=3).close()
    except OSError:
        return False
    return True


OTHERS = {
    "xarray": "https://docs.xarray.dev/en/stable/",
    "dask": "https://docs.dask.org/en/stable/",
    "zarr": "https://zarr.readthedocs.io/en/stable/",
    "numpy": "https://numpy.org/doc/stable/",
}
intersphinx_mapping = {name: (url, None) for name, url in OTHERS.items() if _reached(url.split("/")[2])}
linkcheck_ignore = [r"https://doi\.org/.*"]  # publishers refuse robots

html_theme = "pydata_sphinx_theme"
html_title = "xgapfill"
MATHJAX = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static"  # formulas without a network
mathjax_path = "mathjax/tex-chtml.js"
html_static_path = ["_static", str(MATHJAX)]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
html_sidebars = {"index": [], "changes": [], "cite": []}
