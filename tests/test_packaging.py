"""The project file and what is installed."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tomllib
from importlib import metadata, resources
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def project() -> dict:
    """The project file."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_one_version(project):
    """Project file, citation and package name the same version, which has an entry in the changes."""
    import xgapfill

    version = project["project"]["version"]
    assert xgapfill.__version__ in (version, "unknown")  # unknown: run from a checkout that was never installed
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {version}" in (ROOT / "docs" / "changes.md").read_text(encoding="utf-8")


def test_torch_is_not_pinned(project):
    """Torch is asked for as any other package: a lowest version, no upper bound, no local build."""
    (torch,) = [name for name in project["project"]["dependencies"] if name.startswith("torch")]
    assert torch.startswith("torch>=")
    assert not set("<,+@") & set(torch)


def test_oldest_versions_are_the_bounds(project):
    """The versions that the suite is run with, `tests/oldest.txt`, are the lowest that the project file admits."""
    lines = (ROOT / "tests" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    for name, bound in bounds(project["project"]["dependencies"]).items():
        assert name == "torch" or pinned[name] == bound, name


def bounds(dependencies: list[str]) -> dict[str, str]:
    """Names and lowest versions."""
    found = {}
    for line in dependencies:
        match = re.fullmatch(r"([\w-]+)(?:\[.*\])?>=([\d.]+)", line)
        assert match, f"{line} wants a lowest version and no highest"
        found[match[1]] = match[2]
    return found


def test_files_of_the_package():
    """Type marker and sea mask are inside the package."""
    package = resources.files("xgapfill")
    assert package.joinpath("py.typed").is_file()
    assert package.joinpath("lattice").joinpath("sea.npz").is_file()


def test_licence_is_declared(project):
    """The licence stands in the project file, in a file of its own and in the citation."""
    assert project["project"]["license"] == "BSD-3-Clause"
    assert "BSD 3-Clause" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "license: BSD-3-Clause" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_installed_requirements_are_met():
    """What the installed package asks for is installed."""
    try:
        wanted = metadata.requires("xgapfill") or []
    except metadata.PackageNotFoundError:
        pytest.skip("the package runs from a checkout and is not installed")
    for line in (line for line in wanted if "extra ==" not in line):
        name = line.split(">")[0].split("[")[0].split(";")[0].strip()
        assert metadata.version(name)


def test_the_conda_recipe_is_that_of_the_project(project, tmp_path):
    """Version, hash and every dependency with its bound; rattler-build can read it, where it is installed."""
    sdist = tmp_path / f"xgapfill-{project['project']['version']}.tar.gz"
    sdist.write_bytes(b"demo")
    command = [sys.executable, str(ROOT / ".ci" / "conda_recipe.py"), str(sdist)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert hashlib.sha256(b"demo").hexdigest() in text
    run = text.partition("  run:\n")[2].partition("\ntests:")[0]
    bound = bounds(project["project"]["dependencies"]).values()
    assert re.findall(r">=([\d.]+)$", run, re.MULTILINE)[-len(bound) :] == list(bound)
    rattler_build = pytest.importorskip("rattler_build")
    (found,) = rattler_build.Stage0Recipe.from_yaml(text).render(rattler_build.VariantConfig())
    assert found.recipe.package.version == project["project"]["version"]
