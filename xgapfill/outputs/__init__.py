"""Turns layers back into xarray objects with CF metadata."""
