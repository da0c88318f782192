"""Networks: what they are shown and what they learn."""
