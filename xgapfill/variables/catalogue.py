"""Facts about variables without a prior of their own: names, units, and the transform in which they are filled.

A row of `CATALOGUE` is all that a further variable needs. Remote-sensing reflectance and fluorescence line height are
filled untransformed: after atmospheric correction they may be slightly negative, so a logarithm would lose these pixels
and bias the others, and a mean over pixels stays a mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from xgapfill.variables.units import conversion, kind_of_units, units_of

LOG10, LOGIT, LINEAR = TRANSFORMS = ("log10", "logit", "linear")
USUAL_SD: Mapping[str, float | None] = {LOG10: 0.3, LOGIT: 1.0, LINEAR: None}
"""Usual standard deviation of a channel within a window: a factor of 2, a quarter of the range; unknown without
transform."""


@dataclass(frozen=True)
class Fact:
    """What is known about a variable, or about a group of variables such as reflectances.

    Attributes
    ----------
    long_name : str
    transform : {"log10", "logit", "linear"}
    names : str
        Regular expression of array names in lower case. Its group ``key``, if any, tells variables of a group apart.
    examples : str
        Some of the names, for documents.
    standard_names : str
        Regular expression of CF standard names.
    units : str
        Default units, to which others are converted; empty: units are kept, whatever they are.
    bounds : (float, float)
        Of a bounded variable, in default units.
    scale : float
        Of a linear variable: values are divided by it.
    usual_sd : float or None
        As in `Variable`, in transformed and scaled default units.
    sample_sd : float or None
        Default error of an in-situ sample as a measurement of a pixel; None: that of the transform.
    assumed : str
        What is assumed about an array of this name.
    """

    long_name: str
    transform: str
    names: str
    standard_names: str = "(?!)"
    units: str = ""
    bounds: tuple[float, float] = (0.0, 1.0)
    scale: float = 1.0
    usual_sd: float | None = None
    sample_sd: float | None = None
    assumed: str = ""
    examples: str = ""


_MORE = r"([-_](mean|value|merged|truth|\d+m|filled|interp\w*|anomaly))?"  # suffixes of data providers
_TYPES = "diato|dino|hapto|green|prokar|prochlo|crypto|micro|nano|pico|diatoms?|dinoflagellates?|haptophytes?"
_TYPES += "|prymnesiophytes?|green_?algae|prokaryotes?|prochlorococcus|cryptophytes?|coccolithophores?|cyanobacteria"

CATALOGUE: tuple[Fact, ...] = (
    Fact(
        "diffuse attenuation coefficient",
        LOG10,
        r"k_?d_?(?P<key>\d{3}|par)?",
        r"(volume|diffuse)_(beam_)?attenuation_coefficient_of_.*",
        "m-1",
        examples="KD490, Kd_490, kdPAR",
    ),
    Fact(
        "absorption or backscattering coefficient",
        LOG10,
        r"(?P<key>(a|aph|adg|acdom|at|bb|bbp)_?\d{3}\w*|cdm|cdom|bbp)",
        r"volume_(absorption|backwards_scattering|scattering)_.*",
        "m-1",
        examples="bbp_443, adg_443, CDM",
    ),
    Fact(
        "Secchi depth",
        LOG10,
        r"zsd|secchi(_?(disk|disc)?_?depth)?|kd_?inverse",
        r"secchi_depth_of_sea_water",
        "m",
        examples="ZSD",
    ),
    Fact(
        "concentration of particulate organic carbon",
        LOG10,
        r"p?poc",
        r".*particulate_organic_(matter|carbon).*",
        examples="POC",
    ),
    Fact(
        "concentration of particulate inorganic carbon",
        LOG10,
        r"pic",
        r".*particulate_inorganic_carbon.*",
        examples="PIC",
    ),
    Fact(
        "concentration of suspended matter",
        LOG10,
        r"(?P<key>spm|tsm|tss|ssc)([-_]?nechad)?",
        r".*_of_suspended_(matter|sediment|particulate_matter).*",
        examples="SPM, TSM, TSS",
    ),
    Fact("turbidity", LOG10, r"tur(b(idity)?)?", r"sea_water_turbidity", examples="TUR, turbidity"),
    Fact(
        "primary production",
        LOG10,
        r"n?pp|i?npp\w*|primprod|intpp",
        r".*productivity_of_biomass.*|net_primary_.*",
        examples="PP, NPP",
    ),
    Fact(
        "mixed-layer depth",
        LOG10,
        r"mlotst|mld\w*|mixed_layer_(depth|thickness)",
        r"ocean_mixed_layer_thickness.*",
        "m",
        examples="mlotst, MLD",
    ),
    Fact(
        "significant wave height",
        LOG10,
        r"swh|hs|vhm0|significant_wave_height",
        r"sea_surface_wave_significant_height.*",
        "m",
        examples="VHM0, swh",
    ),
    Fact(
        "remote-sensing reflectance",
        LINEAR,
        r"(?P<key>(rrs|rhow|rho_w|nlw|lwn|r)_?\d{3,4}(_\d+)?)",
        r"surface_ratio_of_upwelling_radiance_.*|.*water_leaving_(reflectance|radiance).*",
        scale=1e-3,
        examples="Rrs_443, RRS490, rhow_665",
    ),
    Fact("fluorescence line height", LINEAR, r"n?flh", r".*fluorescence_line_height.*", scale=0.1, examples="nflh"),
    Fact(
        "sea surface salinity",
        LINEAR,
        r"(?P<key>sss|sos|so|salinity|salt|sea_surface_salinity|sea_water_salinity)",
        r"sea_(surface|water)_(practical_|absolute_|reference_)?salinity.*",
        examples="SSS, sos, so",
    ),
    Fact(
        "sea level",
        LINEAR,
        r"(?P<key>m?sla|adt|ssha?|zos|mdt|sea_level\w*|sea_surface_height\w*|absolute_dynamic_topography)",
        r"sea_surface_(height|elevation)_.*|sea_surface_dynamic_height.*",
        "m",
        usual_sd=0.1,
        sample_sd=0.03,
        examples="sla, adt, zos",
    ),
    Fact(
        "current velocity",
        LINEAR,
        r"(?P<key>[uv](gos|go|o|gosa)?)",
        r"(surface_)?(geostrophic_)?(?P<key>east|north)ward_sea_water_velocity.*|surface_geostrophic_.*",
        "m s-1",
        usual_sd=0.15,
        sample_sd=0.1,
        examples="ugos, vgos, uo, vo",
    ),
    Fact(
        "wind velocity",
        LINEAR,
        r"(?P<key>[uv](wnd|_?wind|as|10m?)|wind_?speed|sfcwind)",
        r"(?P<key>east|north)ward_wind|wind_speed",
        "m s-1",
        usual_sd=3.0,
        examples="u10, vwnd, uas",
    ),
    Fact(
        "wind stress",
        LINEAR,
        r"(?P<key>tau[xyuv]|[ei]w?ss|[uv]_?stress)",
        r"surface_downward_(?P<key>east|north)ward_stress",
        "N m-2",
        usual_sd=0.06,
        examples="taux, tauy",
    ),
    Fact(
        "short-wave radiation",
        LINEAR,
        r"(?P<key>swr|dswrf|rsds|ssrd|swdown)",
        r"surface_(net_)?down(welling|ward)_shortwave_flux.*",
        "W m-2",
        usual_sd=30.0,
        examples="rsds, SWR",
    ),
    Fact(
        "depth of the sea floor",
        LINEAR,
        r"deptho|bathy",
        r"sea_floor_depth_below_.*",
        "m",
        usual_sd=500.0,
        examples="deptho",
    ),
    Fact(
        "sea ice concentration",
        LOGIT,
        r"sic|siconca?|aice|ice_?conc(entration)?|icec|sea_ice_(area_)?(fraction|concentration)",
        r"sea_ice_area_fraction",
        "1",
        examples="siconc, ice_conc",
    ),
    Fact(
        "vegetation index",
        LOGIT,
        r"(?P<key>ndvi|evi|savi|ndwi)",
        r"normalized_difference_vegetation_index",
        "1",
        (-1.0, 1.0),
        examples="NDVI, EVI",
    ),
    Fact(
        "surface temperature",
        LINEAR,
        r"(?P<key>lst(_?(day|night)(_?\w+)?)?|skt|land_surface_temperature|surface_temperature)",
        r"land_surface_.*temperature",
        "degC",
        usual_sd=3.0,
        sample_sd=1.5,
        examples="LST_Day_1km, skt",
    ),
    Fact(
        "photosynthetically available radiation",
        LINEAR,
        r"i?par",
        r".*photosynthetic_(photon_flux|radiative_flux).*",
        examples="PAR",
    ),
    Fact(
        "chlorophyll-a of a phytoplankton type",
        LOG10,
        rf"(chl_?)?(?P<key>{_TYPES})(_?chl(a)?)?",
        r"(mass_)?concentration_of_(?P<key>\w+?)_expressed_as_chlorophyll\w*_in_sea_water",
        "mg m-3",
        examples="DIATO, DINO, HAPTO, GREEN, PROKAR, PROCHLO; one of MICRO, NANO, PICO without `cond=`",
    ),
    Fact(
        "fraction of a phytoplankton type",
        LOGIT,
        rf"(f_?|frac_?)?(?P<key>{_TYPES})(_?frac(tion)?)?",
        units="1",
        examples="DIATO in percent",
    ),
    Fact(
        "fraction of chlorophyll-a by size class",
        LOGIT,
        r"psc|psf|size_?class(es)?|phytoplankton_size_class(es)?",
        units="1",
        assumed="it names no size class, so it is taken for a fraction between 0 and 1; size_class='micro', 'nano' or "
        "'pico' says which one",
        examples="PSC without size classes",
    ),
)


def facts_of(name: str, attrs: Mapping[Any, Any]) -> Iterator[tuple[Fact, str]]:
    """Facts that suit a standard_name, then those that suit the name, with the key of the variable; units must fit."""
    said, units = attrs.get("standard_name"), units_of(attrs)
    texts = ([(said, "standard_names")] if isinstance(said, str) and said else []) + [(name.lower(), "names")]
    for text, where in texts:
        for fact in CATALOGUE:
            pattern = fact.names + _MORE if where == "names" else fact.standard_names
            found = re.fullmatch(pattern, text)
            if found is not None and (units is None or not fact.units or _fits(units, fact.units)):
                own = name.strip().lower() if where == "standard_names" and "key" in fact.names else ""
                yield fact, found.groupdict().get("key") or own


def is_type(name: str) -> bool:
    """Whether a name is that of a phytoplankton type."""
    return re.fullmatch(rf"(chl_?|f_?|frac_?)?({_TYPES})(_?(chla?|frac(tion)?))?", name.lower()) is not None


def transform_of_units(units: str) -> tuple[str, str] | None:
    """The usual transform of variables in these units, and what the units are; None if they do not say it."""
    return {
        "concentration": (LOG10, "a concentration"),
        "amount": (LOG10, "a concentration"),
        "attenuation": (LOG10, "an attenuation or absorption"),
        "temperature": (LINEAR, "a temperature"),
        "velocity": (LINEAR, "a velocity"),
    }.get(kind_of_units(units))


def _fits(units: str, wanted: str) -> bool:
    try:
        conversion(units, wanted)
    except ValueError:
        return False
    return True
