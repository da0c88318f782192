"""Where results are written, resumably."""
