"""``python tests/mutants [WORD ...]``: put faults into a copy of the package, run the tests that must find them.

Prints each fault that no test finds; the exit status is their number. With words, only faults whose names hold one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from mutants.faults import FAULTS, Fault  # noqa: E402  (found by the line above)

PARTS = ("xgapfill", "tests")


def place(fault: Fault, root: Path = ROOT) -> Path:
    """The file that holds the text of a fault; ValueError unless it occurs once in the package."""
    found = [(file, file.read_text(encoding="utf-8").count(fault.old)) for file in (root / "xgapfill").rglob("*.py")]
    places = [(file, count) for file, count in found if count]
    if len(places) != 1 or places[0][1] != 1:
        raise ValueError(
            f"fault {fault.name!r}: its text must occur once in the package, found it in {places}; adapt it in "
            "tests/mutants/faults.py"
        )
    return places[0][0]


LONGEST = 300.0  # seconds of the tests of a fault
MOST = 12 << 30  # bytes of memory that they may ask for


def survivors(faults: tuple[Fault, ...]) -> list[Fault]:
    """Those of the faults that no test of theirs finds."""
    left = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in PARTS:
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / part, copy / part)
        for tests in {fault.tests for fault in faults}:
            if _fails(copy, tests):
                raise RuntimeError(f"{' '.join(tests)} must pass without any fault")
        for fault in faults:
            file, begin = place(fault, copy), time.monotonic()
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
            found = _fails(copy, fault.tests)
            file.write_text(text, encoding="utf-8")
            print(f"{'found' if found else 'SURVIVES':9s} {time.monotonic() - begin:5.0f} s  {fault.name}", flush=True)
            if not found:
                left.append(fault)
    return left


def _fails(copy: Path, tests: tuple[str, ...]) -> bool:
    """Whether a test fails; RuntimeError when they cannot be run."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'tests'}", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=LONGEST, preexec_fn=_bounded
        )
    except subprocess.TimeoutExpired:
        return True  # a test that never ends is noticed
    killed = done.returncode < 0  # by a signal
    if done.returncode not in (0, 1) and not killed:
        raise RuntimeError(f"{' '.join(tests)} did not run:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.returncode != 0


def _bounded() -> None:
    """Bound the memory of a process, so that a fault that asks for more fails at once."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the number of survivors."""
    parser = argparse.ArgumentParser(prog="python tests/mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="run the faults whose names hold one of these")
    words = parser.parse_args(arguments).words
    chosen = tuple(fault for fault in FAULTS if not words or any(word in fault.name for word in words))
    left = survivors(chosen)
    print(f"{len(chosen)} faults, {len(left)} of which no test finds")
    return len(left)


if __name__ == "__main__":
    sys.exit(main())
