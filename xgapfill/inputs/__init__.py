"""Turns the user's xarray objects into sources with addresses."""
