"""Masks: what is hidden for validation."""

import numpy as np
import pytest

from xgapfill.validation import masks


@pytest.fixture
def observed() -> np.ndarray:
    """Twelve frames with gaps of very different size."""
    generator = np.random.default_rng(0)
    smooth = generator.normal(size=(12, 8, 10)).repeat(6, axis=1).repeat(6, axis=2)
    return smooth < generator.normal(size=(12, 1, 1))


def test_blocks_hide_their_share_of_observed_pixels_only(observed):
    """Every frame must lose at least the share and little more, and never a pixel that was not observed."""
    hidden = masks.disc_blocks(observed, share=0.15, radius=(2, 4))
    assert not (hidden & ~observed).any()
    counts = observed.sum(axis=(1, 2))
    lost = hidden.sum(axis=(1, 2))
    assert (lost >= 0.15 * counts).all()
    assert (lost <= 0.15 * counts + 57).all()


def test_blocks_are_discs():
    """One block on a full frame must be a disc: of the area its radius says and without a hole."""
    hidden = masks.disc_blocks(np.ones((1, 101, 101), bool), share=0.001, radius=(9, 9), seed=3)[0]
    rows, cols = np.nonzero(hidden)
    inside = 9 <= rows.mean() <= 91 and 9 <= cols.mean() <= 91
    assert not inside or abs(hidden.sum() - np.pi * 81) < 12
    assert max(np.ptp(rows), np.ptp(cols)) <= 18


def test_transplanted_gaps_are_those_of_another_date(observed):
    """What is hidden in a frame must be exactly what another frame lacks, within the shares allowed."""
    hidden = masks.transplanted(observed, most=0.6, least=0.05)
    assert hidden.any()
    for frame, lost in zip(observed, hidden, strict=True):
        if lost.any():
            assert 0.05 <= lost.sum() / frame.sum() <= 0.6
            assert any(np.array_equal(lost, frame & ~other) for other in observed)


def test_frames_that_no_date_suits_keep_their_pixels():
    """Where every other date observed all or nothing, nothing may be hidden."""
    observed = np.zeros((3, 4, 4), bool)
    observed[0] = True
    assert not masks.transplanted(observed).any()


@pytest.mark.parametrize("draw", [masks.disc_blocks, masks.transplanted])
def test_a_seed_fixes_the_mask(observed, draw):
    """The same seed must give the same mask and another seed another one."""
    assert np.array_equal(draw(observed, seed=4), draw(observed, seed=4))
    assert not np.array_equal(draw(observed, seed=4), draw(observed, seed=5))


def test_a_frozen_mask_comes_back(observed, tmp_path):
    """A mask kept in a file must come back bit for bit, and take about a bit per pixel at most."""
    path = tmp_path / "mask.npz"
    masks.freeze(path, observed)
    assert np.array_equal(masks.load(path), observed)
    assert path.stat().st_size < observed.size / 8 + 1000


def test_wrong_masks_are_refused(tmp_path):
    """Wrong shapes, dtypes, shares and files must be refused with what was expected."""
    with pytest.raises(ValueError, match="bool array"):
        masks.disc_blocks(np.ones((4, 4), bool))
    with pytest.raises(ValueError, match="share must lie"):
        masks.disc_blocks(np.ones((1, 4, 4), bool), share=1.5)
    with pytest.raises(ValueError, match="radius must be"):
        masks.disc_blocks(np.ones((1, 4, 4), bool), radius=(3, 2))
    with pytest.raises(ValueError, match="least"):
        masks.transplanted(np.ones((1, 4, 4), bool), most=0.1, least=0.2)
    with pytest.raises(TypeError, match="array of bool"):
        masks.freeze(tmp_path / "mask.npz", np.zeros(3))
    np.savez(tmp_path / "other.npz", chl=np.zeros(3))
    with pytest.raises(ValueError, match="not a mask written by freeze"):
        masks.load(tmp_path / "other.npz")
