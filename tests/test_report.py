"""The report: targets are held to the right numbers."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from bench import background
from bench.report import targets, targets_text

from xgapfill.validation.scores import LAGS
from xgapfill.validation.table import CLASSES, table_text

ROWS = ["background", "posterior_mean", "repaint"]


def sheet(**changes: np.ndarray) -> xr.Dataset:
    """Scores that meet every target, of two size classes, apart from `changes` of single rows."""
    shape = (len(ROWS), 2, len(CLASSES))
    values = {
        "rmse": np.array([0.2, 0.1, 0.12])[:, None, None] * np.ones(shape),
        "crps": np.array([0.1, 0.09, 0.08])[:, None, None] * np.ones(shape),
        "coverage": np.full(shape, 0.9),
    } | {name: np.zeros(shape) for name in ("mae", "bias", "spread_over_rmse", "coverage_range")}
    for name, value in changes.items():
        if name in values:
            values[name] = np.broadcast_to(value, shape)
    dims = ("filled_by", "size_class", "distance_class")
    ratio = changes.get("texture", np.ones(len(LAGS)))
    return xr.Dataset(
        {name: (dims, value) for name, value in values.items()}
        | {
            "pixels": ("distance_class", [10, 4, 3, 3]),
            "seconds": ("filled_by", [1.0, 2.0, 3.0]),
            "structure_function": (("filled_by", "size_class", "lag"), np.broadcast_to(ratio, (3, 2, len(LAGS)))),
            "structure_function_observed": (("size_class", "lag"), np.ones((2, len(LAGS)))),
            "closure": ("filled_by", np.broadcast_to(changes.get("closure", 1e-7), 3)),
        },
        coords={"filled_by": ROWS, "size_class": ["micro", "nano"], "distance_class": list(CLASSES), "lag": list(LAGS)},
    )


def test_good_scores_pass():
    """Scores that meet all targets must pass, one line per target and size class."""
    found = targets(sheet())
    assert all(each.met for each in found)
    assert len(found) == 3 + 1 + 2 + 2 + 1
    assert "MISS" not in targets_text(found)


@pytest.mark.parametrize(
    ("changes", "misses"),
    [
        ({"rmse": np.array([0.2, 0.1, 0.1])[:, None, None] + [0, 0, 0, 0]}, 0),
        ({"rmse": np.array([[[1, 1, 1, 1.0]], [[1, 1, 1, 1.1]], [[1, 1, 1, 1]]])}, 1),
        ({"crps": np.array([0.1, 0.1, 0.091])[:, None, None]}, 1),
        ({"coverage": np.array([[[0.84]], [[0.9]], [[0.96]]])}, 2),
        ({"texture": np.array([1, 1, 0.79, 1, 1])}, 2),
        ({"texture": np.array([1, 1, 1, 1, 0.5])}, 0),
        ({"closure": 1e-4}, 1),
    ],
)
def test_a_target_is_missed_by_its_own_number_only(changes, misses):
    """Each target must fail when its own number is beyond the limit, for each size class on its own, and not else."""
    found = targets(sheet(**changes))
    assert sum(not each.met for each in found) == misses


def test_the_table_has_every_row_and_no_size_class_left():
    """The text must name every row once in each of its two parts."""
    text = table_text(sheet(), "title")
    for label in ("background", "posterior mean", "ensemble"):
        assert sum(line.startswith(label) for line in text.splitlines()) == 2
    assert text.startswith("title\n")


def test_columns_that_only_some_tables_have():
    """Memory and the degree of smoothing are shown where they were looked at, a dash where a row has none."""
    more = sheet().assign(memory=("filled_by", [1.0, 2.0, 3.0]), smoothing=("filled_by", [0.0123, np.nan, 0.5]))
    lines = table_text(more, "title").splitlines()
    assert lines[1].split()[-2:] == ["GB", "smooth"]
    assert [line.split()[-2:] for line in lines[3:6]] == [["1.00", "0.0123"], ["2.00", "-"], ["3.00", "0.5000"]]


@pytest.mark.parametrize("name", ["real_chl.py", "global_frame.py"])
def test_examples_say_which_data_they_want(name, tmp_path, monkeypatch, capsys):
    """Without the data an example must name the missing file and the option, and fail."""
    monkeypatch.setattr(sys, "argv", [name, "--data", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(Path(__file__).parent.parent / "examples" / name), run_name="__main__")
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert ".nc" in message
    assert "--data" in message


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("gaps", ["discs", "transplanted"])
def test_the_background_is_as_good_as_the_best_baseline(shared_data, gaps):
    """On the validation set the background must be within 1.05 of the better of DCT-PLS and kriging, both tuned."""
    *baselines, ours = background.run(shared_data, gaps).values()
    assert ours <= background.TARGET * min(baselines)
