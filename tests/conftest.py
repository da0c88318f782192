"""Fixtures of all tests. Markers and what is deselected by default stand in pyproject.toml."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, print_blob=True)
if os.environ.get("CI"):  # the same examples in every run: a failure is one of the change, not of the day
    settings.load_profile("repeatable")

# Tests run in several processes: two threads each of BLAS and torch would wait for one another most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

collect_ignore = ["bench", "mutants"]  # programs without examples

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data, ``XGAPFILL_SHARED_DATA`` or ``../shared/data``; the test is skipped without it."""
    folder = Path(os.environ.get("XGAPFILL_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set XGAPFILL_SHARED_DATA to its folder")
    return folder


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out examples of verbs: those of the classes that they are made from are run already."""
    from xgapfill.api.verbs import VERBS

    verbs = {f"xgapfill/__init__.py::xgapfill.{name}" for name in VERBS}
    again = [item for item in items if item.nodeid in verbs]
    if again:
        config.hook.pytest_deselected(items=again)
        items[:] = [item for item in items if item not in again]
