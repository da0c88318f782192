"""The mathematics of sampling: torch and nothing else."""
