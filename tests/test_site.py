"""The site: the reference is whole, and the site builds without a warning."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pytest

import xgapfill

ROOT = Path(__file__).resolve().parent.parent
TABLES = re.findall(r":toctree: generated/\n\n((?: {3}.*\n)+)", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"))
NAMES = [name for table in TABLES for name in table.split()]
MODULES = ("methods", "plot", "testing", "tutorial", "validation", "weights", "stores", "variables")


def test_the_reference_is_whole():
    """Every public function is in it, and something of every public module."""
    functions = set(xgapfill.__all__) - set(MODULES)
    assert functions <= set(NAMES)
    assert {name.partition(".")[0] for name in NAMES} == functions | set(MODULES)


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_has_an_example(name):
    """What is called has an example; so has every class that a user makes."""
    found = reduce(getattr, name.split("."), xgapfill)
    assert ">>> " in (found.__doc__ or ""), name


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_site_builds(tmp_path):
    """All notebooks run, all links inside lead somewhere, and every picture is there."""
    pytest.importorskip("myst_nb")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-j", "2", "-d", str(tmp_path / "trees")]
    done = subprocess.run([*command, str(ROOT / "docs"), str(tmp_path / "site")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for page in (tmp_path / "site").rglob("*.html"):
        for source in re.findall(r'<img[^>]* src="([^"#?]+)', page.read_text(encoding="utf-8")):
            assert "://" in source or source.startswith("data:") or (page.parent / source).exists(), (page, source)
