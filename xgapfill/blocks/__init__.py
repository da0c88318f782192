"""Lazy arrays with dask, one task per block."""
