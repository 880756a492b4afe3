"""What tensors are: the meaning of their axes, their named blocks, the layers that they make."""
