"""Sea surface temperature: approximately normal, so it is only shifted and scaled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from xgapfill.variables.kinds import Plain
from xgapfill.variables.prior import Prior

CHANNEL = "sst"


@dataclass(frozen=True)
class Temperature(Plain):
    """Sea surface temperature; `offset` added to the values is degC."""

    name = "SST"
    channels = (CHANNEL,)
    priors: ClassVar[Mapping[str, Prior]] = {CHANNEL: Prior(mean=0.0, variance=1.0)}
    standard_name = "sea_surface_temperature"
    standard_names = frozenset(
        f"sea_{where}temperature" for where in ("surface_skin_", "surface_subskin_", "surface_foundation_", "water_")
    )
    long_name = "sea surface temperature"
    usual_units = "degC"
    names = re.compile(r"(sst4?|analysed_sst|(adjusted_)?sea_surface_temperature|thetao|tos)(_(mean|truth))?")
    known_as = "sea surface temperature (SST)"
    levelled, usual_sd = True, 0.15
    lowest, highest = -5.0, 50.0
    middle, scale = 15.0, 10.0
    # a drifting buoy differs from a satellite pixel by 0.2 to 0.3 (O'Carroll et al. 2008,
    # doi:10.1175/2007JTECHO542.1); changes within some days come on top
    sample_sd = 0.4

    @property
    def wanted(self) -> str:
        """Possible values, for messages."""
        return "temperatures from -5 to 50 degC, or kelvin with attrs['units'] = 'K'"
