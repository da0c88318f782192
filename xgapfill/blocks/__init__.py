"""Dask: one task per block."""
