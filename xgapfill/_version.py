"""The version of the package, in one place."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import cf_xarray  # noqa: F401  (registers .cf)


def package_version() -> str:
    """Version of the installed package."""
    try:
        return version("xgapfill")
    except PackageNotFoundError:  # run from a source tree
        return "unknown"
