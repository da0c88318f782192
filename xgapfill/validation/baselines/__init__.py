"""Baselines that use the whole map, tuned on held-out blocks."""
