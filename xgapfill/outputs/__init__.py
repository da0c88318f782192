"""From layers back to xarray objects with CF metadata."""
