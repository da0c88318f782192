"""Methods of gap filling, one file per method, and the base classes and records for new methods."""

from xgapfill.lattice.tiling import Tiling
from xgapfill.lattice.windows import Filled, Noise, Series, Windows
from xgapfill.methods.background import Background
from xgapfill.methods.base import BATCH, Method, NetMethod, SeriesMethod
from xgapfill.methods.cascade import Cascade
from xgapfill.methods.climatology import Climatology
from xgapfill.methods.dctpls import DctPls
from xgapfill.methods.dincae import Dincae
from xgapfill.methods.dineof import Dineof
from xgapfill.methods.interpolate import Interpolate
from xgapfill.methods.kriging import Kriging
from xgapfill.methods.multimode import MultiMode
from xgapfill.methods.posterior_mean import PosteriorMean
from xgapfill.methods.registry import find, list_methods
from xgapfill.methods.regression import Regression
from xgapfill.methods.repaint import Repaint
from xgapfill.methods.response import Response
from xgapfill.methods.smaat import Smaat
from xgapfill.methods.som import Som
from xgapfill.methods.vae import Vae
from xgapfill.methods.vconstruct import VConstruct

__all__ = [
    "BATCH",
    "Background",
    "Cascade",
    "Climatology",
    "DctPls",
    "Dincae",
    "Dineof",
    "Filled",
    "Interpolate",
    "Kriging",
    "Method",
    "MultiMode",
    "NetMethod",
    "Noise",
    "PosteriorMean",
    "Regression",
    "Repaint",
    "Response",
    "Series",
    "SeriesMethod",
    "Smaat",
    "Som",
    "Tiling",
    "VConstruct",
    "Vae",
    "Windows",
    "find",
    "list_methods",
]
