"""From xarray objects of users to sources with addresses."""
