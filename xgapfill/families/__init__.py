"""What is filled: one module a physical quantity, with its names, units, valid range and transform."""
