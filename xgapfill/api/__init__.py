"""The public functions: one file per verb or family of verbs."""
