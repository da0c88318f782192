"""Validation of fills: masks of pixels to hide, classical baselines, scores in numpy.

Users call ``da.gapfill.validate``.
"""
