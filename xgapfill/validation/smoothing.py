"""What a method makes of pixels that were observed, before the observations are put back over it."""

from __future__ import annotations
