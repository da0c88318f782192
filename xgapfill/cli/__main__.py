"""``python -m xgapfill.cli`` is the command ``xgapfill``."""

import sys

from xgapfill.cli import main

sys.exit(main())
