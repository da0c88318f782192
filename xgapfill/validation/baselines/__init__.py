"""Baselines that see the whole map, tuned on held-out blocks."""
