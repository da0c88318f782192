"""Scores of filled fields: masks that hide, classical baselines, numpy scores, and `validate` that runs them all.

The entry for users is ``da.gapfill.validate``.
"""
