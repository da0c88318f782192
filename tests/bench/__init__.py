"""Measurements that docs quote: `python tests/bench NAME`."""
