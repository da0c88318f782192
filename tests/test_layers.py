"""The shape of the source: folders, sizes, lazy imports. Reads the code, runs nothing but one import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "xgapfill"
FILES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted(path for folder in ("examples", "tests", "tests/bench") for path in (ROOT / folder).glob("*.py"))

# From the ground up: a folder (or a file at the top) imports from those on lines above its own, never from those below.
GROUND_UP = (
    ("_version", "options"),
    ("lattice", "variables", "weights", "diffusion"),
    ("simulate", "blocks", "gaussian", "prior"),
    ("stores", "nets", "inputs", "tutorial"),
    ("methods",),
    ("kernel", "testing"),
    ("outputs", "validation"),
    ("pipeline", "training", "plot"),
    ("api",),
    ("accessor",),
    ("xgapfill",),
    ("cli",),
)
XARRAY = (
    "accessor",
    "api",
    "blocks.inputs",
    "blocks.leaves",
    "blocks.source",
    "cli",
    "inputs",
    "kernel.reduce",
    "kernel.statistics",
    "outputs",
)
XARRAY += ("lattice.sea", "pipeline", "plot", "stores", "training", "tutorial", "validation")
DASK = (
    "api",
    "blocks",
    "cli",
    "inputs.conditions",
    "kernel.beyond",
    "kernel.drivers",
    "kernel.ever",
    "kernel.job",
    "kernel.pairs",
    "kernel.patches",
    "kernel.sample",
    "kernel.seasons",
    "outputs",
    "pipeline",
    "stores",
)
TORCH_AT_IMPORT = ("diffusion", "gaussian.covariance", "gaussian.spectral", "nets", "training")


def _name(file: Path) -> str:
    """Dotted name of a module inside the package: ``methods.base``; ``xgapfill`` for the package itself."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "xgapfill"


MODULES = {_name(file): file for file in FILES}


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _walk(node: ast.AST, functions: bool) -> Iterator[ast.AST]:
    """Nodes that run: not those for type checkers, and those inside functions only when asked for."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not functions:
            continue
        yield child
        yield from _walk(child, functions)


def _imports(file: Path, functions: bool = True) -> set[str]:
    """Modules a file imports: dotted names inside the package (``methods.base``), top names of others (``torch``)."""
    found = set()
    for node in _walk(_tree(file), functions):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in inside if name.removeprefix("xgapfill.") in MODULES}
            found |= modules | ({str(node.module)} if len(modules) < len(inside) else set())
    return {
        name.removeprefix("xgapfill.") if name.split(".")[0] == "xgapfill" else name.split(".")[0] for name in found
    }


def _folder(module: str) -> str:
    return module.split(".")[0]


def _within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


LEVEL = {folder: number for number, line in enumerate(GROUND_UP) for folder in line}


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_downward(module):
    """A module imports from its own folder or one below, inside functions too; folders of one line stay apart."""
    mine = _folder(module)
    others = {_folder(name) for name in _imports(MODULES[module]) if name in MODULES} - {mine}
    assert not [other for other in others if LEVEL[other] >= LEVEL[mine]]


def test_the_listing_is_short():
    """The top of the package is read at a glance: few files, folders of one word, and the straight line is short."""
    files = list(PACKAGE.glob("*.py"))
    folders = [path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert len(files) <= 8
    assert len(folders) <= 18
    assert all(name.isalpha() for name in folders)
    assert len((PACKAGE / "pipeline.py").read_text(encoding="utf-8").splitlines()) <= 250


@pytest.mark.parametrize("module", MODULES)
def test_libraries_stay_in_their_rooms(module):
    """Labels (xarray) and graphs (dask) are known only at the borders."""
    found = _imports(MODULES[module])
    assert "xarray" not in found or _within(module, XARRAY)
    assert "dask" not in found or _within(module, DASK)


def test_no_cycles():
    """No two modules import each other while they are being imported."""
    below = {
        name: {other for other in _imports(file, functions=False) if other in MODULES} for name, file in MODULES.items()
    }
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name not in done:
            for other in below[name]:
                visit(other, (*path, name))
            done.add(name)

    for name in below:
        visit(name, ())


@pytest.mark.parametrize("module", MODULES)
def test_torch_is_imported_where_it_runs(module):
    """Torch is imported at the top only by the modules that are mathematics on tensors."""
    if not _within(module, TORCH_AT_IMPORT):
        assert "torch" not in _imports(MODULES[module], functions=False)


def test_importing_loads_only_what_labels_need():
    """``import xgapfill`` adds the accessor to xarray, and loads no library for nets, scores, stores or plots."""
    heavy = ("torch", "scipy.stats", "scipy.optimize", "scipy.spatial", "scipy.ndimage", "zarr", "netCDF4")
    heavy += ("matplotlib", "cmocean", "requests", "distributed", "pint", "xgapfill.training.fit")
    code = f"import sys, xarray, xgapfill; print([name for name in {heavy} if name in sys.modules])"
    code += "; xarray.Dataset.gapfill"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("file", FILES + SCRIPTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_are_short(file):
    """No file has more than 400 lines, tests apart, and no function more than 60."""
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= 400 or file.parent.name == "tests", f"{lines} lines"
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node)
            assert length <= 60, f"{node.name} has {length} lines"


def test_accessor_only_delegates():
    """An accessor method is at most five lines under its docstring."""
    for accessor in (node for node in ast.walk(_tree(PACKAGE / "accessor.py")) if isinstance(node, ast.ClassDef)):
        for method in (node for node in accessor.body if isinstance(node, ast.FunctionDef)):
            body = method.body[1:] if ast.get_docstring(method) else method.body
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length <= 5, f"{accessor.name}.{method.name} has {length} lines"


def _docstring_lines(node: ast.FunctionDef) -> int:
    """Lines of a docstring: an example in it makes a function longer to read about, not to read."""
    if ast.get_docstring(node) is None:
        return 0
    return (node.body[0].end_lineno or 0) - node.body[0].lineno + 1


def test_public_functions_say_what_they_do():
    """Every public module, class and function of the package has a docstring."""
    for name, file in MODULES.items():
        tree = _tree(file)
        assert ast.get_docstring(tree) is not None or name.endswith("__main__"), name
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node) is not None, f"{name}.{node.name}"
