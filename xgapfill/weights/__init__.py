"""Weights: fitted arrays and the card that describes them."""

from xgapfill.weights.card import Card
from xgapfill.weights.store import Handle, Weights, handle, load, shipped

__all__ = ["Card", "Handle", "Weights", "handle", "load", "shipped"]
