"""Scores of a filled field: masks, scores and the function that runs methods over both."""
