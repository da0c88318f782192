"""One block: plain arrays in, layers out."""
