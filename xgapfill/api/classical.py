"""The classical verbs as functions: words to a method object."""

from __future__ import annotations

from typing import Any, Literal, Unpack

import xarray as xr

from xgapfill.api.options import Conditions, Options, SizeClass, Target, filled
from xgapfill.methods.climatology import Climatology
from xgapfill.methods.dctpls import DctPls
from xgapfill.methods.dineof import Dineof
from xgapfill.methods.interpolate import Interpolate
from xgapfill.methods.kriging import Kriging
from xgapfill.methods.regression import Regression
from xgapfill.methods.som import Som


def climatology(
    da: Target,
    cond: Conditions = None,
    *,
    by: Literal["auto", "year", "all"] = "auto",
    **options: Unpack[Options],
) -> xr.DataArray | xr.Dataset:
    """Fill gaps with the mean of each pixel over time; by time of the year where the series spans two years.

    Parameters
    ----------
    da : DataArray or sequence of three
        As in `repaint`. Whole series are read, 64 x 64 pixels at a time.
    cond : DataArray or sequence of DataArrays, optional
        Used by regression where a window never saw `da`.
    by : {"auto", "year", "all"}
        Mean by slot of the year (three neighbouring slots together), of all times, or the first where there are two
        years and the second where there are not.
    **options
        ``sea``, ``size_class``, ``max_gap``, ``max_distance``, ``full``, as in `repaint`.

    Returns
    -------
    DataArray or Dataset
        As from `repaint` with one member; the spread is the standard deviation about the mean.

    Raises
    ------
    TypeError, ValueError
        As `repaint`; another word for `by`.

    References
    ----------
    Error by leaving one out: Allen (1974), doi:10.1080/00401706.1974.10489157.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 12), lat=slice(0, 32), lon=slice(0, 32))
    >>> int(xgapfill.climatology(ds.CHL).isnull().sum())
    0
    """
    return filled(da, Climatology(by=by), options, cond=cond)


def interpolate(
    da: Target,
    cond: Conditions = None,
    *,
    max_gap: int = 5,
    max_distance: float | None = None,
    sea: Any = None,
    size_class: SizeClass | None = None,
    full: bool = False,
) -> xr.DataArray | xr.Dataset:
    """Fill gaps linearly in time, and with the nearest value in space and time what is left: what most people do.

    Parameters
    ----------
    da, sea, size_class, full
        As in `repaint`.
    cond : DataArray or sequence of DataArrays, optional
        Used by regression where a window saw nothing of `da`.
    max_gap : int
        Steps between the observed dates around a gap up to which it is bridged linearly; the rest takes the nearest
        value. On the transformed variable (log10 of chlorophyll) the former is ``interpolate_na(max_gap=)``.
    max_distance : float, optional
        Pixels stay missing farther than this, km, from the nearest observed pixel of the same frame.

    Returns
    -------
    DataArray or Dataset
        As from `repaint` with one member.

    Raises
    ------
    TypeError, ValueError
        As `repaint`; a `max_gap` that is no whole number of steps.

    References
    ----------
    Distances: Maurer et al. (2003), doi:10.1109/TPAMI.2003.1177156.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 12), lat=slice(0, 32), lon=slice(0, 32))
    >>> int(xgapfill.interpolate(ds.CHL, max_gap=3).isnull().sum())
    0
    """
    method = Interpolate(max_gap=max_gap)
    options = Options(max_distance=max_distance, sea=sea, size_class=size_class, full=full)
    return filled(da, method, options, cond=cond)


def dctpls(
    da: Target,
    cond: Conditions = None,
    *,
    smoothing: float | None = None,
    time_weight: float | None = None,
    **options: Unpack[Options],
) -> xr.DataArray | xr.Dataset:
    """Fill gaps by penalised least squares in the cosine basis, in space and time (Garcia 2010).

    Parameters
    ----------
    da : DataArray or sequence of three
        As in `repaint`.
    cond : DataArray or sequence of DataArrays, optional
        A regression on them is taken away first and added again.
    smoothing, time_weight : float, optional
        Weight of the squared Laplacian against the misfit, in pixels^4, and of a second difference in time, of one
        time step, against one in space; those not given are chosen in each window on blocks of its observed pixels.
    **options
        ``sea``, ``size_class``, ``max_gap``, ``max_distance``, ``full``, as in `repaint`.

    Returns
    -------
    DataArray or Dataset
        As from `repaint` with one member.

    Raises
    ------
    TypeError, ValueError
        As `repaint`; a weight that is not positive.

    References
    ----------
    Garcia (2010), doi:10.1016/j.csda.2009.09.020.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> int(xgapfill.dctpls(ds.CHL, smoothing=0.1, time_weight=0.1).isnull().sum())
    0
    """
    return filled(da, DctPls(smoothing=smoothing, time_weight=time_weight), options, cond=cond)


def kriging(
    da: Target,
    cond: Conditions = None,
    *,
    members: int | None = None,
    seed: int = 0,
    reduce: Any = None,
    **options: Unpack[Options],
) -> xr.DataArray | xr.Dataset:
    """Fill gaps by optimal interpolation from the neighbourhood in space and time, covariance fitted on what was
    observed.

    Parameters
    ----------
    da : DataArray or sequence of three
        As in `repaint`.
    cond : DataArray or sequence of DataArrays, optional
        A regression on them is taken away first and added again.
    members : int, optional
        So many conditioned realisations in place of the estimate.
    seed : int
        Of the realisations.
    reduce : optional
        Statistics over the realisations in place of them, as in `repaint`.
    **options
        ``insitu``, ``error``, ``sea``, ``size_class``, ``max_gap``, ``max_distance``, ``full``, as in `repaint`.

    Returns
    -------
    DataArray or Dataset
        As from `repaint`.

    Raises
    ------
    TypeError, ValueError
        As `repaint`.

    References
    ----------
    Bretherton et al. (1976), doi:10.1016/0011-7471(76)90001-2. Journel & Huijbregts (1978), Mining Geostatistics.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> int(xgapfill.kriging(ds.CHL).isnull().sum())
    0
    """
    drawn = members is not None
    more = {"members": members if drawn else 1, "seed": seed, "reduce": reduce}
    return filled(da, Kriging(realisations=drawn), options, cond=cond, **more)


def dineof(
    da: Target,
    cond: Conditions = None,
    *,
    modes: int | None = None,
    weights: Any = None,
    **options: Unpack[Options],
) -> xr.DataArray | xr.Dataset:
    """Fill gaps from empirical orthogonal functions of the incomplete series (Beckers & Rixen 2003).

    Parameters
    ----------
    da : DataArray or sequence of three
        As in `repaint`. A sample of whole series is read to find the functions, then whole series a block.
    cond : DataArray or sequence of DataArrays, optional
        Expanded together with `da`.
    modes : int, optional
        How many functions; by default as many as predict values that are kept out best.
    weights : Weights or path, optional
        From `xgapfill.fit` on these times; by default it is fitted as part of the lazy result.
    **options
        ``sea``, ``size_class``, ``max_gap``, ``max_distance``, ``full``, as in `repaint`.

    Returns
    -------
    DataArray or Dataset
        As from `repaint` with one member; the spread is the field of error of Beckers et al. (2006).

    Raises
    ------
    TypeError, ValueError
        As `repaint`; when it is computed: too few frames or pixels, more modes than frames, a constant, EOFs that would
        not fit in memory.

    References
    ----------
    Beckers & Rixen (2003), doi:10.1175/1520-0426(2003)020<1839:ECADFF>2.0.CO;2. Alvera-Azcarate et al. (2005),
    doi:10.1016/j.ocemod.2004.08.001. Beckers et al. (2006), doi:10.5194/os-2-183-2006.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(lat=slice(0, 32), lon=slice(0, 32))
    >>> filled = xgapfill.dineof(ds.CHL, modes=3).isel(time=0)
    >>> int(filled.isnull().sum())
    0
    """
    return filled(da, Dineof(modes=modes), options, cond=cond, weights=weights)


def regression(
    da: Target,
    cond: Conditions,
    *,
    relation: Literal["fitted", "brewin2010", "brewin2015", "hirata2011"] = "fitted",
    **options: Unpack[Options],
) -> xr.DataArray | xr.Dataset:
    """Fill size classes from chlorophyll (and other conditions) at the same place and time alone.

    Parameters
    ----------
    da : DataArray or sequence of three
        As in `repaint`.
    cond : DataArray or sequence of DataArrays
        Chlorophyll; for ``"fitted"`` temperature as well.
    relation : {"fitted", "brewin2010", "brewin2015", "hirata2011"}
        Fitted to what was observed around, or published.
    **options
        ``sea``, ``size_class``, ``max_gap``, ``max_distance``, ``full``, as in `repaint`.

    Returns
    -------
    DataArray or Dataset
        As from `repaint` with one member.

    Raises
    ------
    TypeError, ValueError
        As `repaint`; conditions without chlorophyll, another word for `relation`.

    References
    ----------
    Brewin et al. (2010), doi:10.1016/j.ecolmodel.2010.02.014. Brewin et al. (2015), doi:10.1016/j.rse.2015.07.004.
    Hirata et al. (2011), doi:10.5194/bg-8-311-2011.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> int(xgapfill.regression(ds.PSC, ds.CHL, relation="brewin2015").isnull().sum())
    0
    """
    return filled(da, Regression(relation=relation), options, cond=cond)


def som(
    da: Target,
    cond: Conditions = None,
    *,
    rows: int = 20,
    cols: int = 15,
    weights: Any = None,
    **options: Unpack[Options],
) -> xr.DataArray | xr.Dataset:
    """Fill gaps from a self-organising map of target and conditions, asked by what is known at each pixel.

    Parameters
    ----------
    da : DataArray or sequence of three
        As in `repaint`.
    cond : DataArray or sequence of DataArrays, optional
        Further components of the map: chlorophyll, temperature.
    rows, cols : int
        Units of the map.
    weights : Weights or path, optional
        From `xgapfill.fit`; by default it is fitted on a sample of the data as part of the lazy result.
    **options
        ``sea``, ``size_class``, ``max_gap``, ``max_distance``, ``full``, as in `repaint`.

    Returns
    -------
    DataArray or Dataset
        As from `repaint` with one member.

    Raises
    ------
    TypeError, ValueError
        As `repaint`; when it is computed: too few vectors, a constant.

    References
    ----------
    Kohonen (2013), doi:10.1016/j.neunet.2012.09.018. Charantonis et al. (2015), Procedia Computer Science 51,
    2198-2206. El Hourany et al. (2019), doi:10.1029/2018JC014450.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 12), lat=slice(0, 48), lon=slice(0, 48))
    >>> int(xgapfill.som(ds.PSC, [ds.CHL, ds.SST], rows=6, cols=4).isnull().sum())
    0
    """
    return filled(da, Som(rows=rows, cols=cols), options, cond=cond, weights=weights)
