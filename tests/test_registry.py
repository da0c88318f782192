"""Methods are found by name, as objects and through entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from maps import chl_map, same

import xgapfill
from xgapfill.methods import Background, find, registry


def test_the_list_shows_every_method_and_loads_it():
    """A table with what each needs, gives and costs, and a class behind every row."""
    listed = xgapfill.methods()
    assert {"repaint", "posterior_mean", "background"} <= set(listed)
    for name, entry in listed.items():
        assert entry.load().name == name
        assert entry.needs
        assert entry.gives
        assert name in repr(listed)
        assert name in listed._repr_html_()


def test_a_name_an_object_and_a_verb_do_the_same():
    """`da.gapfill(...)` takes a name or an object."""
    chl = chl_map((2, 8, 8))
    wanted = chl.gapfill.background()
    assert same(chl.gapfill("background"), wanted)
    assert same(chl.gapfill(Background()), wanted)
    assert same(chl.to_dataset().gapfill("CHL", "background").CHL, wanted)


@pytest.mark.parametrize(
    ("method", "options", "error", "words"),
    [
        ("kringing", {}, ValueError, "there is no method 'kringing'"),
        (Background(), {"smoothing": 1}, ValueError, "set them on the object"),
        (Background, {}, TypeError, "a class: make an object"),
        (object(), {}, TypeError, "without name, draws, default_weights, fill"),
    ],
)
def test_what_is_no_method(method, options, error, words):
    """Refused with what was wanted."""
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
    listed = xgapfill.methods()
    assert listed["flat"].needs == "a fit on series"
    assert "cannot be loaded" in listed["broken"].needs
    assert listed["background"].load() is Background
    assert find("flat").name == "mean"
