"""Methods are found by name, as objects and through entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from maps import chl_map, same

import xgapfill
from xgapfill.methods import Background, find, registry


def test_the_list_shows_every_method():
    """A table with what each needs, gives and costs."""
    listed = xgapfill.list_methods()
    assert list(listed.index[:3]) == ["repaint", "vae", "posterior_mean"]
    assert len(listed) == len(registry.BUILT_IN)
    assert (listed[["needs", "gives", "summary"]] != "").all(axis=None)
    for kind in registry.BUILT_IN:
        assert callable(getattr(xgapfill, kind.name))
        assert kind.name in dir(xgapfill)


def test_a_name_an_object_and_a_verb_do_the_same():
    """`da.gapfill.fill(...)` takes a name or an object."""
    chl = chl_map((2, 8, 8))
    wanted = chl.gapfill.background()
    assert same(chl.gapfill.fill("background"), wanted)
    assert same(chl.gapfill.fill(Background()), wanted)
    assert same(chl.to_dataset().gapfill.fill("CHL", "background").CHL, wanted)


@pytest.mark.parametrize(
    ("method", "options", "error", "words"),
    [
        ("kringing", {}, ValueError, "there is no method 'kringing'"),
        (Background(), {"smoothing": 1}, ValueError, "set them on the object"),
        (Background, {}, TypeError, "the class Background; make an object"),
        (object(), {}, TypeError, "extends xgapfill.methods.Method; found object"),
        ("kriging", {"neighbors": 3}, TypeError, "no parameter 'neighbors' .did you mean 'neighbours'?"),
        ("kriging", {"realisations": True}, TypeError, "no parameter 'realisations'"),
    ],
)
def test_what_is_no_method(method, options, error, words):
    """Refused with what was expected."""
    with pytest.raises(error, match=words):
        find(method, **options)


def test_entry_points_add_methods(monkeypatch):
    """A method of another package is listed and found; one that cannot be loaded takes nothing down."""
    points = [
        EntryPoint("flat", "test_fitting:Mean", "xgapfill.methods"),
        EntryPoint("broken", "no_such_package:Method", "xgapfill.methods"),
        EntryPoint("background", "no_such_package:Method", "xgapfill.methods"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: [p for p in points if p.group == group])
    listed = xgapfill.list_methods()
    assert listed.loc["flat", "needs"] == "a fit on series"
    assert "cannot be loaded" in listed.loc["broken", "needs"]
    assert find("background") == Background()
    assert find("flat").name == "mean"
