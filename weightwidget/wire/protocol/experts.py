"""Mixtures of experts: layer by expert."""
