"""Chlorophyll-a concentration: log-normal, so it is filled as log10 of mg m-3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from xgapfill.variables.kinds import Positive
from xgapfill.variables.prior import Prior

CHANNEL = "log10_chl"


@dataclass(frozen=True)
class Chlorophyll(Positive):
    """Chlorophyll-a; `factor` times the values is mg m-3."""

    name = "CHL"
    channels = (CHANNEL,)
    priors: ClassVar[Mapping[str, Prior]] = {CHANNEL: Prior(mean=-0.3, variance=0.2, centre=-0.3)}
    standard_name = "mass_concentration_of_chlorophyll_a_in_sea_water"
    standard_names = frozenset(
        f"{kind}_of_{what}_in_sea_water"
        for kind in ("mass_concentration", "concentration")
        for what in ("chlorophyll_a", "chlorophyll")
    ) | {"chlorophyll_concentration_in_sea_water"}
    long_name = "chlorophyll-a concentration"
    usual_units = "mg m-3"
    # CMEMS CHL, OC-CCI and NASA chlor_a, GlobColour CHL1_mean, CHL1_value, CHL-OC5_mean, and common spellings
    names = re.compile(
        r"(chl|chla|chl[-_]a|chlor[-_]?a|chloro|chlorophyll([-_]?a)?)([12]|[-_]?oc[x\d])?(_(mean|value|merged|truth))?"
    )
    known_as = "chlorophyll (CHL, chlor_a, CHL1_mean ...)"
    sample_names = ("tchl", "tchla", "tchl_a", "total_chl_a")
    weights = "chl"
    lowest, highest = 1e-3, 1e3
    likely = (1e-3, 1e2)
    # daily values differ by 0.19 from the 8-day composite (MODIS, NE Pacific, January to May 2020)
    sample_sd = 0.2
