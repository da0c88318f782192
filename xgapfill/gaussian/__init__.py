"""The Gaussian field: covariances, conditional means, kriging."""
