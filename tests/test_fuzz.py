"""Files of any layout: observed pixels come back, or the call says what to change."""

from __future__ import annotations

import re
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from files import File, files
from hypothesis import HealthCheck, Phase, given, settings
from maps import Quick, same

import xgapfill

REMEDY = re.compile(
    r"\b(set|use|rename|give|convert|sort|select|regrid|decode|drop|keep|interpolate|aggregate|choose|leave|open|correct|"
    r"align|add|close|fill)\b|\.(sortby|isel|sel|squeeze|drop_duplicates|assign_coords|assign_attrs|astype|rename)",
    re.IGNORECASE,
)


def asked(ds: xr.Dataset, name: str) -> xr.Dataset | str:
    """The lazy result, or the message of the error."""
    try:
        return ds.gapfill.fill(name, Quick(), full=len(name) > 3)
    except (ValueError, TypeError) as error:
        return str(error)


def tried(file: File, folder: Path) -> None:
    """Open, fill, write and read a file."""
    with file.opened(folder) as ds, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = ds[file.target].copy(deep=True)
        lazy = asked(ds, file.target)
        if isinstance(lazy, str):
            assert REMEDY.search(lazy), f"no remedy: {lazy}"
            return
        result = lazy.compute()
        observed = before.notnull().values
        assert same(result[file.target].transpose(*before.dims).values[observed], before.values[observed])
        result.to_netcdf(folder / "out.nc")
        stored = xgapfill.write(lazy, folder / "out.zarr", progress=False)
        with xr.open_dataset(folder / "out.nc") as written:
            for again in (written, stored):
                for name in result.variables:
                    np.testing.assert_array_equal(again[name].values, result[name].values, str(name))
                for name in before.coords:
                    held = again[name].transpose(*before[name].dims)
                    np.testing.assert_array_equal(held.values, before[name].values, str(name))
                again = again[file.target].transpose(*before.dims)
                assert same(again.values[observed], before.values[observed])
        stored.close()


def fuzz(count: int):
    """The test with a number of examples, the same ones in every run."""

    @settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # the first bad file is shown as it is: a smaller one takes minutes to find
        suppress_health_check=list(HealthCheck),
    )
    @given(files())
    def test(file):
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tried(file, Path(folder))

    return test


def test_files_of_any_layout():
    """A few dozen files."""
    fuzz(30)()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_files_of_any_layout_at_length():
    """Two thousand files without another outcome."""
    fuzz(2000)()
