"""The vectors of an embedding."""
