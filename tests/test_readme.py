"""The README and the documents: their code runs, their links lead somewhere, their commands are those of CI."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from xgapfill import tutorial
from xgapfill.methods import Repaint
from xgapfill.training import fit as train
from xgapfill.training import gappy
from xgapfill.variables import registry

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


PART = {"lat": slice(32, 72), "lon": slice(48, 88)}
LONG = ("fitting.md", "large.md", "validation.md")  # train networks, or take several seconds
CODE = [
    pytest.param(page, id=page.name, marks=[pytest.mark.slow] if page.name in LONG else [])
    for page in PAGES
    if _blocks(page, "python")
]


@pytest.mark.parametrize("page", CODE)
def test_code_runs(page, monkeypatch):
    """Every Python block of a page runs, one after the other, from nothing: on a part of the ocean that lies in few
    windows, with nets judged by few of them.
    """
    whole = tutorial.open_dataset
    monkeypatch.setattr(tutorial, "open_dataset", lambda *given, **options: whole(*given, **options).isel(PART))
    monkeypatch.setattr(gappy, "MOST_BLOCKS", 4)
    monkeypatch.setattr(gappy, "LEAST_WINDOWS", 4)
    monkeypatch.setattr(train, "MEMBER_BATCHES", 1)
    monkeypatch.setattr(train, "POOL", 4)
    quick = Repaint(((20.0, 1.0), (1.0, 0.0)))
    kinds = {"diffusion": replace(train.MODELS["diffusion"], members=quick)}
    monkeypatch.setattr(train, "MODELS", train.MODELS | kinds)
    names: dict = {}
    monkeypatch.setattr(registry, "_registered", [])
    for block in _blocks(page, "python"):
        exec(compile(block, page.name, "exec", dont_inherit=True), names)  # the text is that of this repository


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Links inside the repository point at files that are there, and at headings of the page."""
    text = page.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif "://" not in target:
            assert (page.parent / target.split("#")[0]).exists(), target


def test_tables_are_those_of_the_code():
    """Tables that follow from the code are as the code writes them."""
    done = subprocess.run([sys.executable, str(ROOT / "docs" / "tables.py"), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_lines_fit():
    """Use of the package takes about ten lines in the README."""
    code = [line for block in _blocks(ROOT / "README.md", "python") for line in block.splitlines() if line.strip()]
    assert len(code) <= 12


def test_ci_runs_the_command_of_the_readme():
    """What CI runs is what the README tells a reader to run."""
    commands = _blocks(ROOT / "README.md", "")
    assert "python -m pip install '.[viz]' && python examples/quickstart.py\n" in commands
    assert "python -m pip install '.[test]' && python -m pytest\n" in commands
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    pip, pytest_command = lines[-1].split(" && ")
    assert pip.replace(" --quiet", "") == "python -m pip install '.[test]'"
    assert pytest_command == "python -m pytest"
    for command in _blocks(ROOT / "docs" / "contributing.md", "")[1].splitlines():
        assert command in lines or command == pytest_command
