"""What is computed for one tensor when somebody looks at it."""
