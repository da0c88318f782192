"""Network definitions: torch and nothing else."""
