"""The heads of attention layers."""
