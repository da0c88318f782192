"""Products as their providers write them: opened, filled, written, read again."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from maps import Quick, same
from products import PRODUCTS, Product, days

import xgapfill

DATES = {"NASA L3m, monthly": pd.date_range("2015-01-01", periods=4, freq="MS")}
DATES |= {name: days(8) for name in ("NASA L3m, 8-day", "NASA L3m, Kd_490", "PACE OCI L3m")}


def typed(product: Product, folder) -> tuple[xr.Dataset, list[xr.DataArray], xr.Dataset]:
    """The data set, the variables to fill and the result of the lines of a product."""
    known = {"xr": xr, "pd": pd, "xgapfill": xgapfill, "quick": Quick(), "dates": DATES.get(product.name, days())}
    known |= product.write(folder)
    ds = known["ds"] = eval(product.opened, known)
    target = eval(product.target, known)
    given = product.line("fill")
    if product.by_name:
        call = re.sub(r'fill\(("\w+")', r"fill(\1, quick", given)
    else:
        call = re.sub(
            r"fill\((\[.*?\](, )?)?",
            lambda found: f"fill({(found[1] or '').rstrip(', ')}{', ' * bool(found[1])}quick, ",
            given,
        )
    result = eval(call, known)
    result = result if isinstance(result, xr.Dataset) else result.to_dataset()
    return ds, target if isinstance(target, list) else [target], result


def check(result: xr.Dataset, written: xr.Dataset, targets: list[xr.DataArray]) -> None:
    """The same values and coordinates as the result, the observed ones as in the input to the last bit."""
    assert set(written.coords) >= {name for name in result.coords if result[name].dims}
    for name in result.variables:
        np.testing.assert_array_equal(written[name].values, result[name].values, str(name))
    for target in targets:
        observed = target.notnull().values
        again = written[target.name].transpose(*target.dims).values
        assert again.dtype == target.dtype
        assert same(again[observed], target.values[observed])


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: product.name)
def test_a_product_is_filled_and_written(tmp_path, product):
    """Whatever its layout: gaps are filled, nothing else changes, in memory, netCDF and zarr."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module="xgapfill")
        ds, targets, lazy = typed(product, tmp_path)
        result = lazy.compute()
        result.to_netcdf(tmp_path / "out.nc")
        stored = xgapfill.write(lazy, tmp_path / "stored.zarr", progress=False)
    cf = result[targets[0].name].dtype
    assert cf == targets[0].dtype
    assert result[targets[0].name].attrs["units"]
    missing = sum(int(result[each.name].isnull().sum()) for each in targets)
    before = sum(int(each.isnull().sum()) for each in targets)
    assert missing == 0 < before or "GHRSST" in product.name
    with xr.open_dataset(tmp_path / "out.nc") as written:
        check(result, written, targets)
    check(result, stored, targets)
    ds.close()


@pytest.mark.slow
@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: product.name)
def test_a_product_follows_the_conventions(tmp_path, product):
    """The compliance checker finds no fault in the result that the input did not have, and no missing places."""
    runner = pytest.importorskip("compliance_checker.runner")
    runner.CheckSuite.load_all_available_checkers()

    def faults(ds, path) -> set[str]:
        ds.assign_attrs(title="t", Conventions="CF-1.11").to_netcdf(path)
        suite = runner.CheckSuite()
        results = suite.run_all(suite.load_dataset(str(path)), ["cf:1.11"])["cf:1.11"][0]
        failed = (each for each in results if each.weight == 3 and each.value is not True and each.msgs)
        return {
            text.replace("Chl_a_sum", "CHL") for each in failed if each.value[0] < each.value[1] for text in each.msgs
        }

    ds, _, lazy = typed(product, tmp_path)
    before, after = faults(ds.compute(), tmp_path / "in.nc"), faults(lazy.compute(), tmp_path / "out.nc")
    ds.close()
    assert not {fault for fault in after if "_FillValue" in fault}
    assert not after - before
