"""What answers requests: one module a view, each with its functions in `HANDLERS` by kind of request."""
