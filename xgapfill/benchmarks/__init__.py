"""What the package is held against: classical opponents and problems with a known answer on real data."""
