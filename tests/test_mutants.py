"""Faults that tests must find: the list fits the code, and all are found."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutants.__main__ import main, place
from mutants.faults import FAULTS

ROOT = Path(__file__).resolve().parent.parent


def test_every_fault_has_its_place():
    """The text of each occurs once in the package, its replacement differs, and its tests exist."""
    for fault in FAULTS:
        assert place(fault)
        assert fault.new != fault.old
        assert all((ROOT / test.partition("::")[0]).is_file() for test in fault.tests)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_fault_is_found():
    """One after the other is put into a copy of the package; a test fails each time."""
    assert main([]) == 0
