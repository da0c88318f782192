"""The mathematics of the variational autoencoder: the bound it is trained on, its net, the texture of its draws."""
