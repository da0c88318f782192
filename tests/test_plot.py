"""Pictures: what is asked for is drawn, with the right colours and without pyplot."""

import pickle
import sys

import dask
import numpy as np
import pandas as pd
import pytest
from maps import chl_map, psc_map

import xgapfill
from xgapfill.plot import chosen_dates, style

pytest.importorskip("matplotlib")
pytest.importorskip("cmocean")


@pytest.fixture(scope="module")
def chl():
    """Six gappy dates."""
    return chl_map((6, 20, 24), share=0.4)


def test_panels_show_observed_filled_and_spread(chl):
    """A row each, a column per date, one colour bar per row; observed and filled share their colours."""
    figure = xgapfill.plot.panels(chl, xgapfill.background(chl, full=True), dates=2)
    maps = [place for place in figure.axes if place.images]
    assert len(maps) == 6
    assert maps[0].images[-1].norm.vmin == maps[2].images[-1].norm.vmin
    assert [place.get_ylabel() for place in maps[::2]] == ["observed", "filled", "spread"]
    members = xgapfill.plot.panels(chl, xgapfill.kriging(chl, members=3), dates=[chl.time.values[4]])
    assert [place.get_ylabel() for place in members.axes[:3]] == ["observed", "member 1", "member 2"]
    assert members.axes[0].get_title() == str(chl.time.values[4])[:10]


def test_panels_compute_once(chl):
    """Members of a lazy fill, of the dates that are drawn."""
    calls = []

    def counted(*graph, **options):
        calls.append(1)
        return dask.get(*graph, **options)

    members = xgapfill.background(chl, members=2)
    with dask.config.set(scheduler=counted):
        xgapfill.plot.panels(chl, members, dates=2)
    assert len(calls) == 1


def test_land_is_grey_and_missing_is_white(chl):
    """Land is what is never observed and not filled."""
    wet = chl.where(chl.lon > chl.lon[4])
    figure = xgapfill.plot.panels(wet, wet.fillna(1.0).where(chl.lon > chl.lon[4]), dates=1)
    land, shown = figure.axes[0].images
    assert (~np.ma.getmaskarray(land.get_array())).sum() == 5 * 20
    assert np.ma.getmaskarray(shown.get_array()).sum() > 5 * 20


def test_a_single_map_and_latitude_downward_are_drawn(chl):
    """North is up, whatever the order of the file."""
    one = chl.isel(time=0, lat=slice(None, None, -1))
    figure = xgapfill.plot.panels(one, one.fillna(1.0))
    low, high = figure.axes[0].get_ylim()
    assert low < high
    assert len(xgapfill.plot.gaps(one).axes) == 3


def test_dates_with_a_middling_share_come_first(chl):
    """Neither the clearest nor the cloudiest."""
    share = chl.notnull().mean(["lat", "lon"]).values
    (slot,) = chosen_dates(chl, 1)
    assert share.min() < share[slot] < share.max()


def test_the_colours_of_logarithms_are_logarithmic(chl):
    """Chlorophyll, not fractions; the label has the unit."""
    assert type(style(chl)[1]).__name__ == "LogNorm"
    assert style(chl)[2] == "CHL [mg m-3]"
    assert type(style(psc_map(chl).isel(size_class=0))[1]).__name__ == "Normalize"


def test_calibration_texture_and_match_ups_are_drawn(chl):
    """One line per method."""
    scores = chl.gapfill.validate(["interpolate", "background"])
    assert len(xgapfill.plot.reliability(scores).axes[0].get_legend_handles_labels()[1]) == 2
    assert len(xgapfill.plot.spectrum(scores).axes[0].get_legend_handles_labels()[1]) == 2
    pairs = pd.DataFrame({"sample": [0.1, 0.4, 0.2], "map": [0.2, 0.3, 0.1], "where": ["observed", "filled", "filled"]})
    labels = xgapfill.plot.matchups(pairs).axes[0].get_legend_handles_labels()[1]
    assert labels == ["observed (1)", "filled (2)"]


def test_notebooks_show_pictures_without_pyplot(chl):
    """IPython asks for a PNG; a figure made without pyplot has none of its own."""
    figure = pickle.loads(pickle.dumps(xgapfill.plot.gaps(chl)))
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_without_matplotlib_the_line_to_type_is_shown(chl, monkeypatch):
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "cmocean", None)
    with pytest.raises(ImportError, match=r"pip install 'xgapfill\[viz\]'"):
        xgapfill.plot.gaps(chl)
