"""The command line: ``xgapfill fill IN --var PSC --cond CHL --method repaint --members 8 --out OUT.zarr``."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from xgapfill.cli.parser import parser

BAD_INPUT, UNEXPECTED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 on success, 2 on bad input, 130 if interrupted, 1 if anything else fails."""
    given = parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except KeyboardInterrupt:
        return _told("interrupted; written blocks stay, repeat the command to resume", INTERRUPTED, False)
    except (ValueError, TypeError, OSError) as error:
        return _told(str(error), BAD_INPUT, given.debug)
    except Exception as error:
        return _told(f"{type(error).__name__}: {error} (--debug shows where)", UNEXPECTED, given.debug)


def _told(words: str, status: int, debug: bool) -> int:
    """Print what went wrong on one line, in colour on a terminal, and after its traceback when that is asked for."""
    if debug:
        traceback.print_exc()
    name = "xgapfill:"
    if sys.stderr.isatty() and "NO_COLOR" not in os.environ:
        name = f"\033[1;31m{name}\033[0m"
    print(f"{name} {words}", file=sys.stderr)
    return status
