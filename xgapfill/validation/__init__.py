"""Scores of filled fields: masks that hide, classical opponents, numpy scores, and `validate` that runs them all.

The entry for users is ``da.gapfill.validate``.
"""
