"""Networks, their inputs and their losses."""
