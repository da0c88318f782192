"""The command line: ``xgapfill fill IN --var PSC --cond CHL --method repaint --members 8 --out OUT.zarr``."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

from xgapfill.cli.parser import parser

BAD_INPUT, UNEXPECTED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 on success, 2 on bad input, 130 if interrupted, 1 if anything else fails."""
    given = parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warned
            return int(given.run(given))
    except KeyboardInterrupt:
        return _told("interrupted; written blocks stay, repeat the command to resume", INTERRUPTED, False)
    except (ValueError, TypeError, OSError) as error:
        return _told(str(error), BAD_INPUT, given.debug)
    except Exception as error:
        return _told(f"{type(error).__name__}: {error} (--debug shows where)", UNEXPECTED, given.debug)


def _warned(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning on one line, without the place in the code."""
    print(f"{_named(33)} {message}", file=sys.stderr)


def _told(words: str, status: int, debug: bool) -> int:
    """Print what went wrong on one line, in colour on a terminal, and after its traceback when that is asked for."""
    if debug:
        traceback.print_exc()
    print(f"{_named(31)} {words}", file=sys.stderr)
    return status


def _named(colour: int) -> str:
    """Name of the program, in a colour on a terminal."""
    if sys.stderr.isatty() and "NO_COLOR" not in os.environ:
        return f"\033[1;{colour}mxgapfill:\033[0m"
    return "xgapfill:"
