"""A channel followed through the network."""
