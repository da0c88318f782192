"""How the shipped weights and priors were made: ``python -m xgapfill.training``."""
