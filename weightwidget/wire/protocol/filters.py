"""The filters of a convolution."""
