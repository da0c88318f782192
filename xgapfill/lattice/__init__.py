"""Where: addresses, windows and noise of places on the globe."""
