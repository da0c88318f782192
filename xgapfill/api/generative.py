"""The verbs as functions: words to a method object."""

from __future__ import annotations

from typing import Any, Unpack

import xarray as xr

from xgapfill.api.options import Conditions, Options, Schedule, SizeClass, Target, filled
from xgapfill.methods import Background, Method, PosteriorMean, Repaint, Vae, find
from xgapfill.pipeline import fill


def repaint(
    da: Target,
    cond: Conditions = None,
    *,
    members: int = 1,
    seed: int = 0,
    schedule: Schedule = "fast",
    weights: Any = None,
    device: str | None = None,
    insitu: Any = None,
    error: Any = None,
    sea: Any = None,
    size_class: SizeClass | None = None,
    max_gap: Any = None,
    max_distance: float | None = None,
    full: bool = False,
    reduce: Any = None,
) -> xr.DataArray | xr.Dataset:
    """Fill gaps with realisations of a diffusion model: fields that could have been, with the texture of real ones.

    Each member agrees with everything that was observed, and members differ only where nothing was. Lazy: nothing is
    read or computed before the result is. A pixel that was observed comes back bit for bit; land stays missing.

    Parameters
    ----------
    da : DataArray or sequence of three
        What is filled, missing values NaN: chlorophyll (mg m-3), phytoplankton size classes (with a dimension labelled
        micro, nano, pico; as three arrays; or one class alone; fractions, or mg m-3 that sum to chlorophyll), sea
        surface temperature. Floating dtype, dimensions time (optional), latitude and longitude in any order, equal
        steps. In memory, lazily opened from a file (best: one task a block), or of dask.
    cond : DataArray or sequence of DataArrays, optional
        What it is filled given, on the same grid and times: chlorophyll for size classes.
    members : int
        Number of realisations; more than one adds the dimension ``realization``. The first ones do not depend on how
        many are asked for.
    seed : int
        Same seed, same members, on one machine; however the data are cut or chunked.
    schedule : {"fast", "paper"} or sequence of (from, to)
        Walk over noise levels. ``"fast"``: a few calls of the network. ``"paper"``: the walk of Lugmayr et al. (2022),
        T=250, jumps of 10, 10 resamplings: 2410 moves down, hours for a map. Or pairs of noise levels that end at 0;
        walks that begin below 20 begin at a draw of the Gaussian field of the background.
    weights : str, path or Weights, optional
        Shipped name, path of a safetensors file, URL with its hash, or `xgapfill.weights.Weights`; by default the
        shipped weights for the variable.
    device : {"auto", "cpu", "cuda", "cuda:<number>"}, optional
        Where the network computes; by default what the environment variable XGAPFILL_DEVICE says, else CUDA where it is
        present. Values differ by rounding between devices, not by the noise.
    insitu : DataFrame or Dataset, optional
        Samples taken in the water, one a row: time, lat, lon, and values under the name of what is filled or ``value``,
        under ``micro``, ``nano`` and ``pico``, or, for a condition, under its name, in the units of the maps.
        A standard deviation of the error as a measure of the whole pixel goes under ``error`` or ``<column>_error``;
        without it 0.2 in log10 of chlorophyll, 0.1 in fractions, 0.4 degC. Estimates are drawn toward samples; a pixel
        with nothing but a sample counts as missing, and one that satellites saw comes back as they saw it.
    error : DataArray or sequence of DataArrays, optional
        Standard deviation of the error of `da`, like it, in its units, in percent (as ``CHL_uncertainty``) or of log10.
        What errs more than most around it tells its surroundings less; `da` comes back as it is.
    sea : DataArray or array of bool, optional
        Where the sea is, (latitude, longitude). By default a mask among the coordinates, else the mask of the package
        (0.1 degree). A pixel where the target or a condition was observed is always sea.
    size_class : {"micro", "nano", "pico"}, optional
        Which class `da` is, where neither labels nor names say so.
    max_gap : number of days or timedelta64, optional
        Pixels stay missing where the observed dates around their gap are farther apart, as in ``interpolate_na``
        (status too_little_context).
    max_distance : float, optional
        Pixels stay missing farther than this, km, from the nearest observed pixel of the same frame.
    full : bool
        Return the spread and the status of each pixel as well.
    reduce : optional
        Statistics over members in place of the members, which are drawn a few at a time and never stored: ``"mean"``,
        ``"std"``, ``{"quantile": [0.05, 0.95]}``, all as the xarray methods of that name over ``realization``; a
        function of one member, of which mean and standard deviation are returned; a pair ``(function, statistic)``;
        or a list of these. A function is shown a DataArray like `da` with all times of some pixels, those on land
        missing, and returns a DataArray of numbers on the same latitudes and longitudes with any other dimensions:
        a trend, a date by year. It must treat each pixel by itself.

    Returns
    -------
    DataArray or Dataset
        Like `da`, of dask arrays. A function or several statistics give a Dataset with ``<name>_<statistic>`` and
        ``<name>_<function>_<statistic>``. With `full`, or for three arrays, a Dataset: the variable, ``<name>_spread``
        (one standard deviation of the error of the mean, 0 where observed), for chlorophyll ``<name>_spread_log10``,
        and ``<name>_status`` (observed, filled, too_little_context, outside_training_range, invalid_input, land).

    Raises
    ------
    TypeError
        Values that are not floating numbers.
    ValueError
        Coordinates, units, names, grids or weights that do not fit; the message says what to do.

    References
    ----------
    Lugmayr et al. (2022), RePaint, doi:10.1109/CVPR52688.2022.01117. Karras et al. (2022), arXiv:2206.00364.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> filled = xgapfill.repaint(ds.PSC, ds.CHL, members=2)
    >>> filled.sizes["realization"], int(ds.PSC.isnull().sum()) > 0, int(filled.isnull().sum())
    (2, True, 0)
    >>> def change(member):
    ...     return member.isel(time=-1, drop=True) - member.isel(time=0, drop=True)
    >>> list(xgapfill.repaint(ds.PSC, ds.CHL, members=4, reduce=["mean", {"quantile": [0.05, 0.95]}, change]))
    ['PSC_mean', 'PSC_quantile', 'PSC_change_mean', 'PSC_change_std']
    """
    chosen: Any = schedule if isinstance(schedule, str) else tuple(schedule)
    return fill_with(
        da,
        Repaint(chosen, device),
        cond,
        members=members,
        seed=seed,
        weights=weights,
        reduce=reduce,
        insitu=insitu,
        error=error,
        sea=sea,
        size_class=size_class,
        max_gap=max_gap,
        max_distance=max_distance,
        full=full,
    )


def posterior_mean(
    da: Target,
    cond: Conditions = None,
    *,
    weights: Any = None,
    device: str | None = None,
    **options: Unpack[Options],
) -> xr.DataArray | xr.Dataset:
    """Fill gaps with the mean of all fields that fit: one network pass, the cheapest and closest estimate.

    It is smoother than a real field. Means of chlorophyll are back-transformed means of log10, which are medians; means
    of fractions are those of the back-transformed distribution, so they sum to 1.

    Parameters
    ----------
    da, cond, weights, device
        As in `repaint`.
    **options
        ``insitu``, ``error``, ``sea``, ``size_class``, ``max_gap``, ``max_distance``, ``full``, as in `repaint`.

    Returns
    -------
    DataArray or Dataset
        As from `repaint` with one member.

    Raises
    ------
    TypeError, ValueError
        As `repaint`.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> result = xgapfill.posterior_mean(ds.PSC, ds.CHL, full=True)
    >>> list(result)
    ['PSC', 'PSC_spread', 'PSC_status']
    >>> bool(abs(result.PSC.sum("size_class") - 1).max() < 1e-5)
    True
    """
    return filled(da, PosteriorMean(device), options, cond=cond, weights=weights)


def vae(
    da: Target,
    cond: Conditions = None,
    *,
    members: int = 1,
    seed: int = 0,
    proposals: int = 16,
    weights: Any = None,
    device: str | None = None,
    reduce: Any = None,
    **options: Unpack[Options],
) -> xr.DataArray | xr.Dataset:
    """Fill gaps with realisations of a variational autoencoder: a few network passes, members nearly for free.

    The encoder is shown what was observed, less the background, and the mask of it. Latents live in cells of 8 x 8
    pixels of a frame. Each cell takes one of its proposals with its self-normalised importance weight as probability,
    which is the likelihood of what was observed in that cell, not in the whole window (whose weights would single out
    one proposal), with 8 neighbouring pixels counted as one. What the latents leave open is drawn as a Gaussian field
    given what was observed, so that members have texture at all scales.

    Parameters
    ----------
    da, cond, members, seed, weights, device, reduce
        As in `repaint`.
    proposals : int
        Draws of the latents, 1 to 16, that each cell of a member chooses from.
    **options
        ``insitu``, ``error``, ``sea``, ``size_class``, ``max_gap``, ``max_distance``, ``full``, as in `repaint`.

    Returns
    -------
    DataArray or Dataset
        As from `repaint`.

    Raises
    ------
    TypeError, ValueError
        As `repaint`; a number of proposals that is not from 1 to 16.

    References
    ----------
    Collier, Nazabal & Williams (2020), arXiv:2006.05301. Mattei & Frellsen (2019), MIWAE, arXiv:1812.02633.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> filled = xgapfill.vae(ds.PSC, ds.CHL, members=2)
    >>> filled.sizes["realization"], int(filled.isnull().sum())
    (2, 0)
    """
    method = Vae(proposals, device)
    return filled(da, method, options, cond=cond, members=members, seed=seed, weights=weights, reduce=reduce)


def background(
    da: Target,
    cond: Conditions = None,
    *,
    device: str | None = None,
    **options: Unpack[Options],
) -> xr.DataArray | xr.Dataset:
    """Fill gaps with the classical first guess: regression on `cond`, then interpolation in space and time. No weights.

    Parameters
    ----------
    da, cond, device
        As in `repaint`. Sea surface temperature is a condition here, too.
    **options
        ``insitu``, ``error``, ``sea``, ``size_class``, ``max_gap``, ``max_distance``, ``full``, as in `repaint`.

    Returns
    -------
    DataArray or Dataset
        As from `repaint` with one member.

    Raises
    ------
    TypeError, ValueError
        As `repaint`.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> filled = xgapfill.background(ds.CHL)
    >>> int(filled.isnull().sum()), filled.attrs["xgapfill_method"]
    (0, 'background')
    >>> bool(filled.where(ds.CHL.notnull()).equals(ds.CHL))
    True
    """
    return filled(da, Background(device=device), options, cond=cond)


def fill_with(
    da: Target,
    method: str | Method,
    cond: Conditions = None,
    *,
    members: int = 1,
    seed: int = 0,
    weights: Any = None,
    insitu: Any = None,
    error: Any = None,
    sea: Any = None,
    size_class: SizeClass | None = None,
    max_gap: Any = None,
    max_distance: float | None = None,
    full: bool = False,
    reduce: Any = None,
    **parameters: Any,
) -> xr.DataArray | xr.Dataset:
    """Fill gaps with any method: one of `xgapfill.methods`, by name, or an object of your own.

    ``da.gapfill(method, cond=...)`` is the same.

    Parameters
    ----------
    da, cond, members, seed, weights, insitu, error, sea, size_class, max_gap, max_distance, full, reduce
        As in `repaint`; not every method takes `insitu` and `error`.
    method : str or Method
        Name, or an object with what `xgapfill.methods.Method` asks for; it needs no registration.
    **parameters
        Of a method given by name.

    Returns
    -------
    DataArray or Dataset
        As from `repaint`.

    Raises
    ------
    TypeError, ValueError
        As `repaint`; a name that no method has, an object that is none.

    Examples
    --------
    >>> import xgapfill
    >>> ds = xgapfill.tutorial.open_dataset("ocean").isel(time=slice(8, 10), lat=slice(0, 32), lon=slice(0, 32))
    >>> filled = ds.CHL.gapfill("background")
    >>> filled.equals(xgapfill.background(ds.CHL))
    True
    """
    options = Options(
        insitu=insitu,
        error=error,
        sea=sea,
        size_class=size_class,
        max_gap=max_gap,
        max_distance=max_distance,
        full=full,
    )
    made = find(method, **parameters)
    if members != 1 and not made.draws and hasattr(made, "drawing"):
        made = made.drawing()
    return fill(da, made, cond=cond, members=members, seed=seed, weights=weights, reduce=reduce, **options)
