"""What users call: one file per verb or family of verbs."""
