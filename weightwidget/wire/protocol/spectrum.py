"""Singular values of a matrix."""
