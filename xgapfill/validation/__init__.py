"""Validation of fills: masks of pixels to hide, baselines, scores, and tests that need no ground truth.

``da.gapfill.validate`` runs them on a series. The functions here take plain arrays, or maps and tables.
"""

from xgapfill.validation.insitu import matchups
from xgapfill.validation.proxy import proxy
from xgapfill.validation.scene import Scene
from xgapfill.validation.sensors import transfer
from xgapfill.validation.tell import tell_apart
from xgapfill.validation.tested import verdict_text
from xgapfill.validation.verdict import Verdict
from xgapfill.validation.verdicts import verdicts

__all__ = ["Scene", "Verdict", "matchups", "proxy", "tell_apart", "transfer", "verdict_text", "verdicts"]
